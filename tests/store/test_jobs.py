"""Each job is finished once, by whoever claimed it last, and nothing of a worker that comes late is heard."""

import asyncio
import os
import random
import sys
from collections import Counter
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from fhir_server.model.queue import JobRecord, Lost
from fhir_server.store import Store
from fhir_server.store import jobs as jobs_module
from fhir_server.store.jobs import Jobs, worker_name

LEASE = 30.0
ANY = {"work": 0}


async def claimed(jobs: Jobs, worker: str = "w", lease: float = LEASE, **limits: int) -> JobRecord:
    job = await jobs.claim(worker, limits or ANY, lease)
    assert job is not None
    return job


async def due_at_once(database: Any, job_id: str) -> None:
    """Move the time at which a job may be claimed into the past, instead of waiting for it."""
    await database.jobs.update_one({"_id": job_id}, [{"$set": {"due": {"$subtract": ["$$NOW", 1]}}}])


async def test_12_workers_finish_200_jobs_once_though_every_fifth_stalls(store: Store) -> None:
    """A stalled worker wakes when its lease is over and reports; nobody listens to it."""
    chance = random.Random(1)
    queued = [(await store.jobs.enqueue("work", {"number": number})).id for number in range(200)]
    stalls = set(chance.sample(queued, 40))
    done: Counter[str] = Counter()
    late = 0

    async def work(name: str) -> None:
        nonlocal late
        while len(done) < len(queued):
            job = await store.jobs.claim(name, ANY, 0.4)
            if job is None:
                await asyncio.sleep(chance.uniform(0.01, 0.05))
                continue
            if job.id in stalls and job.attempt == 1:
                await asyncio.sleep(0.7)
            try:
                await store.jobs.finish(job, {"by": name})
                done[job.id] += 1
            except Lost:
                late += 1

    await asyncio.wait_for(asyncio.gather(*(work(f"w{number}") for number in range(12))), 120)
    assert done == dict.fromkeys(queued, 1)
    rows = [await store.jobs.get(job_id) for job_id in queued]
    assert all(row is not None and row.state == "done" and row.due is None for row in rows)
    assert late == sum(row.attempt - 1 for row in rows if row is not None)
    assert late > 0


async def test_a_late_worker_can_neither_finish_nor_report_nor_extend(store: Store, database: Any) -> None:
    queued = await store.jobs.enqueue("work", {})
    first = await claimed(store.jobs, "first")
    await due_at_once(database, queued.id)
    second = await claimed(store.jobs, "second")
    assert (second.id, second.attempt, second.failures) == (queued.id, 2, 1)
    for late in (
        store.jobs.finish(first, {}),
        store.jobs.heartbeat(first, LEASE),
        store.jobs.checkpoint(first, {"at": 1}, {}, LEASE),
        store.jobs.fail(first, "late", 1),
        store.jobs.release(first),
        store.jobs.stop(first),
    ):
        with pytest.raises(Lost):
            await late
    await store.jobs.finish(second, {"by": "second"})
    there = await store.jobs.get(queued.id)
    assert there is not None
    assert (there.state, there.result, there.checkpoint) == ("done", {"by": "second"}, {})


async def test_the_next_attempt_goes_on_from_the_checkpoint(store: Store, database: Any) -> None:
    queued = await store.jobs.enqueue("work", {"types": ["Patient"]})
    first = await claimed(store.jobs)
    await store.jobs.checkpoint(first, {"after": {"id": "a"}, "round": 1}, {"done": 10}, LEASE)
    assert await store.jobs.checkpoint(first, {"after": {"id": "m"}}, {"done": 20}, LEASE) is False
    await due_at_once(database, queued.id)
    second = await claimed(store.jobs)
    assert second.checkpoint == {"after": {"id": "m"}}
    assert second.progress == {"done": 20}
    assert second.payload == {"types": ["Patient"]}
    assert second.failures == 1


