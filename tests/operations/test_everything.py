"""$everything of patients, encounters and groups over HTTP: what belongs, what is referred to, and paging that loses nothing."""

from typing import Any

import httpx
import pytest
import pytest_asyncio

from fhir_server.operations import group_everything

Json = dict[str, Any]
ANN = {"reference": "Patient/whole-ann"}


def observation(number: int, day: str = "2024-03-01", **more: Any) -> Json:
    return {
        "resourceType": "Observation",
        "id": f"whole-{number:03}",
        "status": "final",
        "code": {"coding": [{"system": "http://loinc.org", "code": "8867-4"}]},
        "subject": ANN,
        "effectiveDateTime": day,
        "performer": [{"reference": f"Practitioner/whole-{number % 3}"}],
        **more,
    }


RECORD: list[Json] = [
    {"resourceType": "Organization", "id": "whole-chain", "name": "Chain"},
    {
        "resourceType": "Organization",
        "id": "whole-house",
        "name": "House",
        "partOf": {"reference": "Organization/whole-chain"},
    },
    *({"resourceType": "Practitioner", "id": f"whole-{number}"} for number in range(3)),
    {
        "resourceType": "PractitionerRole",
        "id": "whole-role",
        "practitioner": {"reference": "Practitioner/whole-2"},
        "organization": {"reference": "Organization/whole-house"},
    },
    {"resourceType": "Medication", "id": "whole-pill", "code": {"text": "pill"}},
    {"resourceType": "Patient", "id": "whole-bo"},
    {
        "resourceType": "Patient",
        "id": "whole-ann",
        "link": [{"other": {"reference": "Patient/whole-bo"}, "type": "seealso"}],
    },
    {
        "resourceType": "Encounter",
        "id": "whole-visit",
        "status": "finished",
        "class": {"code": "AMB"},
        "subject": ANN,
        "period": {"start": "2024-03-01", "end": "2024-03-02"},
        "participant": [{"individual": {"reference": "PractitionerRole/whole-role"}}],
    },
    {
        "resourceType": "MedicationRequest",
        "id": "whole-order",
        "status": "active",
        "intent": "order",
        "subject": ANN,
        "encounter": {"reference": "Encounter/whole-visit"},
        "medicationReference": {"reference": "Medication/whole-pill"},
    },
    {"resourceType": "Binary", "id": "whole-scan", "contentType": "text/plain", "data": "QQ=="},
    {
        "resourceType": "DocumentReference",
        "id": "whole-letter",
        "status": "current",
        "subject": ANN,
        "date": "2019-01-01T00:00:00Z",
        "content": [{"attachment": {"contentType": "text/plain", "url": "Binary/whole-scan"}}],
    },
    *(observation(number) for number in range(20)),
    observation(20, "2019-05-05", focus=[{"reference": "Observation/whole-other"}]),
    observation(21, encounter={"reference": "Encounter/whole-visit"}),
    {"resourceType": "Device", "id": "whole-pacer", "patient": ANN},
    observation(23, device={"reference": "Device/whole-foreign"}),
    {"resourceType": "Device", "id": "whole-foreign", "patient": {"reference": "Patient/whole-bo"}},
    {
        "resourceType": "Group",
        "id": "whole-group",
        "type": "person",
        "actual": True,
        "member": [{"entity": ANN}, {"entity": {"reference": "Patient/whole-bo"}}],
    },
    {**observation(99), "id": "whole-other", "subject": {"reference": "Patient/whole-bo"}},
]
MEMBERS = {
    "Patient/whole-ann", "Encounter/whole-visit", "MedicationRequest/whole-order", "DocumentReference/whole-letter",
    "Device/whole-pacer", "Group/whole-group", "Observation/whole-023", *(f"Observation/whole-{number:03}" for number in range(22)),
}  # fmt: skip
LED = {
    "Practitioner/whole-0", "Practitioner/whole-1", "Practitioner/whole-2", "PractitionerRole/whole-role",
    "Organization/whole-house", "Organization/whole-chain", "Medication/whole-pill", "Binary/whole-scan",
}  # fmt: skip


