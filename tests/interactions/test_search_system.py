"""Searches of several types and of compartments, through the whole server."""

from typing import Any
from urllib.parse import urlencode
from uuid import uuid4

import httpx
import pytest
import pytest_asyncio

from tests.interactions.conftest import codes, said

Json = dict[str, Any]
TAG = "urn:tag:system"
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def record(client: httpx.AsyncClient) -> str:
    """Two patients with a stay, observations and a provenance; everything bears this tag, and some share an id."""
    tag = uuid4().hex[:10]

    def ref(resource_type: str, name: str) -> Json:
        return {"reference": f"{resource_type}/{name}-{tag}"}

    rows: list[Json] = [
        {"resourceType": "Patient", "id": "a", "gender": "female"},
        {"resourceType": "Patient", "id": "b", "gender": "male"},
        {"resourceType": "Practitioner", "id": "a", "gender": "female"},
        {"resourceType": "RelatedPerson", "id": "r", "patient": ref("Patient", "a")},
        {"resourceType": "Device", "id": "d", "patient": ref("Patient", "b")},
        {
            "resourceType": "Encounter",
            "id": "a",
            "status": "finished",
            "class": {"code": "AMB"},
            "subject": ref("Patient", "a"),
            "participant": [{"individual": ref("Practitioner", "a")}],
        },
        {"resourceType": "Condition", "id": "c", "subject": ref("Patient", "a"), "encounter": ref("Encounter", "a")},
        *(
            {
                "resourceType": "Observation",
                "id": f"o{number}",
                "status": "final" if number % 2 else "amended",
                "code": {"text": "x"},
                "subject": ref("Patient", "b" if number == 5 else "a"),
                **({"encounter": ref("Encounter", "a")} if number < 3 else {}),
                **({"performer": [ref("RelatedPerson", "r")]} if number == 1 else {}),
                **({"device": ref("Device", "d")} if number == 4 else {}),
            }
            for number in range(6)
        ),
        {
            "resourceType": "Appointment",
            "id": "both",
            "status": "proposed",
            "participant": [{"actor": ref("Patient", name), "status": "needs-action"} for name in ("a", "b")],
        },
        {"resourceType": "Medication", "id": "m", "status": "active"},
    ]
    for row in rows:
        row["id"] += f"-{tag}"
        row["meta"] = {"tag": [{"system": TAG, "code": tag}]}
    entries = [
        {"resource": row, "request": {"method": "PUT", "url": f"{row['resourceType']}/{row['id']}"}} for row in rows
    ]
    answer = await client.post("", json={"resourceType": "Bundle", "type": "transaction", "entry": entries})
    assert answer.status_code == 200, answer.text
    return tag


def found(bundle: Json, tag: str, mode: str = "match") -> list[str]:
    """Return the `Type/name` of the entries of a mode, in order."""
    shown = [entry for entry in bundle.get("entry", []) if entry["search"]["mode"] == mode]
    return [f"{each['resource']['resourceType']}/{each['resource']['id']}".removesuffix(f"-{tag}") for each in shown]


def links(bundle: Json) -> dict[str, str]:
    return {link["relation"]: link["url"] for link in bundle["link"]}


EVERYTHING = [
    "Appointment/both", "Condition/c", "Device/d", "Encounter/a", "Medication/m", "Observation/o0", "Observation/o1",
    "Observation/o2", "Observation/o3", "Observation/o4", "Observation/o5", "Patient/a", "Patient/b", "Practitioner/a",
    "RelatedPerson/r",
]  # fmt: skip


