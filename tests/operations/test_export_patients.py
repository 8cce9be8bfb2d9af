"""Patient/$export and Group/[id]/$export: the records of patients, what they refer to, and where they come from."""

import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
import pytest_asyncio

from fhir_server.bulk import cohort
from tests.operations.exports import exported, finished, ids, read

Json = dict[str, Any]

ALL: dict[str, list[str]] = {
    "Observation": ["of-a", "of-b", "of-c"],
    "Patient": ["a", "b", "c"],
    "Practitioner": ["doctor", "nurse"],
    "PractitionerRole": ["role"],
    "Provenance": ["from-b", "from-c", "old-b"],
    "Appointment": ["both"],
    "Group": ["some"],
}


def of(name: str, kind: str) -> Json:
    return {"reference": f"{kind}/{name}"}


def provenance(name: str, target: str, recorded: str) -> Json:
    return {
        "resourceType": "Provenance",
        "id": name,
        "target": [of(target, "Observation")],
        "recorded": recorded,
        "agent": [{"who": of("nurse", "Practitioner")}],
    }


@pytest_asyncio.fixture(scope="module", loop_scope="session", autouse=True)
async def stored(client: httpx.AsyncClient) -> AsyncIterator[None]:
    resources: list[Json] = [
        {"resourceType": "Practitioner", "id": "doctor"},
        {"resourceType": "Practitioner", "id": "nurse"},
        {"resourceType": "Practitioner", "id": "nobodys"},
        {"resourceType": "PractitionerRole", "id": "role", "practitioner": of("doctor", "Practitioner")},
    ]
    resources += [{"resourceType": "Patient", "id": name} for name in "abc"]
    for name in "abc":
        body = {"resourceType": "Observation", "id": f"of-{name}", "status": "final", "code": {"text": "x"}}
        performer = [of("role", "PractitionerRole")] if name == "b" else []
        more = {"performer": performer} if performer else {}
        resources.append({**body, "subject": of(name, "Patient"), **more})
    resources += [
        {
            "resourceType": "Appointment",
            "id": "both",
            "status": "proposed",
            "participant": [{"actor": of(name, "Patient"), "status": "accepted"} for name in ("c", "b")],
        },
        provenance("old-b", "of-b", "2020-01-01T00:00:00Z"),
        provenance("from-b", "of-b", "2021-01-01T00:00:00Z"),
        provenance("from-c", "of-c", "2021-01-01T00:00:00Z"),
        {
            "resourceType": "Group",
            "id": "some",
            "type": "person",
            "actual": True,
            "member": [
                {"entity": of("b", "Patient")},
                {"entity": of("a", "Patient")},
                {"entity": of("c", "Patient"), "inactive": True},
            ],
        },
    ]
    for one in resources:
        response = await client.put(f"{one['resourceType']}/{one['id']}", json=one)
        assert response.status_code == 201, response.text
    yield


async def test_all_patients_come_with_their_records_and_what_supports_them(client: httpx.AsyncClient) -> None:
    _, found = await exported(client, "Patient/$export")
    named = ids(found)
    assert named.pop("Practitioner") == ["doctor", "nobodys", "nurse"], "of what supports records, all that may be seen"
    assert "Organization" in named
    for name, wanted in ALL.items():
        if name != "Practitioner":
            assert named[name] == wanted


@pytest.mark.parametrize("at_once", [1, 100])
async def test_the_members_of_a_group_come_with_what_their_records_refer_to(
    client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch, at_once: int
) -> None:
    monkeypatch.setattr(cohort, "AT_ONCE", at_once)
    _, found = await exported(client, "Group/some/$export")
    assert ids(found) == {
        "Appointment": ["both"],
        "Group": ["some"],
        "Observation": ["of-a", "of-b"],
        "Patient": ["a", "b"],
        "Practitioner": ["doctor"],
        "PractitionerRole": ["role"],
        "Provenance": ["from-b", "old-b"],
    }