async def stored(client: httpx.AsyncClient, resources: list[Json]) -> None:
    rows = [
        {"resource": one, "request": {"method": "PUT", "url": f"{one['resourceType']}/{one['id']}"}}
        for one in resources
    ]
    response = await client.post("", json={"resourceType": "Bundle", "type": "transaction", "entry": rows})
    assert response.status_code == 200, response.text


@pytest_asyncio.fixture(scope="module", autouse=True, loop_scope="session")
async def record(client: httpx.AsyncClient) -> None:
    await stored(client, RECORD)


async def pages(client: httpx.AsyncClient, path: str) -> list[Json]:
    """Return the pages, of which each link is followed."""
    found: list[Json] = []
    url = path
    while url:
        response = await client.get(url)
        assert response.status_code == 200, response.text
        found.append(response.json())
        assert found[-1]["resourceType"] == "Bundle"
        assert found[-1]["type"] == "searchset"
        url = next((one["url"] for one in found[-1]["link"] if one["relation"] == "next"), "")
        assert len(found) < 100
    return found


def names(*bundles: Json, mode: str = "") -> list[str]:
    entries = [entry for bundle in bundles for entry in bundle.get("entry", ())]
    return [
        f"{one['resource']['resourceType']}/{one['resource']['id']}"
        for one in entries
        if one["search"]["mode"] in ({mode} if mode else {"match", "include"})
    ]


async def everything(client: httpx.AsyncClient, path: str, mode: str = "") -> set[str]:
    found = names(*await pages(client, path), mode=mode)
    assert len(found) == len(set(found))
    return set(found)


async def test_the_record_and_what_it_refers_to_come_without_the_records_of_others(client: httpx.AsyncClient) -> None:
    bundles = await pages(client, "Patient/whole-ann/$everything")
    assert len(bundles) == 1
    assert bundles[0]["total"] == len(MEMBERS)
    assert names(*bundles)[0] == "Patient/whole-ann"
    assert set(names(*bundles, mode="match")) == MEMBERS
    assert set(names(*bundles, mode="include")) == LED


@pytest.mark.parametrize("count", [1, 7, 28, 29, 36, 37, 38])
async def test_pages_of_any_size_hold_everything_once(client: httpx.AsyncClient, count: int) -> None:
    bundles = await pages(client, f"Patient/whole-ann/$everything?_count={count}")
    assert all(len(bundle["entry"]) <= count for bundle in bundles)
    found = names(*bundles)
    assert sorted(found) == sorted(MEMBERS | LED)


async def test_what_is_written_while_pages_are_read_moves_none_of_them(client: httpx.AsyncClient) -> None:
    seen: list[str] = []
    url = "Patient/whole-ann/$everything?_count=4"
    for number in range(100):
        bundle = (await client.get(url)).json()
        seen += names(bundle)
        await stored(client, [observation(number % 20, "2024-03-01", note=[{"text": f"read {number} times"}])])
        url = next((one["url"] for one in bundle["link"] if one["relation"] == "next"), "")
        if not url:
            break
    assert sorted(seen) == sorted(MEMBERS | LED)


async def test_days_of_care_select_what_has_a_date_and_keep_what_has_none(client: httpx.AsyncClient) -> None:
    old = {"Observation/whole-020", "DocumentReference/whole-letter"}
    timeless = {"Patient/whole-ann", "MedicationRequest/whole-order", "Device/whole-pacer", "Group/whole-group"}
    assert await everything(client, "Patient/whole-ann/$everything?end=2019-12-31", "match") == old | timeless
    since = await everything(client, "Patient/whole-ann/$everything?start=2020-01-01", "match")
    assert since == MEMBERS - old
    assert await everything(client, "Patient/whole-ann/$everything?start=2024-03-02&end=2024-03-02", "match") == {
        "Encounter/whole-visit",
        *timeless,
    }
    assert "Binary/whole-scan" not in await everything(client, "Patient/whole-ann/$everything?start=2020-01-01")


