"""A record of an earlier release is brought to the form of this one, and its resources stay as they are."""

import asyncio
from hashlib import sha256
from typing import Any

import pytest
from pymongo.asynchronous.database import AsyncDatabase

from fhir_server.store import Store, schema
from fhir_server.store.codecs import RAW
from fhir_server.store.migrations import FIRST, STEPS, Ground, Step, migrate, pending
from tests.store.conftest import store
from tests.store.records import indexes_of

__all__ = ["store"]

Document = dict[str, Any]
Database = AsyncDatabase[Document]


@pytest.fixture
async def old(store: Store, database: Database) -> Database:
    """A record as the first release has left it, with resources."""
    await store.prepare(["Patient"])
    await database["Patient"].insert_many([{"_id": str(number), "v": 2, "j": b"{}"} for number in range(50)])
    await database["Patient_h"].insert_many([{"_id": f"{number}/00000001", "j": b"{}"} for number in range(50)])
    await database["meta"].delete_many({"_id": {"$nin": ["schema", "seal"]}})
    await database["meta"].update_one({"_id": "schema"}, {"$set": {"version": FIRST}})
    return database


async def resources(database: Database) -> str:
    digest = sha256()
    for name in ("Patient", "Patient_h"):
        rows: Any = database.get_collection(name, codec_options=RAW).find({}, sort={"_id": 1})
        async for row in rows:
            digest.update(row.raw)
    return digest.hexdigest()


def test_steps_lead_from_version_to_version() -> None:
    assert [step.to for step in STEPS] == [*range(FIRST + 1, schema.VERSION + 1)]
    assert pending(schema.VERSION) == ()
    assert all(step.title.endswith(".") for step in STEPS)


async def test_an_old_record_is_brought_to_this_version_and_no_resource_changes(store: Store, old: Database) -> None:
    """A server of the release before reads and writes meanwhile: `store` was opened before."""
    before = await resources(old)
    told: list[Step] = []
    await migrate(old, FIRST, told.append)
    assert tuple(told) == STEPS
    assert await resources(old) == before
    assert await schema.version_of(old) == schema.VERSION
    await store.ping()
    opened = await Store.open(old, indexes_of)
    assert opened.secret == store.secret
    await opened.close()


async def test_several_processes_may_do_it_at_once_and_again(old: Database) -> None:
    await asyncio.gather(*(migrate(old, FIRST) for _ in range(8)))
    named = await old["meta"].find_one({"_id": "record"})
    assert named is not None
    await old["meta"].update_one({"_id": "schema"}, {"$set": {"version": FIRST}})  # as if cut off before it was noted
    await Store.open(old, indexes_of)
    assert await old["meta"].find_one({"_id": "record"}) == named
    assert await schema.version_of(old) == schema.VERSION


async def test_who_is_late_takes_nothing_back(old: Database) -> None:
    await migrate(old, FIRST)
    await old["meta"].update_one({"_id": "schema"}, {"$set": {"version": schema.VERSION + 5}})
    await migrate(old, FIRST)
    assert await schema.version_of(old) == schema.VERSION + 5


async def test_a_step_gets_no_resources(old: Database) -> None:
    for name in ("Patient", "Patient_h"):
        with pytest.raises(ValueError, match="does not touch"):
            Ground(old).collection(name)
