"""$jobs and $retry-job: whoever looks after the record sees its background work, and stops it or tries it again."""

from typing import Any

import httpx
from pymongo.asynchronous.database import AsyncDatabase

from tests.operations.test_reindex import ended

Record = AsyncDatabase[dict[str, Any]]


def told(body: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the jobs of an answer, by the names of their parts."""
    return [
        {
            part["name"]: next((v for key, v in part.items() if key.startswith("value")), part.get("part"))
            for part in one["part"]
        }
        for one in body.get("parameter", ())
    ]


async def test_jobs_are_listed_with_what_they_came_to(client: httpx.AsyncClient) -> None:
    queued = await client.post("Patient/$reindex")
    await ended(client, queued.headers["content-location"])
    job_id = queued.json()["parameter"][0]["valueId"]
    one = told((await client.get(f"$jobs?job={job_id}")).json())[0]
    assert (one["kind"], one["state"], one["attempt"], one["failures"]) == ("reindex", "done", 1, 0)
    figures = [
        part["part"]
        for part in (await client.get(f"$jobs?job={job_id}")).json()["parameter"][0]["part"]
        if part["name"] == "progress"
    ]
    assert [{"name": "name", "valueCode": "done"}, {"name": "value", "valueString": "0"}] in figures
    assert job_id in [row["id"] for row in told((await client.get("$jobs?kind=reindex&state=done")).json())]
    assert told((await client.get("$jobs?kind=reindex&state=failed")).json()) == []
    assert len(told((await client.get("$jobs?_count=1")).json())) == 1


async def test_a_job_that_was_given_up_is_tried_again_and_no_other(client: httpx.AsyncClient, record: Record) -> None:
    queued = await client.post("Patient/$reindex")
    job_id = queued.json()["parameter"][0]["valueId"]
    await ended(client, queued.headers["content-location"])
    refused = await client.post(f"$retry-job?job={job_id}")
    assert refused.status_code == 409
    assert "is done" in refused.text
    await record.jobs.update_one(
        {"_id": job_id}, {"$set": {"state": "failed", "failures": 5, "error": "The disk is full."}}
    )
    assert told((await client.get(f"$jobs?job={job_id}")).json())[0]["error"] == "The disk is full."
    again = await client.post(f"$retry-job?job={job_id}")
    assert (again.status_code, told(again.json())[0]["state"]) == (202, "queued")
    assert (await ended(client, queued.headers["content-location"]))["state"] == "done"


async def test_what_is_asked_wrongly_is_said(client: httpx.AsyncClient) -> None:
    for path, text in (
        ("$jobs?state=running", "States are queued, leased, done, failed, cancelled"),
        ("$jobs?_count=5000", "at most 1000"),
        ("$jobs?nothing=1", "nothing"),
    ):
        answer = await client.get(path)
        assert answer.status_code == 400
        assert text in answer.json()["issue"][0]["details"]["text"]
    assert (await client.delete("$jobs")).status_code == 400
    for answer in (
        await client.get("$jobs?job=nobody"),
        await client.delete("$jobs?job=nobody"),
        await client.post("$retry-job?job=nobody"),
    ):
        assert answer.status_code == 404