async def test_types_select_from_the_record_and_from_what_it_refers_to(client: httpx.AsyncClient) -> None:
    found = await everything(client, "Patient/whole-ann/$everything?_type=Encounter,Practitioner&_type=Medication")
    assert found == {"Encounter/whole-visit", "Medication/whole-pill", *(f"Practitioner/whole-{n}" for n in range(3))}


async def test_since_selects_what_was_written_from_an_instant_on(client: httpx.AsyncClient) -> None:
    read = (await client.put("Practitioner/whole-1", json={"resourceType": "Practitioner", "id": "whole-1"})).json()
    since = read["meta"]["lastUpdated"].replace("+", "%2B")
    assert await everything(client, f"Patient/whole-ann/$everything?_since={since}") == {"Practitioner/whole-1"}


async def test_parameters_can_be_posted(client: httpx.AsyncClient) -> None:
    rows = [{"name": "_type", "valueCode": "Encounter"}, {"name": "_count", "valueInteger": 5}]
    response = await client.post(
        "Patient/whole-ann/$everything", json={"resourceType": "Parameters", "parameter": rows}
    )
    assert names(response.json()) == ["Encounter/whole-visit"]
    assert response.json()["link"][0]["url"].endswith("/Patient/whole-ann/$everything?_type=Encounter&_count=5")


async def test_an_encounter_comes_with_its_patient_and_without_other_encounters(client: httpx.AsyncClient) -> None:
    bundles = await pages(client, "Encounter/whole-visit/$everything?_count=3")
    found = names(*bundles)
    assert len(found) == len(set(found))
    assert set(names(*bundles, mode="match")) == {
        "Encounter/whole-visit",
        "MedicationRequest/whole-order",
        "Observation/whole-021",
    }
    assert set(names(*bundles, mode="include")) == {
        "Patient/whole-ann", "PractitionerRole/whole-role", "Practitioner/whole-0", "Practitioner/whole-2",
        "Organization/whole-house", "Organization/whole-chain", "Medication/whole-pill",
    }  # fmt: skip


@pytest.mark.parametrize("count", [1, 5, 1000])
async def test_a_group_brings_the_records_of_its_patients_once(client: httpx.AsyncClient, count: int) -> None:
    bundles = await pages(client, f"Group/whole-group/$everything?_count={count}")
    found = names(*bundles)
    assert found[0] == "Group/whole-group"
    others = {"Patient/whole-bo", "Observation/whole-other", "Device/whole-foreign"}
    assert sorted(found) == sorted(MEMBERS | LED | others)


async def test_a_group_goes_on_from_stretch_to_stretch(
    client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(group_everything, "TOGETHER", 1)
    for count in (1, 4, 1000):
        found = names(*await pages(client, f"Group/whole-group/$everything?_count={count}"), mode="match")
        others = {"Patient/whole-bo", "Observation/whole-other", "Device/whole-foreign"}
        assert sorted(found) == sorted(MEMBERS | others)


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("Patient/nobody/$everything", 404),
        ("Encounter/nobody/$everything", 404),
        ("Group/nobody/$everything", 404),
        ("Patient/$everything", 400),
        ("Patient/whole-ann/$everything?_count=0", 400),
        ("Patient/whole-ann/$everything?_count=-1", 400),
        ("Patient/whole-ann/$everything?_type=Nothing", 400),
        ("Patient/whole-ann/$everything?_since=yesterday", 400),
        ("Patient/whole-ann/$everything?start=2024-13-01", 400),
        ("Patient/whole-ann/$everything?colour=red", 400),
        ("Patient/whole-ann/$everything?_cursor=forged", 400),
    ],
)
async def test_what_cannot_be_answered_is_refused(client: httpx.AsyncClient, path: str, status: int) -> None:
    response = await client.get(path)
    assert response.status_code == status, response.text
    assert response.json()["resourceType"] == "OperationOutcome"


async def test_a_link_of_one_record_opens_no_other(client: httpx.AsyncClient) -> None:
    first = (await client.get("Patient/whole-ann/$everything?_count=2")).json()
    link = next(one["url"] for one in first["link"] if one["relation"] == "next")
    response = await client.get(link.replace("whole-ann", "whole-bo"))
    assert response.status_code == 400
    assert "Observation/" not in response.text
