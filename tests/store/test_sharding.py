"""The commands that spread a record over shards, as far as one machine without shards can tell."""

from typing import Any

import pytest
from pymongo.asynchronous.database import AsyncDatabase

from fhir_server.model.errors import NotSupported
from fhir_server.store import Store
from fhir_server.store.sharding import BY_PATIENT, BY_ZONE, Layout, apply, plan, stored
from tests.store.conftest import store
from tests.store.records import create

__all__ = ["store"]

Database = AsyncDatabase[dict[str, Any]]


def commands(layout: Layout, name: str) -> list[dict[str, Any]]:
    return [dict(act.command) for act in plan(layout) if name in act.command]


def test_resources_and_their_history_are_spread_by_patient() -> None:
    spread = commands(Layout("fhir", ["Observation", "Patient"]), "shardCollection")
    keys = {row["shardCollection"]: row["key"] for row in spread}
    assert keys == {
        "fhir.Observation": BY_PATIENT,
        "fhir.Observation_h": BY_PATIENT,
        "fhir.Patient": BY_PATIENT,
        "fhir.Patient_h": BY_PATIENT,
        "fhir.blobs.chunks": {"files_id": 1, "n": 1},
        "fhir_audit.events": {"_id": "hashed"},
    }


def test_a_zone_holds_all_keys_that_begin_with_it_on_its_shards() -> None:
    layout = Layout("fhir", ["Patient"], {"north": ["s1", "s2"], "south": ["s3"]}, large=False, audited=False)
    assert [row["key"] for row in commands(layout, "shardCollection")][:2] == [BY_ZONE, BY_ZONE]
    placed = [(row["addShardToZone"], row["zone"]) for row in commands(layout, "addShardToZone")]
    assert placed == [("s1", "north"), ("s2", "north"), ("s3", "south")]
    ranges = commands(layout, "updateZoneKeyRange")
    assert [(row["updateZoneKeyRange"], row["zone"]) for row in ranges] == [
        ("fhir.Patient", "north"),
        ("fhir.Patient", "south"),
        ("fhir.Patient_h", "north"),
        ("fhir.Patient_h", "south"),
    ]
    assert all(row["min"]["rg"] == row["max"]["rg"] == row["zone"] for row in ranges)
    assert "audit" not in str(plan(layout))


def test_each_index_comes_before_the_collection_that_needs_it() -> None:
    acts = [dict(act.command) for act in plan(Layout("fhir", ["Patient"]))]
    names = [row.get("createIndexes") or row.get("shardCollection", "").partition(".")[2] for row in acts]
    assert [name for name in names if name] == [
        "Patient",
        "Patient",
        "Patient_h",
        "Patient_h",
        "blobs.chunks",
        "events",
        "events",
    ]  # fmt: skip - chunks have theirs


async def test_mongodb_takes_the_indexes_and_a_store_leaves_them(store: Store, database: Database) -> None:
    await create(store)
    assert await stored(database, {"Patient", "Observation"}) == ["Patient"]
    for act in plan(Layout(database.name, ["Patient"], {"home": ["s1"]})):
        if "createIndexes" in act.command and act.database == database.name:
            await database.command(dict(act.command))
    await create(store)
    indexes = await database["Patient"].index_information()
    assert indexes["shard"]["key"] == [("rg", 1), ("p", "hashed"), ("_id", 1)]


async def test_a_replica_set_is_refused_before_anything_is_done(store: Store, database: Database) -> None:
    await create(store)
    before = await database["Patient"].index_information()
    with pytest.raises(NotSupported, match="This is the replica set aquifer, which has no shards"):
        await apply(database.client, plan(Layout(database.name, ["Patient"])))
    assert await database["Patient"].index_information() == before
