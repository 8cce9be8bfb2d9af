"""The worker takes a job to one of its ends, whatever the job does."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import fields
from typing import Any

import pytest

from fhir_server.jobs import Job, Work, discovered
from fhir_server.model.errors import Conflict, Forbidden, Unprocessable
from fhir_server.model.queue import JobRecord
from fhir_server.settings import Jobs
from fhir_server.store import Store
from fhir_server.worker import Worker
from tests.store.conftest import store

__all__ = ["store"]

PATIENCE = 30.0
Run = Callable[[Work], Awaitable[Mapping[str, Any]]]


def prepare(record: JobRecord, save: Any) -> Work:
    """Return what jobs get that need nothing but to save."""
    nothing: list[Any] = [None for _ in fields(Work)[3:]]
    return Work(record, save, Jobs(), *nothing)


def worker(store: Store, run: Run, *, lease: float = 30.0, attempts: int = 5) -> Worker:
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


async def test_a_run_that_outlives_its_cancellation_is_ended_before_the_worker_is(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fhir_server.worker.TIDYING", 0.6)  # longer than the worker's loops are left in peace
    began, told = asyncio.Event(), 0

    async def run(work: Work) -> Mapping[str, Any]:
        nonlocal told
        while True:
            began.set()
            try:
                await asyncio.sleep(PATIENCE)
            except asyncio.CancelledError:
                told += 1
                if told == 2:
                    raise

    await store.jobs.enqueue("test", {})
    async with asyncio.timeout(PATIENCE), worker(store, run).running():
        await began.wait()
    assert told == 2


async def test_a_job_whose_process_ended_each_time_is_given_up(store: Store, database: Any) -> None:
    async def run(work: Work) -> Mapping[str, Any]:
        raise AssertionError("it is not run again")

    queued = await store.jobs.enqueue("test", {})
    await database.jobs.update_one({"_id": queued.id}, {"$set": {"failures": 2}})
    async with worker(store, run, attempts=2).running():
        assert "process ended" in (await until(store, queued.id, "failed")).error


def test_every_module_states_its_job() -> None:
    assert {"reindex"} <= set(discovered())


async def test_what_is_refused_for_good_is_not_tried_again(store: Store) -> None:
    async def run(work: Work) -> Mapping[str, Any]:
        if work.record.payload["busy"] and work.record.attempt == 1:
            raise Conflict("Somebody else was first.")
        if work.record.payload["busy"]:
            return {}
        raise Forbidden("The grant is over.")

    async with worker(store, run).running():
        refused = await store.jobs.enqueue("test", {"busy": False})
        ended = await until(store, refused.id, "failed")
        assert (ended.attempt, ended.error) == (1, "The grant is over.")
        busy = await store.jobs.enqueue("test", {"busy": True})
        assert (await until(store, busy.id, "done")).attempt == 2


async def test_a_job_that_was_given_up_is_tried_again_where_it_was(store: Store) -> None:
    async def run(work: Work) -> Mapping[str, Any]:
        if not work.record.checkpoint:
            await work.save({"at": 3}, {})
            raise Unprocessable("The disk is full.")
        return {"from": work.record.checkpoint["at"]}

    async with worker(store, run).running():
        queued = await store.jobs.enqueue("test", {})
        await until(store, queued.id, "failed")
        again = await store.jobs.retry(queued.id)
        assert again is not None
        assert (await until(store, queued.id, "done")).result == {"from": 3}
        assert await store.jobs.retry(queued.id) is None, "what is done is not done again"


async def test_of_a_standing_job_there_is_always_one_and_it_takes_no_place(store: Store) -> None:
    runs: list[str] = []
    begun, again = asyncio.Event(), asyncio.Event()

    async def stand(work: Work) -> Mapping[str, Any]:
        runs.append(work.record.id)
        begun.set()
        if len(runs) == 1:
            raise ValueError("a fault")
        again.set()
        await asyncio.sleep(PATIENCE)
        return {}

    async def run(work: Work) -> Mapping[str, Any]:
        return {}

    jobs = {"test": Job("test", run), "standing": Job("standing", stand, standing=True)}
    workers = [
        Worker(store.jobs, jobs, prepare, lambda part, one=one: f"here {one}{part}", concurrency=1)  # type: ignore[misc] # a default
        for one in "ab"
    ]
    async with workers[0].running(), workers[1].running(), asyncio.timeout(PATIENCE):
        await begun.wait()
        queued = await store.jobs.enqueue("test", {})
        await until(store, queued.id, "done")
        await again.wait()
        live = await store.jobs.listed(["standing"], ["queued", "leased"], 10)
        assert [one.state for one in live] == ["leased"]
        assert len(runs) == 2, "one of two workers has it, and only after its fault it is run again"


async def test_a_kind_has_as_many_places_as_the_settings_give_it(store: Store) -> None:
    at_once, most = 0, 0

    async def run(work: Work) -> Mapping[str, Any]:
        nonlocal at_once, most
        at_once += 1
        most = max(most, at_once)
        await asyncio.sleep(0.05)
        at_once -= 1
        return {}

    jobs = {"test": Job("test", run)}
    queued = [await store.jobs.enqueue("test", {}) for _ in range(6)]
    async with Worker(
        store.jobs, jobs, prepare, lambda part: f"here {part}", concurrency=4, limits={"test": 2}
    ).running():
        for one in queued:
            await until(store, one.id, "done")
    assert most == 2
