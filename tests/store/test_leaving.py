"""Deletions wait for writes in flight, but not for those of the dead, nor for those that begin later."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pymongo.asynchronous.database import AsyncDatabase

from fhir_server.store import STAYING, Delete, Stale, Store, clock, leaving
from fhir_server.store.leaving import Leaving
from tests.store import records

Database = AsyncDatabase[dict[str, Any]]


async def test_a_deletion_does_not_wait_for_a_process_that_was_killed(store: Store, database: Database) -> None:
    patient = await records.create(store)
    row = await database["writers"].find_one()
    assert row is not None
    long_ago, heard = datetime(2020, 1, 1, tzinfo=UTC), store.clock.now() - timedelta(seconds=20)
    await database["writers"].insert_one({**row, "_id": "dead", "floor": long_ago, "at": heard, "pid": 2**22 + 1})
    async with Leaving(database, store.clock).mark([("Patient", patient)]):
        assert await database["writers"].find_one({"_id": "dead"}) is None


async def test_a_deletion_by_a_process_that_hears_of_the_time_late_waits_for_what_began_before(
    store: Store, another: Store, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By its own estimate of the time the other one has not begun yet."""
    patient = await records.create(store)
    estimate = store.clock._estimate
    monkeypatch.setattr(store.clock, "_estimate", lambda: estimate() - 5000)
    async with another.clock.writing():
        deletion = asyncio.create_task(_mark(database, store, patient))
        await asyncio.sleep(5 * clock.HEARTBEAT)
        assert not deletion.done()
    await asyncio.wait_for(deletion, 10)


async def test_a_deletion_does_not_wait_for_writes_that_begin_after_it(
    store: Store, another: Store, database: Database
) -> None:
    patient = await records.create(store)
    ending = asyncio.Event()

    async def write(mine: Store) -> None:
        async with mine.clock.writing():
            await asyncio.sleep(0.02)

    async def overlap(mine: Store) -> None:
        """Begin each write before the last one ends."""
        async with asyncio.TaskGroup() as group:
            while not ending.is_set():
                group.create_task(write(mine))
                await asyncio.sleep(0.01)

    writers = [asyncio.create_task(overlap(mine)) for mine in (store, another)]
    await asyncio.sleep(0.1)
    await asyncio.wait_for(_mark(database, store, patient), 5)
    ending.set()
    await asyncio.gather(*writers)


async def test_a_deletion_takes_place_only_where_its_mark_still_is(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    patient = await records.create(store)
    live = await records.current(store, "Patient", patient)
    key = ("Patient", patient)

    async def delete(mark: str) -> None:
        async with store.clock.writing() as stamp:
            row = records.tombstone(live, stamp.now, stamp.order)
            await store.commit([Delete("Patient", patient, live.document, row, mark)])

    async with store.leaving.mark([key]) as mark:
        await store.leaving.unmark([key])  # too young to be taken off
        assert await _staying(store, key) is False
        monkeypatch.setattr(leaving, "VALID", timedelta(seconds=-1))
        await store.leaving.unmark([key])
        assert await _staying(store, key)
        with pytest.raises(Stale):
            await delete(mark.on(key))
    async with store.leaving.mark([key]) as other:
        with pytest.raises(Stale):
            await delete(mark.on(key))
        await delete(other.on(key))
        other.gone.add(key)


async def _staying(store: Store, key: tuple[str, str]) -> bool:
    return key in await store.exists([key], lambda _: STAYING)


async def _mark(database: Database, store: Store, patient: str) -> None:
    async with Leaving(database, store.clock).mark([("Patient", patient)]):
        pass
