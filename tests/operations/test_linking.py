"""Links and merges of Patients over HTTP: what they change, what they leave alone, and what undoes them."""

import asyncio
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any
from uuid import uuid4

import bson
import httpx
import pytest
from pydantic import SecretStr
from pymongo.asynchronous.database import AsyncDatabase

from fhir_server.settings import Audit, Jobs, Mongo, Settings
from fhir_server.store.patient_links import MOST, PatientLinks

Json = dict[str, Any]
Database = AsyncDatabase[dict[str, Any]]


class Registered:
    """Two Patients with an Observation each."""

    def __init__(self, client: httpx.AsyncClient, one: str, other: str) -> None:
        self.client, self.one, self.other = client, one, other

    async def ask(self, operation: str, other: str = "", patient: str = "") -> httpx.Response:
        rows = [{"name": "other", "valueReference": {"reference": f"Patient/{other or self.other}"}}]
        body = {"resourceType": "Parameters", "parameter": rows}
        return await self.client.post(f"Patient/{patient or self.one}/${operation}", json=body)

    async def merge(self, **more: Any) -> httpx.Response:
        rows = [
            {"name": "source-patient", "valueReference": {"reference": f"Patient/{self.one}"}},
            {"name": "target-patient", "valueReference": {"reference": f"Patient/{self.other}"}},
            *({"name": name.replace("_", "-"), **value} for name, value in more.items()),
        ]
        return await self.client.post("Patient/$merge", json={"resourceType": "Parameters", "parameter": rows})

    async def read(self, patient: str) -> Json:
        found: Json = (await self.client.get(f"Patient/{patient}")).json()
        return found


@pytest.fixture(scope="module")
def own_settings(data_dir: Path, mongo_url: SecretStr) -> Settings:
    mongo = Mongo(database=f"linking_{uuid4().hex[:8]}", cache_gb=0.25)
    return Settings(data_dir=data_dir, mongo=mongo, audit=Audit(mode="on"), jobs=Jobs(concurrency=0))


@pytest.fixture
async def two(client: httpx.AsyncClient) -> Registered:
    return await registered(client)


async def registered(client: httpx.AsyncClient) -> Registered:
    names = [f"{name}-{uuid4().hex[:8]}" for name in ("one", "other")]
    for name in names:
        patient = {"resourceType": "Patient", "id": name, "name": [{"family": name}]}
        assert (await client.put(f"Patient/{name}", json=patient)).status_code == 201
        observation = {
            "resourceType": "Observation",
            "status": "final",
            "code": {"text": "x"},
            "subject": {"reference": f"Patient/{name}"},
        }
        assert (await client.post("Observation", json=observation)).status_code == 201
    return Registered(client, *names)


async def reached(record: Database, patient: str) -> frozenset[str]:
    return await PatientLinks(record).reached([patient])


async def census(record: Database) -> dict[str, str]:
    """Return the hash of every stored document that is neither a Patient nor a Person."""
    found = {}
    for name in await record.list_collection_names():
        if name[0].isupper() and name.partition("_")[0] not in {"Patient", "Person"}:
            async for row in record[name].find({}):
                found[f"{name}/{row['_id']}"] = sha256(bson.encode(row)).hexdigest()
    return found


def code_of(answer: httpx.Response) -> str:
    (issue,) = answer.json()["issue"]
    return str(issue["extension"][0]["valueString"])


def named(answer: httpx.Response, name: str) -> list[Any]:
    rows = [row for row in answer.json()["parameter"] if row["name"] == name]
    return [next(value for key, value in row.items() if key != "name") for row in rows]


async def test_a_link_joins_two_patients_and_a_person_and_changes_nothing_else(
    two: Registered, record: Database
) -> None:
    before = await census(record)
    answer = await two.ask("link")
    assert answer.status_code == 200, answer.text
    assert [one["reference"] for one in named(answer, "patient")] == [
        f"Patient/{two.one}/_history/2",
        f"Patient/{two.other}/_history/2",
    ]
    for mine, theirs in ((two.one, two.other), (two.other, two.one)):
        assert (await two.read(mine))["link"] == [{"other": {"reference": f"Patient/{theirs}"}, "type": "seealso"}]
        assert await reached(record, mine) == {two.one, two.other}
    (person,) = named(answer, "person")
    hub = (await two.client.get(person["reference"])).json()
    assert [one["target"]["reference"] for one in hub["link"]] == [f"Patient/{two.one}", f"Patient/{two.other}"]
    assert set(hub) == {"resourceType", "id", "meta", "active", "link"}, "the hub holds links and nothing else"
    assert await census(record) == before


