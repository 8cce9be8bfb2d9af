"""Interactive units: all or nothing, locks, retries, and giving up."""

import asyncio
import random
from functools import partial
from typing import Any

import pytest
from pymongo.asynchronous.database import AsyncDatabase

from fhir_server.model import ids
from fhir_server.model.errors import Conflict, NotFound
from fhir_server.model.query import ANYTHING, Query, Where
from fhir_server.store import Create, Delete, Exists, Extra, Stale, Store, Unit, transactions
from tests.store import records

Database = AsyncDatabase[dict[str, Any]]


async def test_a_unit_writes_many_types_and_reads_what_it_wrote(store: Store) -> None:
    patient = await records.create(store)

    async def work(unit: Unit) -> str:
        async with store.clock.writing() as stamp:
            observation = ids.new()
            live = (await store.current("Patient", [patient], ANYTHING, unit.session))[patient]
            docs = [
                records.document("Observation", observation, 1, stamp.now, store.clock.order()),
                records.document("Encounter", ids.new(), 1, stamp.now, store.clock.order()),
            ]
            await unit.apply([Create(doc["r"]["resourceType"], doc) for doc in docs])
            await unit.apply([await records.successor(store, live, stamp.now, active=True)])
            mine = await store.read("Observation", observation, ANYTHING, unit.session)
            assert mine is not None
            assert await store.read("Observation", observation, ANYTHING) is None
            assert await store.exists([("Encounter", docs[1]["_id"])], records.anything, unit.session)
            page = Query("Observation", ANYTHING, (("o", -1),), 10)
            assert [found.id for found in await store.find(page, unit.session)] == [observation]
            assert await store.count("Observation", ANYTHING, None, unit.session) == 1
            return observation

    observation = await store.transact(work)
    assert await store.read("Observation", observation, ANYTHING)
    assert await store.types() == ["Encounter", "Observation", "Patient"]
    versions = await store.history("Patient", patient, records.anything, count=10)
    assert [version.vid for version in versions] == [2, 1]


async def test_nothing_of_a_failed_unit_is_left(store: Store, database: Database) -> None:
    patient = await records.create(store)

    async def work(unit: Unit) -> None:
        live = await records.current(store, "Patient", patient)
        async with store.clock.writing() as stamp:
            doc = records.document("Observation", "o", 1, stamp.now, stamp.order)
            await unit.apply([Create("Observation", doc), Extra("audit", {"a": 1})])
            row = records.tombstone(live, stamp.now, stamp.order)
            await unit.apply([Delete("Patient", patient, live.document, row)])
            raise NotFound("no")

    with pytest.raises(NotFound):
        await store.transact(work, ["Observation"])
    assert await store.read("Patient", patient, ANYTHING)
    assert await store.read("Observation", "o", ANYTHING) is None
    assert await database["audit"].count_documents({}) == 0
    assert await database["Patient_h"].count_documents({}) == 0


async def test_guards_hold_in_a_unit(store: Store) -> None:
    patient = await records.create(store)
    live = await records.current(store, "Patient", patient)
    await records.update(store, "Patient", patient)
    async with store.clock.writing() as stamp:
        update = await records.successor(store, live, stamp.now)
        taken = Create("Patient", records.document("Patient", patient, 1, stamp.now, stamp.order))
        with pytest.raises(Stale):
            await store.transact(lambda unit: unit.apply([update]))
        with pytest.raises(Exists):
            await store.transact(lambda unit: unit.apply([taken]))


async def test_sixty_four_locked_creates_of_one_thing_make_one(store: Store, another: Store) -> None:
    async def conditional_create(mine: Store) -> bool:
        async def work(unit: Unit) -> bool:
            await unit.lock(["Patient?identifier=1"])
            match = Where("clause", {"s.identifier": "1|sys"})
            if await mine.find(Query("Patient", match, (("o", 1),), 2), unit.session):
                return False
            async with mine.clock.writing() as stamp:
                doc = records.document("Patient", ids.new(), 1, stamp.now, stamp.order)
                doc["s"] = {"identifier": ["1|sys"]}
                await unit.apply([Create("Patient", doc)])
                return True

        return await mine.transact(work)

    await store.prepare(["Patient"])
    answers = await asyncio.gather(*(conditional_create(mine) for mine in [store, another] * 32))
    assert sum(answers) == 1
    assert await store.count("Patient", ANYTHING, None) == 1


