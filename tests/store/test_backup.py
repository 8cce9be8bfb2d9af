"""A backup shows one moment, is restored whole into an empty place only, and a half restore serves nobody."""

import asyncio
from collections.abc import AsyncIterator
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from pydantic import SecretStr
from pymongo import AsyncMongoClient, MongoClient
from pymongo.asynchronous.database import AsyncDatabase

from fhir_server.model.background import ended
from fhir_server.model.errors import Conflict, NotFound, Unavailable, Unprocessable
from fhir_server.store import Store, schema
from fhir_server.store.archive import Contents, Manifest, check
from fhir_server.store.backup import PROCESSES, back_up
from fhir_server.store.blobs import Blobs
from fhir_server.store.restoring import Restored, restore
from fhir_server.store.trail import audit_database
from tests.conftest import dropped
from tests.store.conftest import store
from tests.store.records import indexes_of

__all__ = ["store"]

Document = dict[str, Any]
Database = AsyncDatabase[Document]


@pytest_asyncio.fixture(loop_scope="session")
async def record(store: Store, database: Database) -> Database:
    """A record with resources of two types, their history, and a file in GridFS."""
    await store.prepare(["Patient", "Observation"])
    for name in ("Patient", "Observation"):
        await database[name].insert_many([{"_id": f"{name}{number}", "v": 1, "n": number} for number in range(500)])
    await database["Patient_h"].insert_one({"_id": "Patient1/00000001", "v": 1})
    await Blobs(database).detach("Patient", {"_id": "Patient1", "j": b"x" * 3 * 2**20, "r": {}})
    await database.client[audit_database(database.name)]["events"].insert_many([{"_id": str(n)} for n in range(9)])
    return database


@pytest_asyncio.fixture(loop_scope="session")
async def empty(data_dir: Path, database_name: str) -> AsyncIterator[str]:
    """The name of a database in which there is nothing."""
    name = f"{database_name}_r"
    yield name
    await dropped(data_dir, name)


async def taken(database: Database, **options: Any) -> tuple[BytesIO, Manifest]:
    file = BytesIO()
    manifest = await back_up(database.client, database.name, file, secrets={"a": b"b"}, program="1", **options)
    file.seek(0)
    assert check(file) == manifest
    file.seek(0)
    return file, manifest


async def restored(client: AsyncMongoClient[Document], name: str, file: BytesIO, **options: Any) -> Restored:
    file.seek(0)
    manifest = check(file)
    file.seek(0)
    return await restore(client, name, file, manifest, **options)


async def everything(client: AsyncMongoClient[Document], name: str) -> Document:
    """Return documents and indexes of all collections of a record and its trail."""
    found: Document = {}
    for place, database in (("record", client[name]), ("audit", client[audit_database(name)])):
        for collection in await database.list_collection_names():
            if (place, collection) != ("record", PROCESSES):
                rows = await database[collection].find({}, sort={"_id": 1}).to_list()
                indexes = {row["name"]: row for row in await (await database[collection].list_indexes()).to_list()}
                options = [row["options"] async for row in await database.list_collections(filter={"name": collection})]
                found[f"{place}.{collection}"] = (rows, indexes, options)
    return found


async def test_a_restored_record_is_the_same_in_every_document_and_index(record: Database, empty: str) -> None:
    file, manifest = await taken(record)
    counts = {row.name: row.documents for row in manifest.collections}
    assert (counts["Patient"], counts["Patient_h"], counts["events"], counts["blobs.chunks"]) == (500, 1, 9, 13)
    done = await restored(record.client, empty, file, verify=True)
    assert (done.manifest, done.verified, done.unindexed) == (manifest, True, ())
    assert await everything(record.client, empty) == await everything(record.client, record.name)
    opened = await Store.open(record.client[empty], indexes_of)
    assert opened.secret == (await Store.open(record, indexes_of)).secret
    await opened.close()