async def test_a_link_that_is_there_already_is_told_and_not_made_again(two: Registered) -> None:
    first = await two.ask("link")
    again = await two.ask("link", two.one, two.other)
    assert named(first, "changed") == [True]
    assert (again.status_code, named(again, "changed")) == (200, [False])
    assert named(again, "since") == named(first, "since")
    assert (await two.read(two.one))["meta"]["versionId"] == "2"


async def test_a_link_raises_the_epoch_and_is_followed_on_other_workers(two: Registered, record: Database) -> None:
    async def epoch() -> int:
        row = await record["meta"].find_one({"_id": "auth-epoch"})
        return int(row["n"]) if row else 0

    before = await epoch()
    await two.ask("link")
    assert await epoch() == before + 1
    await two.ask("unlink")
    assert await epoch() == before + 2


async def test_unlinking_restores_both_and_tells_who_saw_what_meanwhile(two: Registered, record: Database) -> None:
    before = {name: await two.read(name) for name in (two.one, two.other)}
    await two.client.get(f"Observation?patient=Patient/{two.other}")  # before the link: not told
    linked_at = named(await two.ask("link"), "since")
    await two.client.get(f"Observation?patient=Patient/{two.one}")
    answer = await two.ask("unlink", two.one, two.other)
    assert answer.status_code == 200, answer.text
    for name, patient in before.items():
        now = await two.read(name)
        assert {**now, "meta": None} == {**patient, "meta": None}
        assert await reached(record, name) == {name}
    assert named(answer, "since") == linked_at
    assert named(answer, "seen-count") == [1]
    assert named(answer, "still-linked") == [False]
    (seen,) = named(answer, "seen")
    rows = {row["name"]: row for row in seen}
    assert rows["interaction"]["valueCode"] == "search-type"
    assert rows["patient"]["valueReference"] == {"reference": f"Patient/{two.one}"}
    assert rows["type"]["valueCode"] == "Observation"
    assert f"AuditEvent?patient=Patient/{two.one},Patient/{two.other}&date=ge" in named(answer, "trail")[0]
    (person,) = named(answer, "person")
    hub = (await two.client.get(person["reference"])).json()
    assert [one["target"]["reference"] for one in hub["link"]] == [f"Patient/{two.other}"]


async def test_a_chain_that_is_cut_leaves_both_ends_with_their_own_person(
    client: httpx.AsyncClient, record: Database
) -> None:
    first, second = await registered(client), await registered(client)
    await first.ask("link")
    await second.ask("link")
    answer = await first.ask("link", second.one, first.other)
    people = [one["_id"] async for one in record["Person"].find({"rf": f"Patient/{second.one}"})]
    assert len(people) == 2, "the second pair had a Person of its own before"
    assert await reached(record, first.one) == {first.one, first.other, second.one, second.other}
    await first.ask("unlink", second.one, first.other)
    assert await reached(record, first.one) == {first.one, first.other}
    assert await reached(record, second.one) == {second.one, second.other}
    hub = (await client.get(named(answer, "person")[0]["reference"])).json()
    assert [one["target"]["reference"] for one in hub["link"]] == [f"Patient/{first.one}", f"Patient/{first.other}"]


@pytest.mark.parametrize(("operation", "status", "code"), [("link", 422, "link-self"), ("unlink", 422, "not-linked")])
async def test_a_patient_is_not_linked_to_itself(two: Registered, operation: str, status: int, code: str) -> None:
    answer = await two.ask(operation, two.one)
    assert (answer.status_code, code_of(answer)) == (status, code)


async def test_what_is_not_there_is_not_linked_and_nothing_is_half_stored(two: Registered, record: Database) -> None:
    assert (await two.ask("link", "nobody-here")).status_code == 404
    assert (await two.ask("link", patient="nobody-here")).status_code == 404
    assert "link" not in await two.read(two.one)
    assert await reached(record, two.one) == {two.one}


