"""$diff over HTTP: between versions and between resources, and its answer sent back as a PATCH."""

from copy import deepcopy
from typing import Any

import httpx
import pytest

Json = dict[str, Any]
PATCH = {"Content-Type": "application/fhir+json"}

FIRST: Json = {
    "resourceType": "Patient",
    "id": "differing",
    "active": True,
    "name": [{"family": "Grey", "given": ["Ann"]}],
    "contact": [{"name": {"text": "Bo"}}],
}
SECOND: Json = {
    **FIRST,
    "meta": {"tag": [{"system": "urn:tags", "code": "vip"}]},
    "text": {"status": "generated", "div": '<div xmlns="http://www.w3.org/1999/xhtml">Ann</div>'},
    "name": [{"family": "Grey", "given": ["Ann", "Bea"]}, {"text": "new"}],
    "contact": [{"name": {"text": "Bo"}, "gender": "male"}, {"telecom": [{"system": "phone", "value": "1"}]}],
    "deceasedBoolean": False,
}


async def stored(client: httpx.AsyncClient, *versions: Json) -> None:
    for one in versions:
        response = await client.put(f"{one['resourceType']}/{one['id']}", json=one)
        assert response.status_code in {200, 201}, response.text


def told(response: httpx.Response) -> Json:
    assert response.status_code == 200, response.text
    found: Json = response.json()
    assert found["resourceType"] == "Parameters"
    return found


def operations(response: httpx.Response) -> list[str]:
    rows = [{part["name"]: part for part in row["part"]} for row in told(response).get("parameter", ())]
    return [f"{row['type']['valueCode']} {row['path']['valueString']}" for row in rows]


def bare(resource: Json, *names: str) -> Json:
    return {name: value for name, value in resource.items() if name not in {"meta", *names}}


async def test_the_change_of_the_last_version_is_told(client: httpx.AsyncClient) -> None:
    await stored(client, FIRST, SECOND)
    expected = [
        "add Patient",
        "insert Patient.name",
        "insert Patient.name[0].given",
        "add Patient",
        "insert Patient.contact",
        "add Patient.contact[0]",
    ]
    last = operations(await client.get("Patient/differing/$diff"))
    assert sorted(last) == sorted(expected)
    for query in ("?fromVersion=1", "?fromVersion=1&toVersion=2", "?toVersion=2"):
        assert operations(await client.get(f"Patient/differing/$diff{query}")) == last
    same = await client.get("Patient/differing/$diff?fromVersion=2&toVersion=2")
    assert told(same) == {"resourceType": "Parameters"}
    with_meta = operations(await client.get("Patient/differing/$diff?includeMeta=true"))
    assert sorted([*last, "add Patient.meta"]) == sorted(with_meta)


@pytest.mark.parametrize("backwards", [False, True])
async def test_the_answer_sent_as_a_patch_gives_the_other(client: httpx.AsyncClient, *, backwards: bool) -> None:
    name = "backwards" if backwards else "forwards"
    first, second = ({**deepcopy(one), "id": name} for one in (FIRST, SECOND))
    if backwards:
        first, second = second, first
    await stored(client, first, second)
    patch = told(await client.get(f"Patient/{name}/$diff?includeMeta=true"))
    await stored(client, first)
    response = await client.patch(f"Patient/{name}", json=patch, headers=PATCH)
    assert response.status_code == 200, response.text
    assert bare(response.json()) == bare(second)
    assert response.json()["meta"].get("tag") == second.get("meta", {}).get("tag")
    assert told(await client.get(f"Patient/{name}/$diff?fromVersion=2&includeMeta=true")) == {
        "resourceType": "Parameters"
    }


async def test_two_resources_are_compared_at_the_type_and_the_system(client: httpx.AsyncClient) -> None:
    one, other = {**FIRST, "id": "one"}, {**SECOND, "id": "other"}
    await stored(client, one, other)
    found = operations(await client.get("$diff?from=Patient/one&to=Patient/other"))
    assert found
    for path in (
        "Patient/$diff?from=one&to=other",
        "$diff?from=Patient/one/_history/1&to=http://localhost/fhir/Patient/other",
    ):
        assert operations(await client.get(path)) == found
    rows = [{"name": name, "valueUri": f"Patient/{value}"} for name, value in (("from", "one"), ("to", "other"))]
    posted = await client.post("$diff", json={"resourceType": "Parameters", "parameter": rows})
    assert operations(posted) == found
    response = await client.patch("Patient/one", json=told(posted), headers=PATCH)
    assert bare(response.json(), "id") == bare(other, "id")
    assert response.json()["id"] == "one"


@pytest.mark.parametrize(
    ("status", "path", "words"),
    [
        (404, "Patient/nobody/$diff", "nobody"),
        (404, "Patient/single/$diff", "no version of Patient/single before version 1"),
        (404, "Patient/single/$diff?fromVersion=7", "no version 7"),
        (404, "$diff?from=Patient/single&to=Patient/nobody", "nobody"),
        (410, "Patient/buried/$diff?fromVersion=1&toVersion=2", "was deleted"),
        (400, "Patient/single/$diff?from=Patient/x", "The instance says what is compared"),
        (400, "$diff?from=Patient/single", "'from' and 'to'"),
        (400, "$diff?fromVersion=1", "are compared at [type]/[id]/$diff"),
        (400, "$diff?from=Patient/single&to=Person/x", "A Patient and a Person cannot be compared"),
        (400, "$diff?from=Patient/single&to=Pationt/x", "names no resource of this server"),
        (400, "$diff?from=Patient/single&to=https://other.example/Patient/x", "names no resource of this server"),
        (400, "Person/$diff?from=Patient/single&to=x", "is no Person"),
    ],
)
async def test_what_cannot_be_compared_is_refused_with_the_remedy(
    client: httpx.AsyncClient, status: int, path: str, words: str
) -> None:
    await stored(client, {"resourceType": "Patient", "id": "buried"})
    await client.delete("Patient/buried")
    if (await client.get("Patient/single")).status_code == 404:
        await stored(client, {"resourceType": "Patient", "id": "single"})
    response = await client.get(path)
    assert response.status_code == status, response.text
    assert words in response.json()["issue"][0]["details"]["text"]