async def test_a_lease_lasts_as_long_as_the_heart_beats(store: Store) -> None:
    await store.jobs.enqueue("work", {})
    job = await claimed(store.jobs, lease=0.3)
    for _ in range(4):
        await asyncio.sleep(0.15)
        assert await store.jobs.heartbeat(job, 0.3) is False
    assert await store.jobs.claim("other", ANY, LEASE) is None
    await asyncio.sleep(0.4)
    assert await store.jobs.claim("other", ANY, LEASE) is not None


async def test_a_failure_is_tried_again_later_and_later_and_then_no_more(store: Store, database: Any) -> None:
    queued = await store.jobs.enqueue("work", {}, key="only")
    pauses = []
    for attempt in range(1, 4):
        job = await claimed(store.jobs)
        assert job.attempt == attempt
        before = await store.clock.told()
        failed = await store.jobs.fail(job, f"no {attempt}", attempts=3)
        if failed.due is not None:
            pauses.append((failed.due - await store.clock.told(), failed.due - before))
            assert await store.jobs.claim("w", ANY, LEASE) is None
            await due_at_once(database, queued.id)
    for (least, most), seconds in zip(pauses, (1, 2), strict=True):  # the clock went on while it was told
        assert least <= timedelta(seconds=seconds)
        assert most >= timedelta(seconds=seconds / 2)
    assert (failed.state, failed.error, failed.due) == ("failed", "no 3", None)
    assert failed.ended is not None
    assert await store.jobs.claim("w", ANY, LEASE) is None
    assert (await store.jobs.enqueue("work", {}, key="only")).id != queued.id


async def test_progress_forgives_earlier_failures(store: Store, database: Any) -> None:
    queued = await store.jobs.enqueue("work", {})
    for _ in range(5):
        job = await claimed(store.jobs)
        await store.jobs.checkpoint(job, {}, {}, LEASE)
        assert (await store.jobs.fail(job, "again", attempts=2)).state == "queued"
        await due_at_once(database, queued.id)


async def test_cancelling_ends_a_waiting_job_and_tells_the_worker_of_a_running_one(store: Store) -> None:
    waiting = await store.jobs.enqueue("work", {})
    ended = await store.jobs.cancel(waiting.id)
    assert ended is not None
    assert ended.state == "cancelled"
    assert await store.jobs.claim("w", ANY, LEASE) is None

    running = await store.jobs.enqueue("work", {})
    job = await claimed(store.jobs)
    asked = await store.jobs.cancel(running.id)
    assert asked is not None
    assert (asked.state, asked.cancel_requested) == ("leased", True)
    assert await store.jobs.heartbeat(job, LEASE) is True
    assert await store.jobs.checkpoint(job, {}, {}, LEASE) is True
    await store.jobs.stop(job)
    stopped = await store.jobs.cancel(running.id)
    assert stopped is not None
    assert (stopped.state, stopped.cancel_requested) == ("cancelled", False)
    assert await store.jobs.cancel("nobody") is None


async def test_no_more_jobs_of_a_kind_run_than_its_limit(store: Store, another: Store, database: Any) -> None:
    for _ in range(6):
        await store.jobs.enqueue("work", {})
        await store.jobs.enqueue("other", {})
    limits = {"work": 2, "other": 0}
    asked = [place.jobs.claim(f"w{n}", limits, LEASE) for n in range(6) for place in (store, another)]
    found = [job for job in await asyncio.gather(*asked) if job]
    assert Counter(job.kind for job in found)["work"] == 2
    assert Counter(job.kind for job in found)["other"] == 6
    running = [job for job in found if job.kind == "work"]
    await store.jobs.finish(running[0], {})
    assert (await claimed(another.jobs, work=2)).kind == "work"
    assert await store.jobs.claim("w", {"work": 2}, LEASE) is None
    await due_at_once(database, running[1].id)
    taken_over = await claimed(store.jobs, work=2)
    assert taken_over.id == running[1].id, "a lease that has ended is taken over though no place is free"
    assert await store.jobs.claim("w", {"work": 2}, LEASE) is None


