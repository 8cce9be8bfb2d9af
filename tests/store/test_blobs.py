"""Large content in GridFS: there and back, never half, and nothing left behind."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from bson import ObjectId
from pymongo.asynchronous.database import AsyncDatabase

from fhir_server.model import json
from fhir_server.model.background import ended
from fhir_server.model.query import ANYTHING, Query
from fhir_server.store import Create, Exists, Store
from fhir_server.store.blobs import slim
from fhir_server.store.upkeep import EVERY, ROW, claim
from tests.store import records

Database = AsyncDatabase[dict[str, Any]]
LARGE = "x" * 3_000_000
HUGE = "y" * 20_000_000


async def test_large_content_comes_back_byte_for_byte_on_every_path(store: Store, database: Database) -> None:
    await records.create(store, "Binary", "b", data=LARGE)
    await records.update(store, "Binary", "b", data=HUGE)
    raw = await database["Binary"].find_one({"_id": "b"})
    assert raw is not None
    assert "j" not in raw
    assert raw["r"] == {"resourceType": "Binary", "id": "b"}
    one, two = (json.encode({"resourceType": "Binary", "id": "b", "data": data}) for data in (LARGE, HUGE))
    read = await store.read("Binary", "b", ANYTHING)
    assert read is not None
    assert read.body == two
    assert (await records.current(store, "Binary", "b")).stored.body == two
    assert [found.body for found in await store.find(Query("Binary", ANYTHING, (("_id", 1),), 5))] == [two]
    assert [v.body for v in await store.history("Binary", "b", records.anything, count=5)] == [two, one]
    assert [v.body for v in await store.history(None, None, records.anything, count=5)] == [two, one]
    old = await store.read_version("Binary", "b", 1, ANYTHING)
    assert old is not None
    assert old.body == one


async def test_a_write_that_fails_leaves_no_file(store: Store, database: Database) -> None:
    await records.create(store, "Binary", "b", data=LARGE)
    async with store.clock.writing() as stamp:
        doc = records.document("Binary", "b", 1, stamp.now, stamp.order, data=LARGE)
        with pytest.raises(Exists):
            await store.commit([Create("Binary", doc)])
        with pytest.raises(Exists):
            await store.transact(lambda unit: unit.apply([Create("Binary", doc)]))
    assert await database["blobs.files"].count_documents({}) == 1
    assert len(await database["blobs.chunks"].distinct("files_id")) == 1


async def test_a_sweep_removes_only_old_files_that_nobody_names(store: Store, database: Database) -> None:
    await records.create(store, "Binary", "b", data=LARGE)
    await records.update(store, "Binary", "b", data=LARGE)
    old = datetime.now(UTC) - timedelta(hours=2)
    orphan = ObjectId.from_datetime(old)
    await database["blobs.files"].insert_one({"_id": orphan, "length": 1, "chunkSize": 1})
    await database["blobs.files"].insert_one({"_id": ObjectId(), "length": 1, "chunkSize": 1})
    assert await store.sweep_blobs() == 1
    assert await database["blobs.files"].count_documents({}) == 3
    assert await database["blobs.files"].find_one({"_id": orphan}) is None


async def test_a_sweep_keeps_what_any_version_names_however_old(store: Store, database: Database) -> None:
    old = ObjectId.from_datetime(datetime.now(UTC) - timedelta(days=9))
    files = [ObjectId(old.binary[:4] + bytes(7) + bytes([number])) for number in range(7)]
    rows = [("Binary", "a", files[0]), ("Binary", "b", files[1]), ("Media", "b", files[2]), ("Binary", "a", files[3])]
    whose: list[dict[str, Any]] = [
        {"_id": file, "filename": name, "metadata": {"type": kind}} for kind, name, file in rows
    ]
    of_nobody: list[dict[str, Any]] = [
        {"_id": files[4], "filename": "b", "metadata": {"type": "Media"}},
        {"_id": files[5], "filename": "a0"},
        {"_id": files[6]},
    ]
    await database["blobs.files"].insert_many(whose + of_nobody)
    await database["Binary"].insert_one({"_id": "a", "jb": files[0]})
    await database["Media"].insert_one({"_id": "b", "jb": files[2]})
    await database["Binary_h"].insert_many(
        [{"_id": "b/00000001", "jb": files[1]}, {"_id": "a/00000002", "jb": files[3]}]
    )
    assert await store.sweep_blobs() == 3
    assert {row["_id"] async for row in database["blobs.files"].find()} == {*files[:4]}


async def test_a_sweep_beside_writers_takes_nothing_that_they_wrote(store: Store, database: Database) -> None:
    await records.create(store, "Binary", "b", data=LARGE)
    await age(database)

    async def write() -> None:
        for _ in range(5):
            await records.update(store, "Binary", "b", data=LARGE)

    writing = asyncio.create_task(write())
    while not writing.done():
        await store.sweep_blobs()
    await writing
    versions = await store.history("Binary", "b", records.anything, count=10)
    assert len(versions) == 6
    assert {len(version.body) for version in versions} == {len(versions[0].body)}


async def age(database: Database) -> None:
    """Give every file, and the version that names it, the id that it would have had long ago."""
    async for file in database["blobs.files"].find():
        old = ObjectId(bytes(4) + file["_id"].binary[4:])
        await database["blobs.files"].insert_one({**file, "_id": old})
        await database["blobs.chunks"].update_many({"files_id": file["_id"]}, {"$set": {"files_id": old}})
        await database["Binary"].update_one({"jb": file["_id"]}, {"$set": {"jb": old}})
        await database["blobs.files"].delete_one({"_id": file["_id"]})


async def test_the_housekeeping_is_done_once_for_all_processes(
    store: Store, another: Store, database: Database
) -> None:
    orphan = ObjectId(bytes(12))
    await database["blobs.files"].insert_one({"_id": orphan})
    tasks = [asyncio.create_task(each.upkeep()) for each in (store, another)]
    while await database["blobs.files"].count_documents({}):
        continue
    await database["blobs.files"].insert_one({"_id": orphan})
    assert not await claim(database)
    await database["meta"].update_one({"_id": ROW}, {"$set": {"at": datetime.now(UTC) - EVERY - timedelta(seconds=9)}})
    assert sorted(await asyncio.gather(*(claim(database) for _ in range(5)))) == [False] * 4 + [True]
    await ended(*tasks)
    assert await database["blobs.files"].count_documents({}) == 1


def test_long_texts_are_left_out_of_the_native_form_and_positions_stay() -> None:
    long = "x" * 70_000
    assert slim({"a": [1, long, "s"], "b": {"c": long, "d": 2}}) == {"a": [1, None, "s"], "b": {"d": 2}}
