"""Batches of what is indexed anew: whatever their size, together they are everything."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pymongo.asynchronous.database import AsyncDatabase

from fhir_server.store.blobs import Blobs
from fhir_server.store.reindexing import Reindexing

Database = AsyncDatabase[dict[str, Any]]

NOW = datetime(2026, 11, 21, 8, 0, 0, 123000, UTC)


@pytest.mark.parametrize("most", [1, 2, 3, 50])
async def test_batches_of_containers_are_all_that_contain_the_type(database: Database, most: int) -> None:
    moments = [NOW, NOW, NOW, NOW - timedelta(hours=1), NOW + timedelta(milliseconds=1)]
    rows = [
        {"_id": f"r{number}", "v": 1, "lu": moment, "o": (9 - number) << 40, "j": b"{}", "c": [{"t": "A"}, {"t": "A"}]}
        for number, moment in enumerate(moments)
    ]
    others = [{**rows[0], "_id": "other", "c": [{"t": "B"}]}, {"_id": "none", "v": 1, "lu": NOW, "o": 1, "j": b"{}"}]
    await database.Basic.insert_many([*rows, *others])
    containing: dict[str, Any] = {"partialFilterExpression": {"c": {"$exists": True}}}
    await database.Basic.create_index([("c.t", 1), ("lu", -1), ("o", -1)], name="contained", **containing)
    reindexing = Reindexing(database, Blobs(database))
    found: list[str] = []
    after = ""
    while batch := await reindexing.containers("Basic", "A", after, most):
        assert len(batch) <= most
        found += [one.id for one in batch]
        after = batch[-1].place
    assert found == ["r3", "r2", "r1", "r0", "r4"]
