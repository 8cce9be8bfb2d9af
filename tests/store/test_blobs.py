"""Large content in GridFS: there and back, never half, and nothing left behind."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from bson import ObjectId
from pymongo.asynchronous.database import AsyncDatabase

from fhir_server.model import json
from fhir_server.model.query import ANYTHING, Query
from fhir_server.store import Create, Exists, Store
from fhir_server.store.blobs import slim
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


def test_long_texts_are_left_out_of_the_native_form_and_positions_stay() -> None:
    long = "x" * 70_000
    assert slim({"a": [1, long, "s"], "b": {"c": long, "d": 2}}) == {"a": [1, None, "s"], "b": {"d": 2}}