async def test_units_with_several_keys_do_not_wait_in_a_circle(store: Store) -> None:
    async def work(keys: list[str], unit: Unit) -> None:
        await unit.lock(keys)

    keys = ["a", "b", "c"]
    orders = [keys, keys[::-1], ["b", "c", "a"]] * 5
    await asyncio.gather(*(store.transact(partial(work, order)) for order in orders))


async def test_a_unit_that_meets_another_one_is_begun_again(store: Store) -> None:
    patient = await records.create(store)

    async def increment(unit: Unit) -> None:
        live = (await store.current("Patient", [patient], ANYTHING, unit.session))[patient]
        async with store.clock.writing() as stamp:
            await unit.apply([await records.successor(store, live, stamp.now)])

    await asyncio.gather(*(store.transact(increment) for _ in range(8)))
    live = await records.current(store, "Patient", patient)
    assert live.stored.vid == 9


async def test_patience_ends_with_a_conflict(store: Store, another: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transactions, "PATIENCE", 0.1)
    patient = await records.create(store)
    live = await records.current(store, "Patient", patient)

    async def blocked(unit: Unit) -> None:
        async with store.clock.writing() as stamp:
            update = await records.successor(store, live, stamp.now)
            await unit.apply([update])
            with pytest.raises(Conflict):
                await another.transact(lambda other: other.apply([update]))
            with pytest.raises(Conflict):
                await another.commit([update])

    await store.transact(blocked)
    assert (await records.current(store, "Patient", patient)).stored.vid == 2


async def test_a_large_unit_is_written_whole(store: Store) -> None:
    async with store.clock.writing() as stamp:
        docs = [records.document("Observation", ids.new(), 1, stamp.now, store.clock.order()) for _ in range(5000)]
        await store.transact(lambda unit: unit.apply([Create("Observation", doc) for doc in docs]), ["Observation"])
    assert await store.count("Observation", ANYTHING, None) == 5000


async def test_a_cancelled_unit_leaves_everything_or_nothing(store: Store) -> None:
    await store.prepare(["Patient", "Observation"])

    async def work(number: int, unit: Unit) -> None:
        await unit.lock([f"key{number % 3}"])
        async with store.clock.writing() as stamp:
            patient = records.document("Patient", f"n{number}", 1, stamp.now, store.clock.order(), "PUT")
            observation = records.document("Observation", f"n{number}", 1, stamp.now, store.clock.order(), "PUT")
            await unit.apply([Create("Patient", patient)])
            await unit.apply([Create("Observation", observation)])

    tasks = [asyncio.create_task(store.transact(partial(work, n))) for n in range(30)]
    for task in tasks:
        await asyncio.sleep(0.001)
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    wanted = [f"n{number}" for number in range(30)]
    patients = await store.current("Patient", wanted, ANYTHING)
    observations = await store.current("Observation", wanted, ANYTHING)
    assert patients.keys() == observations.keys()
    async with store.clock.writing() as stamp:
        assert await store.horizon() < stamp.now
    assert await store.horizon() >= stamp.now
    await store.transact(lambda unit: unit.lock(["key0", "key1", "key2"]))


async def test_who_waits_for_a_lock_of_another_process_gets_it_between_two_of_its_units(
    store: Store, another: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other process always has the next unit at hand, so the lock is free for a moment only: it is asked for often."""
    pauses: list[float] = []

    def uniform(least: float, most: float) -> float:
        pauses.append(most)
        return drawn(least, most)

    drawn = random.Random(1).uniform
    monkeypatch.setattr(random, "uniform", uniform)
    key, done = "Patient?identifier=held", asyncio.Event()

    async def unit(unit: Unit, seconds: float) -> None:
        await unit.lock([key])
        await asyncio.sleep(seconds)

    async def hold() -> None:
        while not done.is_set():
            await another.transact(partial(unit, seconds=0.02))

    holders = [asyncio.create_task(hold()) for _ in range(3)]
    try:
        await asyncio.sleep(0.2)
        for _ in range(3):
            await asyncio.wait_for(store.transact(partial(unit, seconds=0)), 20)
    finally:
        done.set()
        await asyncio.gather(*holders)
    assert pauses
    assert max(pauses) == transactions.HELD_PAUSE