async def test_of_transactions_beside_it_a_backup_has_all_or_nothing(record: Database, empty: str) -> None:
    """Each transaction writes to the first collection that is read, and to the last ones."""
    number = 0
    for name in ("AllergyIntolerance", "VisionPrescription"):
        await record.create_collection(name)

    async def write() -> None:
        nonlocal number
        while True:
            async with record.client.start_session() as session, await session.start_transaction():
                for target in (record["VisionPrescription"], record["AllergyIntolerance"]):
                    await target.insert_one({"_id": number}, session=session)
            number += 1
            if number == 20:
                many.set()

    many = asyncio.Event()
    writing = asyncio.create_task(write())
    await many.wait()
    before = number
    file, manifest = await taken(record)
    assert number > before, "nothing was written meanwhile"
    await ended(writing)
    counts = {row.name: (row.documents, row.sha256) for row in manifest.collections}
    assert counts["AllergyIntolerance"] == counts["VisionPrescription"]
    assert before <= counts["VisionPrescription"][0] <= number
    await restored(record.client, empty, file, verify=True)
    assert await record.client[empty]["AllergyIntolerance"].count_documents({}) == counts["AllergyIntolerance"][0]


async def test_a_backup_begins_anew_where_a_removal_took_the_past_away(record: Database, mongo_url: SecretStr) -> None:
    await record["dropped"].insert_one({"_id": 1})
    seen: list[Contents] = []

    def told(row: Contents) -> None:
        if not seen:
            with MongoClient[Document](mongo_url.get_secret_value()) as client:
                client[record.name].drop_collection("dropped")
                client[record.name]["Patient"].insert_one({"_id": "later"})
        seen.append(row)

    _, manifest = await taken(record, told=told)
    assert len(seen) > len(manifest.collections)
    counts = {row.name: row.documents for row in manifest.collections}
    assert (counts["Patient"], "dropped" in counts) == (501, False)


async def test_what_is_not_empty_is_not_touched(record: Database, empty: str) -> None:
    file, _ = await taken(record)
    before = await everything(record.client, record.name)
    with pytest.raises(Conflict, match="not empty"):
        await restored(record.client, record.name, file)
    assert await everything(record.client, record.name) == before
    await record.client[audit_database(empty)]["events"].insert_one({"_id": "old"})
    with pytest.raises(Conflict, match="something in events"):
        await restored(record.client, empty, file)
    assert await schema.restoring(record.client[empty]) == ""


async def test_a_half_restore_serves_nobody_and_is_finished_by_the_same_file(record: Database, empty: str) -> None:
    file, _ = await taken(record)
    other, _ = await taken(record)
    with pytest.raises(RuntimeError):  # in the middle
        await restored(record.client, empty, file, told=_cut_off)
    target = record.client[empty]
    assert await target["Observation"].count_documents({}) == 500
    with pytest.raises(Unavailable, match="restore was cut off"):
        await Store.open(target, indexes_of)
    with pytest.raises(Conflict, match="restored in part"):
        await taken(target)
    with pytest.raises(Conflict, match="Another backup"):
        await restored(record.client, empty, other)
    assert (await restored(record.client, empty, file)).verified
    assert await everything(record.client, empty) == await everything(record.client, record.name)


async def test_documents_that_came_to_other_than_was_saved_are_found(record: Database, empty: str) -> None:
    file, _ = await taken(record)
    with pytest.raises(RuntimeError):
        await restored(record.client, empty, file, told=_cut_off)
    await record.client[audit_database(empty)]["events"].replace_one({"_id": "3"}, {"altered": True})
    with pytest.raises(Unavailable, match="events has 9 documents where the backup has 9, or others"):
        await restored(record.client, empty, file)
    with pytest.raises(Unavailable):
        await Store.open(record.client[empty], indexes_of)


async def test_where_no_record_is_there_is_nothing_to_back_up(database: Database) -> None:
    with pytest.raises(NotFound, match="no record in database"):
        await taken(database)


async def test_a_backup_of_a_newer_release_is_refused(record: Database, empty: str) -> None:
    await record["meta"].update_one({"_id": "schema"}, {"$set": {"version": schema.VERSION + 1}})
    file, _ = await taken(record)
    with pytest.raises(Unprocessable, match="schema version"):
        await restored(record.client, empty, file)
    assert empty not in await record.client.list_database_names()


def _cut_off(row: Contents) -> None:
    if row.name == "Observation":
        raise RuntimeError