async def test_some_patients_and_the_latest_provenance_of_each_thing(client: httpx.AsyncClient) -> None:
    rows = [
        {"name": "patient", "valueReference": of("b", "Patient")},
        {"name": "patient", "valueReference": of("c", "Patient")},
        {"name": "_type", "valueString": "Observation"},
        {"name": "includeAssociatedData", "valueCode": "LatestProvenanceResources"},
    ]
    asked = {"resourceType": "Parameters", "parameter": rows}
    _, found = await exported(client, "Patient/$export", method="POST", json=asked)
    assert ids(found) == {"Observation": ["of-b", "of-c"], "Provenance": ["from-b", "from-c"]}


@pytest.mark.parametrize(
    ("path", "patient", "text"),
    [
        ("Patient/$export", "Patient/nobody", "no Patient/nobody here"),
        ("Group/some/$export", "Patient/c", "no Patient/c in the Group"),
        ("Patient/$export", "Practitioner/doctor", "no reference to a Patient"),
        ("$export", "Patient/a", "no parameter 'patient'"),
    ],
)
async def test_who_is_not_there_is_not_exported(client: httpx.AsyncClient, path: str, patient: str, text: str) -> None:
    rows = [{"name": "patient", "valueReference": {"reference": patient}}]
    refused = await client.post(path, json={"resourceType": "Parameters", "parameter": rows})
    assert refused.status_code == 400, refused.text
    assert text in refused.text


async def test_what_cannot_be_asked_of_patients_is_refused(client: httpx.AsyncClient) -> None:
    assert (await client.get("Group/nobody/$export")).status_code == 404
    for query, text in (
        ("_type=StructureDefinition", "not part of the records of patients"),
        ("includeAssociatedData=_all", "no data that can be included"),
        ("organizeOutputBy=Encounter", "not by 'Encounter'"),
        ("patient=Patient/a", "body of a POST"),
    ):
        refused = await client.get(f"Patient/$export?{query}")
        assert refused.status_code == 400, refused.text
        assert text in refused.text


async def test_files_may_be_by_patient(client: httpx.AsyncClient) -> None:
    kicked = await client.get("Group/some/$export?organizeOutputBy=Patient&_type=Patient,Observation,Appointment")
    body = (await finished(client, kicked)).json()
    assert body["outputOrganizedBy"] == "Patient"
    (row,) = body["output"]
    assert "type" not in row
    answer = await client.get(row["url"])
    records: dict[str, list[str]] = {}
    for line in answer.content.splitlines():
        one = json.loads(line)
        if one["resourceType"] == "Parameters":
            (header,) = one["parameter"]
            assert header["name"] == "header"
            whose = records.setdefault(header["valueReference"]["reference"], [])
        else:
            whose.append(f"{one['resourceType']}/{one['id']}")
    assert records == {
        "Patient/a": ["Patient/a", "Observation/of-a"],
        "Patient/b": ["Patient/b", "Appointment/both", "Observation/of-b"],
    }


async def test_what_is_new_of_a_group_brings_what_it_refers_to(client: httpx.AsyncClient) -> None:
    first, _ = await exported(client, "Group/some/$export")
    since = f"_since={first['transactionTime']}"
    body: Json = {"resourceType": "Observation", "id": "new", "status": "final", "code": {"text": "x"}}
    body = {**body, "subject": of("a", "Patient"), "performer": [of("nurse", "Practitioner")]}
    assert (await client.put("Observation/new", json=body)).status_code == 201
    second, found = await exported(client, f"Group/some/$export?{since}")
    assert ids(found) == {"Observation": ["new"], "Practitioner": ["nurse"]}
    assert (await client.delete("Observation/new")).status_code == 204
    third, found = await exported(client, f"Group/some/$export?_since={second['transactionTime']}")
    assert found == {}
    (bundle,) = (await read(client, third["deleted"]))["Bundle"]
    assert bundle["entry"] == [{"request": {"method": "DELETE", "url": "Observation/new"}}]


async def test_the_group_of_an_organization_is_all_that_it_keeps(client: httpx.AsyncClient) -> None:
    _, found = await exported(client, "Group/facility.root/$export?_type=Patient")
    assert ids(found) == {"Patient": ["a", "b", "c"]}
