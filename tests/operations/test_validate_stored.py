"""$validate-stored over HTTP: what is wrong is counted by kind, beside the writers, and nothing is changed."""

import asyncio
from typing import Any

import httpx
import pytest
from pymongo.asynchronous.database import AsyncDatabase

from fhir_server.repository import surveying
from fhir_server.repository.surveying import MOST_KINDS, Tally
from profiles.issue import Issue

Json = dict[str, Any]
Record = AsyncDatabase[Json]
CORE = "http://hl7.org/fhir/StructureDefinition"
PRESSURE, WEIGHT = f"{CORE}/bp", f"{CORE}/bodyweight"
PATIENCE = 60.0


def parts(row: Json) -> Json:
    """Return the parts of a parameter by name: values, and lists of those that may repeat."""
    found: Json = {"finding": [], "example": [], "package": []}
    for part in row["part"]:
        value = parts(part) if "part" in part else next(one for key, one in part.items() if key.startswith("value"))
        if isinstance(found.get(part["name"]), list):
            found[part["name"]].append(value)
        else:
            found[part["name"]] = value
    return found


async def reported(client: httpx.AsyncClient, path: str) -> Json:
    response = await client.post(path)
    assert response.status_code == 202, response.text
    async with asyncio.timeout(PATIENCE):
        while True:
            told = await client.get(response.headers["content-location"])
            assert told.status_code == 200, told.text
            (row,) = told.json()["parameter"]
            if (found := parts(row))["state"] not in {"queued", "leased"}:
                return found
            await asyncio.sleep(0.05)


async def stored(client: httpx.AsyncClient, name: str, *profiles: str, **more: Any) -> None:
    meta = {"meta": {"profile": [*profiles]}} if profiles else {}
    body = {"resourceType": "Observation", "id": name, **meta, "status": "final", "code": {"text": "x"}, **more}
    response = await client.put(f"Observation/{name}", json=body)
    assert response.status_code in {200, 201}, response.text


async def test_findings_are_counted_by_kind_with_examples(client: httpx.AsyncClient, record: Record) -> None:
    for number in range(70):
        await stored(client, f"claims{number:02}", PRESSURE)
    await stored(client, "plain")
    # What an earlier release let pass, and this one would not.
    await record.Observation.update_one(
        {"_id": "plain"},
        [{"$set": {"j": {"$literal": b'{"resourceType":"Observation","id":"plain","status":"gone"}'}}}],
    )
    before = [row async for row in record.Observation.find().sort("_id")]
    job = await reported(client, "Observation/$validate-stored?examples=3")
    assert (job["state"], job["done"], job["failing"], job["type"]) == ("done", 71, 71, "Observation")
    assert [row async for row in record.Observation.find().sort("_id")] == before
    by_profile = [row for row in job["finding"] if row.get("profile") == PRESSURE and row["severity"] == "error"]
    assert by_profile
    for row in by_profile:
        assert row["count"] % 70 == 0
        assert row["example"] == ["Observation/claims00", "Observation/claims01", "Observation/claims02"]
        assert "[" not in row["path"]
    (code,) = (row for row in job["finding"] if row["path"] == "Observation.status")
    assert (code["code"], code["count"], code["example"]) == ("code-invalid", 1, ["Observation/plain"])
    severities = [row["severity"] for row in job["finding"]]
    assert severities == sorted(severities), "errors come first"
    await record.Observation.delete_one({"_id": "plain"})


async def test_a_profile_is_asked_of_all_of_its_type_and_a_time_of_what_is_newer(client: httpx.AsyncClient) -> None:
    await client.put("Patient/aside", json={"resourceType": "Patient", "id": "aside"})
    last = await client.put("Patient/aside2", json={"resourceType": "Patient", "id": "aside2"})
    since = last.json()["meta"]["lastUpdated"]
    for number in range(3):
        await stored(client, f"later{number}")
    job = await reported(client, f"$validate-stored?profile={WEIGHT}&since={since}")
    assert (job["state"], job["done"], job["failing"], job["since"]) == ("done", 3, 3, since)
    assert {row["type"] for row in job["finding"]} == {"Observation"}
    assert any(row.get("profile") == WEIGHT for row in job["finding"])
    newer = await reported(client, f"$validate-stored?since={since}")
    assert newer["done"] == 4


