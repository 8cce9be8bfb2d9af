"""The worker takes a job to one of its ends, whatever the job does."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import pytest

from fhir_server.jobs import Job, Work, discovered
from fhir_server.model.errors import Unprocessable
from fhir_server.model.queue import JobRecord
from fhir_server.settings import Jobs
from fhir_server.store import Store
from fhir_server.worker import Worker
from tests.store.conftest import store

__all__ = ["store"]

PATIENCE = 30.0
Run = Callable[[Work], Awaitable[Mapping[str, Any]]]


def worker(store: Store, run: Run, *, lease: float = 30.0, attempts: int = 5) -> Worker:
    def prepare(record: JobRecord, save: Any) -> Work:
        return Work(record, save, Jobs(), None, None, None)  # type: ignore[arg-type] # these jobs index nothing

    jobs = {"test": Job("test", run, limit=1, attempts=attempts)}
    return Worker(store.jobs, jobs, prepare, lambda part: f"here {part}", concurrency=2, lease=lease)


async def until(store: Store, job_id: str, *states: str) -> JobRecord:
    async with asyncio.timeout(PATIENCE):
        while True:
            job = await store.jobs.get(job_id)
            assert job is not None
            if job.state in states:
                return job
            await asyncio.sleep(0.02)


async def test_a_job_is_done_with_its_result(store: Store) -> None:
    async def run(work: Work) -> Mapping[str, Any]:
        return {"sum": sum(work.record.payload["numbers"])}

    queued = await store.jobs.enqueue("test", {"numbers": [1, 2]})
    async with worker(store, run).running():
        assert (await until(store, queued.id, "done")).result == {"sum": 3}


async def test_a_failure_names_our_refusals_and_hides_faults(store: Store) -> None:
    async def run(work: Work) -> Mapping[str, Any]:
        if work.record.payload["expected"]:
            raise Unprocessable("It is too large.")
        raise ValueError("Mrs Smith")

    async with worker(store, run, attempts=1).running():
        refused = await store.jobs.enqueue("test", {"expected": True})
        assert (await until(store, refused.id, "failed")).error == "It is too large."
        fault = await store.jobs.enqueue("test", {"expected": False})
        error = (await until(store, fault.id, "failed")).error
    assert "ValueError" in error
    assert "Smith" not in error


async def test_a_worker_that_ends_gives_its_job_back_with_its_checkpoint(store: Store) -> None:
    began = asyncio.Event()

    async def run(work: Work) -> Mapping[str, Any]:
        if work.record.checkpoint:
            return {"from": work.record.checkpoint["at"]}
        await work.save({"at": 7}, {})
        began.set()
        await asyncio.sleep(PATIENCE)
        return {}

    queued = await store.jobs.enqueue("test", {})
    async with worker(store, run).running():
        await began.wait()
    given_back = await store.jobs.get(queued.id)
    assert given_back is not None
    assert (given_back.state, given_back.failures) == ("queued", 0)
    async with worker(store, run).running():
        assert (await until(store, queued.id, "done")).result == {"from": 7}


@pytest.mark.parametrize("saves", [True, False])
async def test_a_cancelled_job_stops_whether_it_reports_or_not(store: Store, saves: bool) -> None:
    began = asyncio.Event()

    async def run(work: Work) -> Mapping[str, Any]:
        while True:
            if saves:
                await work.save({}, {})
            began.set()
            await asyncio.sleep(0.05)

    queued = await store.jobs.enqueue("test", {})
    async with worker(store, run, lease=0.6).running():
        await began.wait()
        await store.jobs.cancel(queued.id)
        assert (await until(store, queued.id, "cancelled")).result == {}


async def test_a_job_that_another_has_taken_is_dropped(store: Store, database: Any) -> None:
    began, dropped = asyncio.Event(), asyncio.Event()

    async def run(work: Work) -> Mapping[str, Any]:
        began.set()
        try:
            await asyncio.sleep(PATIENCE)
        finally:
            dropped.set()
        return {}

    queued = await store.jobs.enqueue("test", {})
    async with worker(store, run, lease=0.6).running():
        await began.wait()
        await database.jobs.update_one({"_id": queued.id}, {"$inc": {"attempt": 1}})
        async with asyncio.timeout(PATIENCE):
            await dropped.wait()


async def test_a_job_whose_process_ended_each_time_is_given_up(store: Store, database: Any) -> None:
    async def run(work: Work) -> Mapping[str, Any]:
        raise AssertionError("it is not run again")

    queued = await store.jobs.enqueue("test", {})
    await database.jobs.update_one({"_id": queued.id}, {"$set": {"failures": 2}})
    async with worker(store, run, attempts=2).running():
        assert "process ended" in (await until(store, queued.id, "failed")).error


def test_every_module_states_its_job() -> None:
    assert {"reindex"} <= set(discovered())