async def test_a_key_has_one_live_job(store: Store) -> None:
    many = await asyncio.gather(*(store.jobs.enqueue("work", {"n": n}, key="all") for n in range(8)))
    assert len({job.id for job in many}) == 1
    await store.jobs.finish(await claimed(store.jobs), {})
    assert (await store.jobs.enqueue("work", {}, key="all")).id != many[0].id


async def test_a_job_is_put_off_and_the_longest_due_is_first(store: Store) -> None:
    now = store.clock.now()
    await store.jobs.enqueue("work", {}, run_at=now + timedelta(hours=1))
    second = await store.jobs.enqueue("work", {})
    first = await store.jobs.enqueue("work", {}, run_at=now - timedelta(hours=1))
    assert [(await claimed(store.jobs)).id for _ in range(2)] == [first.id, second.id]
    assert await store.jobs.claim("w", ANY, LEASE) is None


async def test_a_job_released_is_there_for_the_next_at_once(store: Store) -> None:
    await store.jobs.enqueue("work", {})
    job = await claimed(store.jobs, work=1)
    await store.jobs.release(job)
    again = await claimed(store.jobs, work=1)
    assert (again.id, again.attempt, again.failures) == (job.id, 2, 0)


async def test_a_job_of_a_unit_is_there_if_and_only_if_the_unit_is(store: Store) -> None:
    job_id, change = store.jobs.row("work", {"n": 1})

    async def fail(unit: Any) -> None:
        await unit.apply([change])
        raise RuntimeError

    with pytest.raises(RuntimeError):
        await store.transact(fail)
    assert await store.jobs.get(job_id) is None
    await store.transact(lambda unit: unit.apply([change]))
    assert (await claimed(store.jobs)).id == job_id


async def test_what_a_dead_process_had_is_due_at_once(store: Store) -> None:
    gone = await asyncio.create_subprocess_exec(sys.executable, "-c", "pass")
    await gone.wait()
    mine = await store.jobs.enqueue("work", {})
    await claimed(store.jobs, worker_name("1"))
    theirs = await store.jobs.enqueue("work", {})
    await claimed(store.jobs, worker_name("1").replace(f" {os.getpid()}/", f" {gone.pid}/"))
    assert await store.jobs.clear_dead() == 1
    assert (await claimed(store.jobs)).id == theirs.id
    assert await store.jobs.claim("w", ANY, LEASE) is None
    there = await store.jobs.get(mine.id)
    assert there is not None
    assert there.state == "leased"


async def test_jobs_are_listed_by_kind_and_state_the_newest_first(store: Store) -> None:
    made = [await store.jobs.enqueue("work", {"n": n}) for n in range(3)]
    await store.jobs.enqueue("other", {})
    await store.jobs.cancel(made[1].id)
    live = await store.jobs.jobs("work", ("queued", "leased"), 10)
    assert [job.id for job in live] == [made[2].id, made[0].id]
    assert [job.id for job in await store.jobs.jobs("work", ["cancelled"], 10)] == [made[1].id]
    assert live[0] == replace(made[2], created=live[0].created, due=live[0].due)


async def test_the_claim_walks_the_index_of_what_is_due(store: Store, database: Any) -> None:
    for _ in range(50):
        await store.jobs.finish(await claimed_new(store.jobs), {})
    await store.jobs.enqueue("work", {})
    explained = await database.command(
        "explain",
        {
            "find": jobs_module.COLLECTION,
            "filter": {"$expr": {"$lte": ["$due", "$$NOW"]}, "due": {"$exists": True}, "kind": {"$in": ["work"]}},
            "sort": {"due": 1},
            "limit": 1,
        },
    )
    assert explained["executionStats"]["totalDocsExamined"] <= 2


async def claimed_new(jobs: Jobs) -> JobRecord:
    await jobs.enqueue("work", {})
    return await claimed(jobs)