async def test_it_goes_on_where_it_was_and_begins_anew_by_other_packages(
    client: httpx.AsyncClient, record: Record
) -> None:
    """A job that was left by a process that died has its checkpoint."""
    await stored(client, "claims00", PRESSURE)
    whole = await reported(client, "Observation/$validate-stored")
    kinds = [["Observation", "error", "invariant", "counted-before", "", "", 7, ["x"]]]
    tally = {"done": 40, "failing": 40, "kinds": kinds, "other": 0}
    for packages, counted in ((whole["package"], True), (["other#1.0"], False)):
        response = await client.post(f"Observation/$validate-stored?examples={1 if counted else 2}")
        job_id = response.json()["parameter"][0]["valueId"]
        last = (await record.Observation.find().sort("_id", -1).limit(1).to_list())[0]["_id"]
        checkpoint = {"packages": packages, "type": "Observation", "after": last, "total": 1, "tally": tally}
        changed = await record.jobs.update_one(
            {"_id": job_id}, {"$set": {"checkpoint": checkpoint, "state": "queued", "due": None}, "$unset": {"slot": 1}}
        )
        assert changed.matched_count == 1
        del changed
        job = await reported_of(client, job_id)
        messages = {row.get("message") for row in job["finding"]}
        assert ("counted-before" in messages) == counted
        assert job["done"] == (40 if counted else whole["done"])


async def reported_of(client: httpx.AsyncClient, job_id: str) -> Json:
    async with asyncio.timeout(PATIENCE):
        while True:
            (row,) = (await client.get(f"$validate-stored-status?job={job_id}")).json()["parameter"]
            if (found := parts(row))["state"] not in {"queued", "leased"}:
                return found
            await asyncio.sleep(0.05)


async def test_what_cannot_be_asked_is_refused(client: httpx.AsyncClient) -> None:
    for path, status, text in (
        ("$validate-stored?type=Patint", 404, "'Patint' is not a resource type"),
        (f"$validate-stored?profile={CORE}/bodyweigth", 400, f"Did you mean '{CORE}/bodyweight'?"),
        (f"Patient/$validate-stored?profile={WEIGHT}", 400, "is for Observation"),
        ("$validate-stored?since=yesterday", 400, "not a valid instant"),
        ("$validate-stored?examples=1000", 400, "at most 50"),
    ):
        response = await client.post(path)
        assert response.status_code == status, response.text
        assert text in response.text
    assert (await client.get("$validate-stored")).status_code == 405
    assert (await client.get("$validate-stored-status?job=nobody")).status_code == 404
    assert (await client.delete("$validate-stored-status")).status_code == 400
    reindexing = (await client.post("Organization/$reindex")).json()["parameter"][0]["valueId"]
    assert (await client.get(f"$validate-stored-status?job={reindexing}")).status_code == 404


async def test_a_job_is_listed_and_stopped(client: httpx.AsyncClient) -> None:
    response = await client.post("Location/$validate-stored")
    job_id = response.json()["parameter"][0]["valueId"]
    assert (await client.delete(f"$validate-stored-status?job={job_id}")).status_code == 202
    listed = [parts(row) for row in (await client.get("$validate-stored-status")).json()["parameter"]]
    assert job_id in [row["id"] for row in listed]
    assert (await reported_of(client, job_id))["state"] in {"cancelled", "done"}


def test_a_report_has_room_for_so_many_kinds_and_counts_the_rest() -> None:
    tally = Tally()
    for number in range(MOST_KINDS + 10):
        tally.add("Patient", "p", [Issue("error", "value", "x", f"Patient.a{number}", "m")], 2)
    assert (len(tally.kinds), tally.other, tally.done, tally.failing) == (
        MOST_KINDS,
        10,
        MOST_KINDS + 10,
        MOST_KINDS + 10,
    )
    again = Tally.of(tally.plain())
    assert again.plain() == tally.plain()
    assert len(surveying.findings(tally.plain()["kinds"])) == MOST_KINDS


@pytest.mark.parametrize(
    ("expression", "path"),
    [
        ("Patient.name[0].given[12]", "Patient.name.given"),
        ("Bundle.entry[2].resource/*Patient/1*/.gender", "Bundle.entry.resource.gender"),
    ],
)
def test_paths_are_told_without_places(expression: str, path: str) -> None:
    tally = Tally()
    tally.add("Bundle", "b", [Issue("error", "value", "x", expression)], 1)
    assert [row.path for row in surveying.findings(tally.plain()["kinds"])] == [path]