@pytest.mark.parametrize(
    "value",
    [
        {"reference": "Practitioner/1"},
        {"reference": "https://elsewhere.example/fhir/Patient/1"},
        {"reference": 7},
        {},
    ],
)
async def test_other_is_a_patient_of_this_server(two: Registered, value: Json) -> None:
    body = {"resourceType": "Parameters", "parameter": [{"name": "other", "valueReference": value}]}
    answer = await two.client.post(f"Patient/{two.one}/$link", json=body)
    assert answer.status_code == 400
    assert answer.json()["issue"][0]["expression"] == ["http.other"]


async def test_more_than_one_person_can_have_registered_is_not_one_person(two: Registered, record: Database) -> None:
    others = [
        {"id": f"made-up-{number}", "kind": "seealso", "at": datetime(2026, 1, 1, tzinfo=UTC)} for number in range(MOST)
    ]
    await record["patient_links"].update_one({"_id": two.other}, {"$set": {"links": others}}, upsert=True)
    answer = await two.ask("link")
    assert (answer.status_code, code_of(answer)) == (422, "link-too-many")


async def test_a_merge_replaces_the_duplicate_and_rewrites_nothing_else(two: Registered, record: Database) -> None:
    before = await census(record)
    answer = await two.merge()
    assert answer.status_code == 200, answer.text
    source, target = await two.read(two.one), await two.read(two.other)
    assert source["active"] is False
    assert source["link"] == [{"other": {"reference": f"Patient/{two.other}"}, "type": "replaced-by"}]
    assert target["link"] == [{"other": {"reference": f"Patient/{two.one}"}, "type": "replaces"}]
    assert "active" not in target
    assert named(answer, "source") == [source]
    assert named(answer, "result") == [target]
    assert await reached(record, two.other) == {two.one, two.other}, "reads of the duplicate's record follow"
    assert await census(record) == before


async def test_unmerging_restores_both(two: Registered, record: Database) -> None:
    before = [await two.read(name) for name in (two.one, two.other)]
    await two.merge(result_patient={"resource": {"resourceType": "Patient", "id": two.other, "gender": "female"}})
    assert (await two.read(two.other))["gender"] == "female"
    answer = await two.client.post(f"Patient/{two.one}/$unmerge")
    assert answer.status_code == 200, answer.text
    for name, patient in zip((two.one, two.other), before, strict=True):
        assert {**await two.read(name), "meta": None} == {**patient, "meta": None}
        assert await reached(record, name) == {name}


async def test_unmerging_keeps_what_was_changed_since_and_says_so(two: Registered) -> None:
    await two.merge()
    target = await two.read(two.other)
    await two.client.put(f"Patient/{two.other}", json={**target, "gender": "male"})
    answer = await two.client.post(f"Patient/{two.one}/$unmerge")
    assert named(answer, "outcome")[0]["issue"][0]["code"] == "incomplete"
    now = await two.read(two.other)
    assert (now["gender"], "link" in now) == ("male", False)
    assert "active" not in await two.read(two.one)


async def test_a_preview_stores_nothing(two: Registered, record: Database) -> None:
    answer = await two.merge(preview={"valueBoolean": True})
    assert answer.status_code == 200
    assert named(answer, "source")[0]["active"] is False
    assert (await two.read(two.one))["meta"]["versionId"] == "1"
    assert await reached(record, two.one) == {two.one}


async def test_merge_into_itself_and_of_a_chain_already_merged_is_refused(
    client: httpx.AsyncClient, two: Registered
) -> None:
    answer = await Registered(client, two.one, two.one).merge()
    assert (answer.status_code, code_of(answer)) == (422, "merge-self")
    assert (await two.merge()).status_code == 200
    for again in (two, Registered(client, two.other, two.one)):
        answer = await again.merge()
        assert (answer.status_code, code_of(answer)) == (422, "merge-replaced")
    answer = await two.ask("link", two.other)
    assert (answer.status_code, code_of(answer)) == (422, "link-merged")
    answer = await two.ask("unlink")
    assert (answer.status_code, code_of(answer)) == (422, "not-linked")
    third = await registered(client)
    answer = await two.ask("link", third.one)
    assert (answer.status_code, code_of(answer)) == (422, "link-replaced")


async def test_what_was_not_merged_here_is_not_unmerged(two: Registered) -> None:
    answer = await two.client.post(f"Patient/{two.one}/$unmerge")
    assert (answer.status_code, code_of(answer)) == (422, "not-merged")


