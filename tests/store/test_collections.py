"""Collections: made when first written, with compression and indexes, by several processes at once."""

import asyncio
from typing import Any

import pytest
from pymongo.asynchronous.database import AsyncDatabase

from fhir_server.model.errors import Unavailable
from fhir_server.model.query import ANYTHING, IndexSpec, Query
from fhir_server.store import Store
from fhir_server.store.schema import VERSION
from tests.store import records

Database = AsyncDatabase[dict[str, Any]]


async def test_a_type_gets_its_two_collections_at_the_first_write(store: Store, database: Database) -> None:
    assert await store.read("Patient", "x", ANYTHING) is None
    assert await store.types() == []
    await records.create(store)
    assert await store.types() == ["Patient"]
    for name in ("Patient", "Patient_h"):
        options = await database[name].options()
        assert options["storageEngine"]["wiredTiger"]["configString"] == "block_compressor=zstd"
    assert (await database["Patient"].index_information()).keys() == {
        "_id_",
        "updated",
        "reference_date",
        "facility_date",
    }
    assert (await database["Patient_h"].index_information()).keys() == {"_id_", "updated", "patient_updated"}


async def test_many_processes_may_make_the_same_collections(database: Database) -> None:
    stores = await asyncio.gather(*(Store.open(database, records.indexes_of) for _ in range(4)))
    await asyncio.gather(*(store.prepare(["Patient", "Encounter"]) for store in stores))
    await asyncio.gather(*(records.create(store) for store in stores))
    assert await stores[0].count("Patient", ANYTHING, None) == 4
    await asyncio.gather(*(store.close() for store in stores))


async def test_a_search_brings_the_indexes_up_to_date_first(store: Store, database: Database) -> None:
    patient = await records.create(store)
    changed = (
        IndexSpec("updated", (("o", -1), ("lu", -1))),
        IndexSpec("long", (("d", -1), ("dh", 1)), {"partialFilterExpression": {"dl": True}}),
    )
    newer = await Store.open(database, lambda _: changed)
    page = await newer.find(Query("Patient", ANYTHING, (("o", -1), ("lu", -1)), 5, hint="updated"))
    assert [found.id for found in page] == [patient]
    indexes = await database["Patient"].index_information()
    assert indexes["updated"]["key"] == [("o", -1), ("lu", -1)]
    assert indexes["long"]["partialFilterExpression"] == {"dl": True}
    await newer.close()


async def test_a_record_of_newer_code_is_refused(store: Store, database: Database) -> None:
    assert await database["meta"].find_one({"_id": "schema"}) == {"_id": "schema", "version": VERSION}
    await database["meta"].update_one({"_id": "schema"}, {"$set": {"version": VERSION + 1}})
    with pytest.raises(Unavailable, match=f"schema version {VERSION + 1}; this program knows versions up to {VERSION}"):
        await Store.open(database, records.indexes_of)
