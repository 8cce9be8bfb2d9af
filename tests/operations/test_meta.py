"""$meta, $meta-add and $meta-delete over HTTP."""

from typing import Any

import httpx
import pytest

VIP = {"system": "https://clinic.example/tags", "code": "vip"}
PROFILE = "https://clinic.example/StructureDefinition/patient"


def sent(**meta: Any) -> dict[str, Any]:
    return {"resourceType": "Parameters", "parameter": [{"name": "meta", "valueMeta": meta}]}


def told(response: httpx.Response) -> dict[str, Any]:
    assert response.status_code == 200, response.text
    (row,) = response.json()["parameter"]
    assert row["name"] == "return"
    found: dict[str, Any] = row["valueMeta"]
    return found


async def test_labels_come_and_go_and_the_rest_stays(client: httpx.AsyncClient) -> None:
    body = {"resourceType": "Patient", "id": "labelled", "name": [{"family": "Grey"}]}
    before = (await client.put("Patient/labelled", json=body)).json()
    assert "parameter" not in (await client.get("Patient/labelled/$meta")).json()

    more = await client.post("Patient/labelled/$meta-add", json=sent(tag=[VIP], profile=[PROFILE]))
    assert told(more) == {"profile": [PROFILE], "tag": [VIP]}
    assert more.headers["etag"] == 'W/"2"'
    found = (await client.get(f"Patient?_tag={VIP['system']}|{VIP['code']}")).json()
    assert [entry["resource"]["id"] for entry in found["entry"]] == ["labelled"]
    assert told(await client.get("Patient/labelled/$meta")) == told(more)

    less = await client.post("Patient/labelled/$meta-delete", json=sent(tag=[VIP]))
    assert told(less) == {"profile": [PROFILE]}
    assert (await client.get(f"Patient?_tag={VIP['system']}|{VIP['code']}")).json()["total"] == 0
    after = (await client.get("Patient/labelled")).json()
    assert {**after, "meta": None} == {**before, "meta": None}
    assert after["meta"]["versionId"] == "3"


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (sent(), "The Meta is empty"),
        (sent(versionId="7"), "meta.versionId is not changed by $meta-add. It takes profile, security and tag."),
        (sent(tag=VIP), "arrays"),
        ({"resourceType": "Parameters"}, "'meta' of $meta-add is given 0 times"),
        ({"resourceType": "Parameters", "parameter": [{"name": "meta", "valueString": "x"}]}, "is a Meta"),
        (sent(tag=["vip"]), "Patient.meta.tag"),
        (sent(security=[{"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "PYS"}]), "PYS"),
    ],
)
async def test_what_is_no_label_is_refused_and_nothing_is_stored(
    client: httpx.AsyncClient, body: dict[str, Any], says: str
) -> None:
    await client.put("Patient/plain", json={"resourceType": "Patient", "id": "plain"})
    response = await client.post("Patient/plain/$meta-add", json=body)
    assert response.status_code in {400, 422}, response.text
    assert says in response.text
    assert "meta" not in (await client.get("Patient/plain?_elements=name")).json() or (
        "parameter" not in (await client.get("Patient/plain/$meta")).json()
    )


async def test_a_version_that_is_not_the_current_one_is_refused(client: httpx.AsyncClient) -> None:
    await client.put("Patient/raced", json={"resourceType": "Patient", "id": "raced"})
    response = await client.post("Patient/raced/$meta-add", json=sent(tag=[VIP]), headers={"If-Match": 'W/"7"'})
    assert response.status_code == 412
    assert (await client.post("Patient/nobody/$meta-add", json=sent(tag=[VIP]))).status_code == 404
