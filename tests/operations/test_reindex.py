"""$reindex and $reindex-status: entries are made again, and nothing else is changed."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
from pymongo.asynchronous.database import AsyncDatabase

PATIENCE = 30.0
Record = AsyncDatabase[dict[str, Any]]


def values(body: dict[str, Any]) -> dict[str, Any]:
    """Return the parts of the first job of a status, by name."""
    parts = body["parameter"][0]["part"]
    return {part["name"]: next(value for key, value in part.items() if key.startswith("value")) for part in parts}


async def ended(client: httpx.AsyncClient, location: str) -> dict[str, Any]:
    async with asyncio.timeout(PATIENCE):
        while True:
            found = values((await client.get(location)).json())
            if found["state"] not in {"queued", "leased"}:
                return found
            await asyncio.sleep(0.05)


async def test_wrong_entries_are_mended_and_nothing_else_is_touched(client: httpx.AsyncClient, record: Record) -> None:
    for number in range(30):
        body = {"resourceType": "Patient", "id": f"r{number}", "name": [{"family": f"Right{number}"}]}
        assert (await client.put(f"Patient/r{number}", json=body)).status_code == 201
    await record.Patient.update_many(
        {"_id": {"$in": ["r3", "r4"]}}, {"$set": {"s": {"family": "wrong"}}, "$unset": {"k": 1}}
    )
    before = {row["_id"]: row async for row in record.Patient.find()}
    assert (await client.get("Patient?family=Right3")).json()["total"] == 0

    response = await client.post("Patient/$reindex")
    assert response.status_code == 202, response.text
    job = await ended(client, response.headers["content-location"])
    assert (job["state"], job["done"], job["changed"], job["type"]) == ("done", 30, 2, "Patient")
    assert (await client.get("Patient?family=Right3")).json()["total"] == 1
    after = {row["_id"]: row async for row in record.Patient.find()}
    for resource_id, row in after.items():
        for name in ("v", "lu", "o", "m", "r", "j"):
            assert row[name] == before[resource_id][name]
        if resource_id not in {"r3", "r4"}:
            assert row == before[resource_id]
    assert await record.Patient_h.count_documents({}) == 0


async def test_all_types_are_the_default(client: httpx.AsyncClient) -> None:
    response = await client.post("$reindex")
    assert response.status_code == 202
    job = await ended(client, response.headers["content-location"])
    assert job["state"] == "done"
    assert job["changed"] == 0
    assert "type" not in job


async def test_types_may_be_named_in_a_parameters_resource(client: httpx.AsyncClient) -> None:
    rows = [{"name": "type", "valueCode": name} for name in ("Patient", "Organization")]
    response = await client.post("$reindex", json={"resourceType": "Parameters", "parameter": rows})
    assert response.status_code == 202, response.text
    assert (await ended(client, response.headers["content-location"]))["state"] == "done"


async def test_what_cannot_be_asked_is_refused(client: httpx.AsyncClient) -> None:
    for path, status, text in (
        ("$reindex?type=Patint", 404, "'Patint' is not a resource type"),
        ("$reindex?kind=Patient", 400, "no parameter 'kind'. It takes type"),
        ("Patint/$reindex", 404, "Patint"),
    ):
        response = await client.post(path)
        assert response.status_code == status, response.text
        assert text in response.text
    assert (await client.get("$reindex")).status_code == 405
    assert (await client.get("Patient/x/$reindex")).status_code == 405
    response = await client.post("$reindex", json={"resourceType": "Patient"})
    assert response.status_code == 400
    assert "Parameters resource" in response.text


async def test_status_tells_of_jobs_and_of_their_absence(client: httpx.AsyncClient) -> None:
    await client.post("$reindex")
    listed = (await client.get("$reindex-status")).json()
    assert listed["resourceType"] == "Parameters"
    assert {row["name"] for row in listed["parameter"]} == {"job"}
    response = await client.get("$reindex-status?job=nobody")
    assert response.status_code == 404
    assert "kept for a month" in response.text
    assert (await client.delete("$reindex-status")).status_code == 400


async def test_a_job_is_stopped_by_delete(client: httpx.AsyncClient, record: Record) -> None:
    """One that is put off cannot be done before it is stopped."""
    response = await client.post("Organization/$reindex")
    job_id = response.json()["parameter"][0]["valueId"]
    stopped = await client.delete(f"$reindex-status?job={job_id}")
    assert stopped.status_code == 202
    assert (await ended(client, f"$reindex-status?job={job_id}"))["state"] in {"cancelled", "done"}


async def test_a_job_of_another_kind_is_not_stopped(client: httpx.AsyncClient, record: Record) -> None:
    job_id = (await client.post("Organization/$reindex")).json()["parameter"][0]["valueId"]
    path = f"$reindex-status?job={job_id}"
    await ended(client, path)
    late = datetime.now(UTC) + timedelta(hours=1)
    await record.jobs.update_one({"_id": job_id}, {"$set": {"state": "queued", "due": late}})
    assert (await client.delete(f"$validate-stored-status?job={job_id}")).status_code == 404
    assert '"queued"' in (await client.get(path)).text
    assert (await client.delete(path)).status_code == 202
    assert '"cancelled"' in (await client.get(path)).text


async def test_operations_are_stated(client: httpx.AsyncClient) -> None:
    (rest,) = (await client.get("metadata")).json()["rest"]
    assert {row["name"] for row in rest["operation"]} >= {"reindex", "reindex-status"}
    (patient,) = (row for row in rest["resource"] if row["type"] == "Patient")
    assert {row["name"] for row in patient["operation"]} >= {"match", "reindex"}