async def test_the_result_of_a_merge_is_a_valid_version_of_the_patient_that_stays(two: Registered) -> None:
    for result, status in (
        ({"resourceType": "Patient", "id": two.one}, 400),
        ({"resourceType": "Person", "id": two.other}, 400),
        ({"resourceType": "Patient", "id": two.other, "gender": "x"}, 400),
    ):
        answer = await two.merge(result_patient={"resource": result})
        assert answer.status_code == status, answer.text
    assert (await two.read(two.one))["meta"]["versionId"] == "1"


async def test_an_update_or_deletion_does_not_take_a_confirmed_link_away(two: Registered, record: Database) -> None:
    await two.ask("link")
    patient = await two.read(two.one)
    bare = {name: value for name, value in patient.items() if name != "link"}
    entry = {"resource": bare, "request": {"method": "PUT", "url": f"Patient/{two.one}"}}
    patch = {"Content-Type": "application/json-patch+json"}
    answers = [
        await two.client.put(f"Patient/{two.one}", json=bare),
        await two.client.patch(f"Patient/{two.one}", json=[{"op": "remove", "path": "/link"}], headers=patch),
        await two.client.post("", json={"resourceType": "Bundle", "type": "transaction", "entry": [entry]}),
    ]
    for answer in answers:
        assert (answer.status_code, code_of(answer)) == (409, "link-confirmed"), answer.text
    assert (await two.client.delete(f"Patient/{two.one}")).status_code == 409
    assert (await two.client.put(f"Patient/{two.one}", json={**patient, "gender": "female"})).status_code == 200
    assert await reached(record, two.one) == {two.one, two.other}


async def test_a_link_that_nobody_has_confirmed_comes_and_goes_by_update_and_opens_nothing(
    two: Registered, record: Database
) -> None:
    patient = await two.read(two.one)
    link = [{"other": {"reference": f"Patient/{two.other}"}, "type": "seealso"}]
    assert (await two.client.put(f"Patient/{two.one}", json={**patient, "link": link})).status_code == 200
    assert await reached(record, two.one) == {two.one}
    assert (await two.client.put(f"Patient/{two.one}", json=patient)).status_code == 200


async def test_a_link_beside_which_there_is_another_way_is_undone_and_they_are_still_one(
    client: httpx.AsyncClient, record: Database
) -> None:
    pair, third = await registered(client), await registered(client)
    for one, other in ((pair.one, pair.other), (pair.other, third.one), (third.one, pair.one)):
        assert (await pair.ask("link", other, one)).status_code == 200
    answer = await pair.ask("unlink")
    assert named(answer, "still-linked") == [True]
    assert await reached(record, pair.one) == {pair.one, pair.other, third.one}
    answer = await pair.ask("unlink", third.one)
    assert named(answer, "still-linked") == [False]
    assert await reached(record, pair.one) == {pair.one}


async def test_links_that_are_confirmed_at_the_same_time_are_one_link_and_one_person(
    two: Registered, record: Database
) -> None:
    pairs = ((two.one, two.other), (two.other, two.one)) * 2
    answers = await asyncio.gather(*(two.ask("link", other, one) for one, other in pairs))
    assert [one.status_code for one in answers] == [200] * 4
    assert sorted(named(one, "changed")[0] for one in answers) == [False, False, False, True]
    assert await record["Person"].count_documents({"rf": f"Patient/{two.one}"}) == 1
    assert len((await two.read(two.one))["link"]) == 1


async def test_an_update_that_meets_a_link_or_its_end_leaves_both_agreeing(two: Registered, record: Database) -> None:
    """Whoever comes first: the link stands in the Patient if and only if access goes by it."""
    bare = {name: value for name, value in (await two.read(two.one)).items() if name != "meta"}
    for operation in ("link", "unlink", "link"):
        updates = [two.client.put(f"Patient/{two.one}", json=bare) for _ in range(3)]
        answers = await asyncio.gather(two.ask(operation), *updates)
        assert {one.status_code for one in answers} <= {200, 409}
        stated = {one["other"]["reference"] for one in (await two.read(two.one)).get("link", [])}
        known = await reached(record, two.one) - {two.one}
        assert stated == {f"Patient/{one}" for one in known}
