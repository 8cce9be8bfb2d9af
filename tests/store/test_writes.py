"""Group commit: guards, isolation between neighbours, order, and giving up."""

import asyncio
from decimal import Decimal
from typing import Any

import pytest
from pymongo.asynchronous.database import AsyncDatabase

from fhir_server.model import ids
from fhir_server.model.errors import TooLarge, Unprocessable
from fhir_server.model.query import ANYTHING
from fhir_server.store import Create, Delete, Exists, Extra, Stale, Store, Update
from fhir_server.store.operations import Operations
from tests.store import records

Database = AsyncDatabase[dict[str, Any]]


async def test_a_new_resource_can_be_read_with_its_exact_decimals(store: Store, database: Database) -> None:
    patient = await records.create(store, value=Decimal("1.00"), tiny=Decimal("1E-7"), huge=2**80)
    stored = await store.read("Patient", patient, ANYTHING)
    assert stored is not None
    assert (stored.vid, stored.method, stored.deleted) == (1, "POST", False)
    assert b'"value":1.00' in stored.body
    raw = await database["Patient"].find_one({"_id": patient})
    assert raw is not None
    assert str(raw["r"]["value"]) == "1.00"
    assert str(raw["r"]["huge"]) == str(2**80)
    assert raw["j"] == stored.body


async def test_concurrent_creates_share_inserts_and_all_succeed(store: Store) -> None:
    made = await asyncio.gather(*(records.create(store) for _ in range(200)))
    found = await store.current("Patient", made, ANYTHING)
    assert found.keys() == set(made)


async def test_only_the_culprit_of_a_shared_insert_fails(store: Store) -> None:
    taken = await records.create(store)
    async with store.clock.writing() as stamp:
        docs = [records.document("Patient", ids.new(), 1, stamp.now, store.clock.order()) for _ in range(20)]
        docs.insert(7, {**docs[0], "_id": taken})
        answers = await asyncio.gather(
            *(store.commit([Create("Patient", doc)]) for doc in docs), return_exceptions=True
        )
    assert [type(answer) for answer in answers] == [type(None)] * 7 + [Exists] + [type(None)] * 13


async def test_only_the_culprits_of_a_shared_transaction_fail(store: Store, database: Database) -> None:
    patients = [await records.create(store) for _ in range(12)]
    lives = {patient: await records.current(store, "Patient", patient) for patient in patients}
    for stale in patients[3:5]:
        await records.update(store, "Patient", stale, active=True)
    async with store.clock.writing() as stamp:
        updates = [await records.successor(store, live, stamp.now) for live in lives.values()]
        taken = records.document("Patient", patients[0], 1, stamp.now, stamp.order)
        answers = await asyncio.gather(
            *(store.commit([update]) for update in updates),
            store.commit([Create("Patient", taken), Extra("audit", {"_id": "culprit"})]),
            store.commit([Extra("audit", {"_id": "neighbour"})]),
            return_exceptions=True,
        )
    expected: list[type] = [type(None)] * 14
    expected[3:5] = [Stale, Stale]
    expected[12] = Exists
    assert [type(answer) for answer in answers] == expected
    assert [row["_id"] async for row in database["audit"].find()] == ["neighbour"]


async def test_a_value_that_cannot_be_stored_harms_nobody_else(store: Store) -> None:
    good, bad = records.create(store), records.create(store, value=Decimal("1." + "1" * 40))
    patient, error = await asyncio.gather(good, bad, return_exceptions=True)
    assert isinstance(error, Unprocessable)
    assert "34 significant digits" in str(error)
    assert await store.read("Patient", str(patient), ANYTHING)


async def test_a_resource_above_16_mb_is_refused_by_name(store: Store) -> None:
    texts = {f"text{number}": "x" * 60_000 for number in range(300)}
    with pytest.raises(TooLarge, match="16 MB"):
        await records.create(store, **texts)


async def test_a_hundred_concurrent_guarded_updates_leave_a_contiguous_history_of_the_acknowledged(
    store: Store,
) -> None:
    patient = await records.create(store)

    async def attempt(number: int) -> int | None:
        live = await records.current(store, "Patient", patient)
        async with store.clock.writing() as stamp:
            try:
                await store.commit([await records.successor(store, live, stamp.now, number=number)])
            except Stale:
                return None
        return live.stored.vid + 1

    acknowledged = sorted(vid for vid in await asyncio.gather(*(attempt(n) for n in range(100))) if vid)
    newest = await records.current(store, "Patient", patient)
    versions = await store.history("Patient", patient, records.anything, count=1000)
    assert acknowledged == list(range(2, newest.stored.vid + 1))
    assert [version.vid for version in versions] == list(range(newest.stored.vid, 0, -1))
    moments = [version.last_updated for version in versions]
    assert moments == sorted(set(moments), reverse=True)


async def test_retried_updates_of_one_resource_all_get_in(store: Store) -> None:
    patient = await records.create(store)

    async def insist(number: int) -> None:
        while True:
            live = await records.current(store, "Patient", patient)
            async with store.clock.writing() as stamp:
                try:
                    return await store.commit([await records.successor(store, live, stamp.now, number=number)])
                except Stale:
                    continue

    await asyncio.gather(*(insist(number) for number in range(20)))
    versions = await store.history("Patient", patient, records.anything, count=100)
    assert [version.vid for version in versions] == list(range(21, 0, -1))