@pytest.mark.parametrize(
    ("search", "expected"),
    [
        ("?_tag=@", EVERYTHING),
        ("?_type=Patient,Practitioner&_tag=@", ["Patient/a", "Patient/b", "Practitioner/a"]),
        ("?_type=Patient,Practitioner&gender=female&_tag=@", ["Patient/a", "Practitioner/a"]),
        ("?_id=a-@", ["Encounter/a", "Patient/a", "Practitioner/a"]),
        ("?_type=Condition,Observation&encounter=a-@", ["Condition/c", "Observation/o0", "Observation/o1", "Observation/o2"]),
        ("?_type=Condition,Observation&subject:Patient.gender=male&_tag=@", ["Observation/o5"]),
        ("?_type=Patient&gender=male&_tag=@&_sort=birthdate", ["Patient/b"]),
        ("?_type=Patient&_has:Observation:patient:status=amended&_tag=@", ["Patient/a"]),
        ("Patient/b-@/Observation", ["Observation/o5"]),
        ("Patient/a-@/Observation?status=final", ["Observation/o1", "Observation/o3"]),
        ("Patient/a-@/*", ["Appointment/both", "Condition/c", "Encounter/a", "Observation/o0", "Observation/o1", "Observation/o2", "Observation/o3", "Observation/o4", "Patient/a", "RelatedPerson/r"]),
        ("Patient/b-@/*", ["Appointment/both", "Observation/o5", "Patient/b"]),
        ("Patient/a-@/*?_type=Condition,Encounter", ["Condition/c", "Encounter/a"]),
        ("Patient/a-@/Appointment", ["Appointment/both"]),
        ("Patient/a-@/Patient", ["Patient/a"]),
        ("Patient/nobody/Observation", []),
        ("Encounter/a-@/*", ["Condition/c", "Encounter/a", "Observation/o0", "Observation/o1", "Observation/o2"]),
        ("Encounter/a-@/Observation?status=final", ["Observation/o1"]),
        ("Practitioner/a-@/Encounter", ["Encounter/a"]),
        ("RelatedPerson/r-@/Observation", ["Observation/o1"]),
        ("Device/d-@/*", ["Device/d", "Observation/o4"]),
    ],
)  # fmt: skip
async def test_what_is_found_by_get_and_post(
    client: httpx.AsyncClient, record: str, search: str, expected: list[str]
) -> None:
    path, _, query = search.replace("@", record).partition("?")
    answer = await client.get(f"{path}?{query}" if query else path)
    assert answer.status_code == 200, answer.text
    assert sorted(found(answer.json(), record)) == expected
    assert answer.json()["total"] == len(expected)
    posted = await client.post(f"{path}/_search".removeprefix("/"), content=query, headers=FORM)
    assert posted.status_code == 200, posted.text
    assert sorted(found(posted.json(), record)) == expected


async def test_a_whole_compartment_by_post_without_a_star(client: httpx.AsyncClient, record: str) -> None:
    posted = await client.post(f"Patient/b-{record}/_search", content="_count=10", headers=FORM)
    assert sorted(found(posted.json(), record)) == ["Appointment/both", "Observation/o5", "Patient/b"]


@pytest.mark.parametrize("sort", ["", "_lastUpdated", "-_lastUpdated", "_id", "-_id", "_lastUpdated,-_id"])
@pytest.mark.parametrize("count", [1, 2, 4, 14, 15])
async def test_pages_over_types_have_neither_gap_nor_duplicate(
    client: httpx.AsyncClient, record: str, sort: str, count: int
) -> None:
    query = urlencode({"_tag": record, "_count": count, **({"_sort": sort} if sort else {})})
    bundle = (await client.get(f"?{query}")).json()
    rows: list[tuple[str, Json]] = []
    while True:
        rows += [(name, entry["resource"]) for name, entry in zip(found(bundle, record), bundle["entry"], strict=True)]
        if "next" not in links(bundle):
            break
        bundle = (await client.get(links(bundle)["next"])).json()
        assert 0 < len(bundle["entry"]) <= count
    assert sorted(name for name, _ in rows) == EVERYTHING
    if "_id" in sort.lstrip("-")[:3]:
        ids = [resource["id"] for _, resource in rows]
        assert ids == sorted(ids, reverse=sort.startswith("-"))
    else:
        moments = [resource["meta"]["lastUpdated"] for _, resource in rows]
        assert moments == sorted(moments, reverse=not sort.startswith("_last"))


async def test_links_and_totals(client: httpx.AsyncClient, record: str) -> None:
    bundle = (await client.get(f"?_type=Patient,Observation&_tag={record}&_count=2&_total=accurate")).json()
    assert bundle["total"] == 8
    assert links(bundle)["self"] == (
        f"http://localhost/fhir?_type=Patient%2CObservation&_tag={record}&_count=2&_total=accurate"
    )
    counted = (await client.get(f"?_tag={record}&_summary=count")).json()
    assert (counted["total"], "entry" in counted) == (15, False)
    inside = (await client.get(f"Patient/a-{record}/Observation?_count=2")).json()
    assert links(inside)["self"] == f"http://localhost/fhir/Patient/a-{record}/Observation?_count=2"
    assert links(inside)["next"].startswith(f"http://localhost/fhir/Patient/a-{record}/Observation?_count=2&_cursor=")


async def test_attack_a_paging_link_does_not_lead_into_another_compartment(
    client: httpx.AsyncClient, record: str
) -> None:
    """What was searched stands in the path, so the link must be bound to that, too."""
    for path in ("Observation", "*"):
        inside = (await client.get(f"Patient/a-{record}/{path}?_count=2")).json()
        moved = links(inside)["next"].replace(f"Patient/a-{record}", f"Patient/b-{record}")
        answer = await client.get(moved)
        assert (answer.status_code, codes(answer)) == (400, ["invalid"])
        assert "belongs to another search" in said(answer)


