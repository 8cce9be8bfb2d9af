"""Deletions wait for writes in flight, but not for those of the dead."""

from datetime import UTC, datetime, timedelta
from typing import Any

from pymongo.asynchronous.database import AsyncDatabase

from fhir_server.store import Store
from fhir_server.store.leaving import Leaving
from tests.store import records


async def test_a_deletion_does_not_wait_for_a_process_that_was_killed(
    store: Store, database: AsyncDatabase[dict[str, Any]]
) -> None:
    patient = await records.create(store)
    row = await database["writers"].find_one()
    assert row is not None
    long_ago, heard = datetime(2020, 1, 1, tzinfo=UTC), store.clock.now() - timedelta(seconds=20)
    await database["writers"].insert_one({**row, "_id": "dead", "floor": long_ago, "at": heard, "pid": 2**22 + 1})
    async with Leaving(database, store.clock).mark([("Patient", patient)]):
        assert await database["writers"].find_one({"_id": "dead"}) is None
