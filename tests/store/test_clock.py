"""The database's clock, stamps, and the horizon that never passes a write in flight."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pymongo.asynchronous.database import AsyncDatabase

from fhir_server.model.errors import Unavailable
from fhir_server.model.query import ANYTHING
from fhir_server.store import Create, Stamp, Store, clock
from tests.store import records

Database = AsyncDatabase[dict[str, Any]]
MILLISECOND = timedelta(milliseconds=1)


async def test_time_is_that_of_the_database_and_never_ahead_of_it(store: Store, database: Database) -> None:
    for _ in range(20):
        ours = store.clock.now()
        theirs = (await database.client.admin.command("hello"))["localTime"].replace(tzinfo=UTC)
        assert ours <= theirs < ours + timedelta(seconds=2)
        assert ours.microsecond % 1000 == 0


async def test_stamps_do_not_run_backwards_and_orders_are_distinct(store: Store, another: Store) -> None:
    async def take(mine: Store) -> Stamp:
        async with mine.clock.writing() as stamp:
            await asyncio.sleep(0)
            return stamp

    ours = [await take(store) for _ in range(2000)]
    theirs = [await take(another) for _ in range(2000)]
    for stamps in (ours, theirs):
        moments = [stamp.now for stamp in stamps]
        orders = [stamp.order for stamp in stamps]
        assert moments == sorted(moments)
        assert orders == sorted(set(orders))
        assert max(orders) < 2**63
    assert abs((ours[-1].order >> 20) - ours[-1].now.timestamp() * 1000) < 1000


async def test_a_horizon_includes_the_writes_that_were_acknowledged_here(store: Store) -> None:
    for _ in range(50):
        patient = await records.create(store)
        stored = await store.read("Patient", patient, ANYTHING)
        assert stored is not None
        assert stored.last_updated <= await store.horizon()


async def test_a_stamp_is_later_than_every_horizon_given_before(store: Store, another: Store) -> None:
    for reader, writer in [(store, store), (store, another), (another, store)] * 10:
        horizon = await reader.horizon()
        async with writer.clock.writing() as stamp:
            assert stamp.now > horizon


async def test_a_write_in_flight_holds_the_horizon_of_every_process(store: Store, another: Store) -> None:
    async with store.clock.writing() as stamp:
        await asyncio.sleep(3 * clock.HEARTBEAT)
        assert await store.horizon() == stamp.now - MILLISECOND
        assert await another.horizon() < stamp.now
    assert await store.horizon() >= stamp.now


async def test_a_process_that_stops_writing_stops_to_hold_the_horizon(store: Store, another: Store) -> None:
    await records.create(store)
    deadline = asyncio.get_running_loop().time() + 10
    written = store.clock.now()
    while await another.horizon() < written + timedelta(seconds=1.5):
        assert asyncio.get_running_loop().time() < deadline
        await asyncio.sleep(0.05)


async def test_nothing_appears_behind_a_horizon(store: Store, another: Store) -> None:
    """Readers take the horizon, then everything up to it; a second look later must not find more."""
    await store.prepare(["Patient"])
    writing = True
    looks: list[tuple[datetime, set[str]]] = []

    async def writer(mine: Store) -> None:
        while writing:
            await asyncio.gather(*(records.create(mine) for _ in range(5)))
            await asyncio.sleep(0.01)

    async def seen(mine: Store, horizon: datetime) -> set[str]:
        versions = await mine.history("Patient", None, records.anything, until=horizon, count=100_000)
        return {version.id for version in versions}

    async def reader(mine: Store) -> None:
        for _ in range(15):
            horizon = await mine.horizon()
            looks.append((horizon, await seen(mine, horizon)))
            await asyncio.sleep(0.02)

    writers = [asyncio.create_task(writer(mine)) for mine in (store, another)]
    await asyncio.gather(reader(store), reader(another))
    writing = False
    await asyncio.gather(*writers)
    assert any(ids for _, ids in looks)
    for horizon, ids in looks:
        assert await seen(store, horizon) == ids


async def test_rows_of_processes_that_are_gone_hold_nothing_back(store: Store, database: Database) -> None:
    row = await database["writers"].find_one()
    assert row is not None
    long_ago = datetime(2020, 1, 1, tzinfo=UTC)
    silent = store.clock.now() - timedelta(minutes=2)
    await database["writers"].insert_one({**row, "_id": "silent", "floor": long_ago, "at": silent, "host": "elsewhere"})
    assert await store.horizon() > silent
    just_now = store.clock.now() - timedelta(seconds=20)
    await database["writers"].insert_one({**row, "_id": "dead", "floor": long_ago, "at": just_now, "pid": 2**22 + 1})
    assert await store.horizon() < long_ago
    starting = await Store.open(database, records.indexes_of)
    assert await store.horizon() > silent
    await starting.close()
    left = [row["_id"] async for row in database["writers"].find({}, {"_id": 1})]
    assert "dead" not in left
    assert "silent" in left


async def test_a_process_that_was_suspended_does_not_write_with_an_old_stamp(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with store.clock.writing() as stamp:
        doc = records.document("Patient", "p", 1, stamp.now, stamp.order)
        monkeypatch.setattr(clock, "LAPSED_AFTER", -1.0)
        with pytest.raises(Unavailable, match="suspended"):
            await store.commit([Create("Patient", doc)])
    monkeypatch.undo()
    assert await store.read("Patient", "p", ANYTHING) is None


async def test_time_does_not_run_backwards_when_the_database_answers_late(store: Store) -> None:
    """What was told with little delay is forgotten after some answers; a floor that was published by it must still hold."""
    before = store.clock.now()
    for _ in range(2 * clock.SAMPLES):
        store.clock._note(before - timedelta(seconds=5))
    assert store.clock.now() >= before
    async with store.clock.writing() as stamp:
        assert stamp.now >= before