async def test_includes_of_several_types(client: httpx.AsyncClient, record: str) -> None:
    search = f"?_type=Condition,Encounter&_tag={record}&_include=Condition:subject&_include=Encounter:participant"
    bundle = (await client.get(search)).json()
    assert sorted(found(bundle, record)) == ["Condition/c", "Encounter/a"]
    assert sorted(found(bundle, record, "include")) == ["Patient/a", "Practitioner/a"]
    bundle = (await client.get(f"?_type=Condition,Encounter&_tag={record}&_include=*")).json()
    assert sorted(found(bundle, record, "include")) == ["Patient/a", "Practitioner/a"]
    bundle = (await client.get(f"Patient/b-{record}/*?_type=Patient&_revinclude=Observation:subject")).json()
    assert found(bundle, record, "include") == ["Observation/o5"]


async def test_a_search_of_the_system_inside_of_a_batch(client: httpx.AsyncClient, record: str) -> None:
    urls = [f"?_type=Patient,Practitioner&_tag={record}", f"Patient/b-{record}/*", f"Patient/b-{record}/Observation"]
    entries = [{"request": {"method": "GET", "url": url}} for url in urls]
    for kind in ("batch", "transaction"):
        answer = await client.post("", json={"resourceType": "Bundle", "type": kind, "entry": entries})
        assert answer.status_code == 200, answer.text
        assert [entry["resource"]["total"] for entry in answer.json()["entry"]] == [3, 3, 1]


@pytest.mark.parametrize(
    ("search", "status", "text"),
    [
        ("?name=x", 400, "Not all of the 146 types that are searched have a search parameter 'name'. A search of several types can be searched by _id, _lastUpdated,"),
        ("?_type=Patient,Observation&name=x", 400, "Not all of Observation, Patient have a search parameter 'name'."),
        ("?_type=Patient,Observation&birthdate=x", 400, "Not all of Observation, Patient have a search parameter 'birthdate'."),
        ("?_type=Patient,Observaton", 400, "'Observaton' is not a resource type. Did you mean 'Observation'?"),
        ("?_type=Patient&_type=Observation", 400, "The parameter '_type' is given more than once."),
        ("?_type=Patient,Observation&_sort=date", 400, "a search of several types cannot be sorted by 'date'. _sort takes _id, _lastUpdated"),
        ("?_type=Patient,Observation&_elements=nme", 400, "'nme' is not a top-level element of a search of several types. Did you mean 'name'?"),
        ("?_type=Patient,Observation&_include=Condition:subject", 400, "'Condition:subject' begins with Condition, but a search of several types is searched."),
        ("?_type=Patient,Practitioner&_has:Observation:patient:code=x", 400, "'patient' of Observation does not refer to Practitioner"),
        ("?_type=Patient,Practitioner&gender:exact=x", 400, "The token parameter 'gender' has no modifier 'exact'."),
        ("?_id=x&_cursor=abc", 400, "The _cursor is not one of this server's."),
        ("Organization/1/Observation", 404, "There is no Organization compartment. R4 defines those of Device, Encounter, Patient, Practitioner, RelatedPerson."),
        ("Patient/1/Medication", 404, "Medication is not part of a Patient compartment, which holds Account, "),
        ("Patient/1/*?_type=Medication", 400, "Medication is not part of Patient/1."),
        ("Patient/1/Observaton", 404, "'Observaton' is not a resource type of FHIR R4."),
        ("Patient/1/Observation?famly=x", 400, "Observation has no search parameter 'famly'."),
        ("Patient/a_b/Observation", 400, "'a_b' is not a valid id"),
    ],
)  # fmt: skip
async def test_refusals(client: httpx.AsyncClient, search: str, status: int, text: str) -> None:
    answer = await client.get(search)
    assert answer.status_code == status, answer.text
    assert text in said(answer)


async def test_lenient_handling_of_parameters_that_not_all_types_have(client: httpx.AsyncClient, record: str) -> None:
    lenient = {"Prefer": "handling=lenient"}
    bundle = (await client.get(f"?_type=Patient,Encounter&_tag={record}&gender=male", headers=lenient)).json()
    assert sorted(found(bundle, record)) == ["Encounter/a", "Patient/a", "Patient/b"]
    assert bundle["entry"][-1]["resource"]["issue"][0]["expression"] == ["http.gender"]
    assert "gender" not in links(bundle)["self"]


async def test_other_methods_at_a_compartment_are_not_offered(client: httpx.AsyncClient, record: str) -> None:
    answer = await client.put(f"Patient/a-{record}/Observation", json={})
    assert answer.status_code == 405
    assert answer.headers["Allow"] == "GET"