async def test_versions_cannot_be_used_again_by_a_create_that_comes_late(store: Store) -> None:
    await records.create(store, resource_id="late")
    await records.delete(store, "Patient", "late")
    with pytest.raises(Stale):
        await records.create(store, resource_id="late")
    async with store.clock.writing() as stamp:
        doc = records.document("Patient", "late", 3, stamp.now, stamp.order, "PUT")
        await store.commit([Create("Patient", doc)])
    versions = await store.history("Patient", "late", records.anything, count=10)
    assert [(version.vid, version.deleted) for version in versions] == [(3, False), (2, True), (1, False)]


async def test_a_row_and_its_extra_are_there_together_or_not_at_all(store: Store, database: Database) -> None:
    await store.prepare(["Patient"])
    await database["audit"].insert_one({"_id": "taken"})
    async with store.clock.writing() as stamp:
        doc = records.document("Patient", "p", 1, stamp.now, stamp.order)
        with pytest.raises(Exists):
            await store.commit([Create("Patient", doc), Extra("audit", {"_id": "taken"})])
        assert await store.read("Patient", "p", ANYTHING) is None
        audit = f"{database.name}_audit"
        await store.commit([Create("Patient", doc), Extra("rows", {"_id": "new"}, database=audit)])
    assert await store.read("Patient", "p", ANYTHING)
    assert await database.client[audit]["rows"].count_documents({}) == 1


async def test_a_caller_who_gives_up_disturbs_nobody(store: Store) -> None:
    patients = [await records.create(store) for _ in range(30)]
    tasks = [asyncio.create_task(records.update(store, "Patient", patient, n=1)) for patient in patients]
    creates = [asyncio.create_task(records.create(store)) for _ in range(30)]
    await asyncio.sleep(0.002)
    for task in [*tasks[::3], *creates[::3]]:
        task.cancel()
    answers = await asyncio.gather(*tasks, *creates, return_exceptions=True)
    assert {type(answer) for answer in answers} <= {int, str, asyncio.CancelledError}
    await store.close()
    for patient in patients:
        live = await records.current(store, "Patient", patient)
        versions = await store.history("Patient", patient, records.anything, count=5)
        assert [version.vid for version in versions] == list(range(live.stored.vid, 0, -1))
    for patient, answer in zip(patients, answers[:30], strict=True):
        if answer == 2:
            assert (await records.current(store, "Patient", patient)).stored.vid == 2


async def test_an_update_in_another_process_makes_ours_stale(store: Store, another: Store) -> None:
    patient = await records.create(store)
    live = await records.current(store, "Patient", patient)
    await records.update(another, "Patient", patient)
    async with store.clock.writing() as stamp:
        with pytest.raises(Stale) as raised:
            await store.commit([await records.successor(store, live, stamp.now)])
    assert (raised.value.status, raised.value.resource_type, raised.value.id) == (409, "Patient", patient)


async def test_two_processes_that_write_the_same_resources_lose_nothing(store: Store, another: Store) -> None:
    patients = [await records.create(store) for _ in range(3)]
    acknowledged = dict.fromkeys(patients, 0)

    async def writer(mine: Store) -> None:
        for _ in range(10):
            for patient in patients:
                live = await records.current(mine, "Patient", patient)
                async with mine.clock.writing() as stamp:
                    try:
                        await mine.commit([await records.successor(mine, live, stamp.now)])
                    except Stale:
                        continue
                acknowledged[patient] += 1

    await asyncio.gather(*(writer(mine) for mine in (store, another, store, another)))
    for patient in patients:
        versions = await store.history("Patient", patient, records.anything, count=100)
        assert [version.vid for version in versions] == list(range(acknowledged[patient] + 1, 0, -1))


async def test_a_change_needs_the_version_it_names(store: Store) -> None:
    patient = await records.create(store)
    live = await records.current(store, "Patient", patient)
    async with store.clock.writing() as stamp:
        doc = records.document("Patient", patient, 6, stamp.now, stamp.order, "PUT")
        with pytest.raises(Stale):
            await store.commit([Update("Patient", doc, 5, live.document)])


async def test_what_moved_to_another_patient_or_zone_meanwhile_is_stale(store: Store, database: Database) -> None:
    """Indexing again changes the patient without a new version; whoever has read before must read again, not wait."""
    for field in ("p", "rg"):
        moved = await records.create(store)
        live = await records.current(store, "Patient", moved)
        await database["Patient"].update_one({"_id": moved}, {"$set": {field: "other"}})
        async with store.clock.writing() as stamp:
            with pytest.raises(Stale):
                await store.commit([await records.successor(store, live, stamp.now)])
        assert await records.update(store, "Patient", moved) == 2


async def test_guards_name_the_shard_of_a_resource(store: Store) -> None:
    live = await records.current(store, "Patient", await records.create(store))
    operations = Operations()
    operations.add(await records.successor(store, live, store.clock.now()))
    row = records.tombstone(live, store.clock.now(), 1)
    operations.add(Delete("Patient", live.stored.id, live.document, row))
    guards = [operations.replacements["Patient"][0]["q"], operations.deletions["Patient"][0]]
    assert [{name: guard[name] for name in ("_id", "rg", "p")} for guard in guards] == [
        {"_id": live.stored.id, "rg": "home", "p": None}
    ] * 2
