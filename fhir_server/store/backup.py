"""Taking a backup: everything as it was at one moment, read beside the writers.

The moment is one that a majority of the members has reached. All collections, the trail and GridFS among them, are read as they
were then (`atClusterTime`), so a transaction is in the backup with all that it wrote, or not at all. MongoDB keeps the past for five
minutes unless it is told to keep it for longer, which is done where this program may.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import IO, Any
from uuid import uuid4

from bson import Int64, Timestamp
from bson.raw_bson import RawBSONDocument
from pymongo import AsyncMongoClient
from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import AutoReconnect, OperationFailure, PyMongoError

from fhir_server.model.errors import Conflict, NotFound, Unavailable
from fhir_server.store import failures, schema
from fhir_server.store.archive import Collection, Contents, Manifest, Place, Writer
from fhir_server.store.codecs import ENVELOPE, RAW
from fhir_server.store.replies import batch, documents
from fhir_server.store.trail import audit_database

PROCESSES = "writers"
"""Rows of processes that run; a restored record has none."""

BATCH = 50_000
"""Rows that are asked for at once; a reply ends at 16 MB."""

PATIENCE = 60
"""Seconds to wait for the database to come back, such as for the election of a primary."""

WINDOW = 24 * 3600
"""Seconds of the past that MongoDB is asked to keep while a backup is taken."""

ATTEMPTS = 5
GONE, TOO_OLD, NOT_THEN = 43, 239, 246
"""CursorNotFound, SnapshotTooOld, SnapshotUnavailable."""

Told = Callable[[Contents], None]
Uuids = Mapping[tuple[Place, str], Any]


class _Changed(Exception):
    """A collection was made, removed or indexed after the moment, which takes its past away."""


@dataclass(frozen=True, slots=True)
class _Source:
    """What is to be read: the databases by their place, as of a moment."""

    client: AsyncMongoClient[Any]
    databases: Mapping[Place, AsyncDatabase[Any]]
    at: Timestamp


async def back_up(
    client: AsyncMongoClient[Any],
    database: str,
    file: IO[bytes],
    *,
    secrets: Mapping[str, bytes],
    program: str,
    passphrase: bytes = b"",
    admin: AsyncMongoClient[Any] | None = None,
    told: Told = lambda _: None,
) -> Manifest:
    """Write a backup of a record and its trail.

    Args:
        client: Where the record is.
        database: Its database.
        file: Empty, and seekable: where collections change meanwhile it is begun anew.
        secrets: Secrets of the deployment that go with it, by name.
        program: Version of this program.
        passphrase: To encrypt with; empty to leave it readable.
        admin: Client of one who may have MongoDB keep more of its past; `client` is tried where there is none.
        told: Hears of each collection that is done.

    Raises:
        NotFound: There is no record in that database.
        Conflict: The record is restored in part only.
        Unavailable: The database cannot be reached, or keeps too little of the past for a record of this size.
    """
    databases: dict[Place, AsyncDatabase[Any]] = {
        "record": client[database],
        "audit": client[audit_database(database)],
    }
    try:
        version = await _version(databases["record"])
        async with _remembering(admin or client):
            for attempt in range(1, ATTEMPTS + 1):
                file.seek(0)
                file.truncate()
                writer = await asyncio.to_thread(Writer, file, backup_id := str(uuid4()), passphrase)
                try:
                    source, taken, names = await _source(client, databases)
                    rows = await _written(source, names, writer, secrets, told)
                    manifest = Manifest(
                        backup_id,
                        taken.isoformat(),
                        program,
                        version,
                        database,
                        bool(passphrase),
                        tuple(sorted(secrets)),
                        rows,
                    )
                    writer.finish(manifest)
                except _Changed:
                    await asyncio.sleep(attempt)
                else:
                    return manifest
    except PyMongoError as error:
        raise failures.expected(error) from error
    raise Unavailable(
        f"Collections or indexes were made or removed {ATTEMPTS} times while the backup was taken, which MongoDB cannot look "
        "behind. Take it when no guide, search parameter or code system is being added."
    )


async def _version(record: AsyncDatabase[Any]) -> int:
    """Return the schema version of a record that is whole."""
    if await schema.restoring(record):
        raise Conflict(f"The record in database '{record.name}' is restored in part only; finish that first.")
    version = await schema.version_of(record)
    if version is None:
        raise NotFound(
            f"There is no record in database '{record.name}'. Check FHIR_MONGO__DATABASE and the data directory."
        )
    return version


async def _written(
    source: _Source, names: Uuids, writer: Writer, secrets: Mapping[str, bytes], told: Told
) -> tuple[Contents, ...]:
    """Write secrets and collections; return what there is of these."""
    for name, value in sorted(secrets.items()):
        writer.secret(name, value)
    done: list[Contents] = []
    for place, name in sorted(names):
        collection = await _described(source, place, name)
        writer.begin(collection)
        await _copy(source, collection, writer)
        done.append(writer.end(collection))
        told(done[-1])
    after = await _uuids(source.databases)
    if any(after.get(key) != uuid for key, uuid in names.items()):
        raise _Changed
    return tuple(done)


async def _source(
    client: AsyncMongoClient[Any], databases: Mapping[Place, AsyncDatabase[Any]]
) -> tuple[_Source, datetime, Uuids]:
    """Return what to read at a moment that the majority has reached, and the collections that there were before and after it."""
    for _ in range(ATTEMPTS):
        before = await _uuids(databases)
        # A sharded cluster has no such moment of its own; there that of a read is taken which a majority has answered.
        read = {"find": "meta", "limit": 1, "readConcern": {"level": "majority"}}
        reply = await databases["record"].command(read)
        hello = await databases["record"].command("hello", codec_options=ENVELOPE)
        at = hello["lastWrite"]["majorityOpTime"]["ts"] if "lastWrite" in hello else reply["operationTime"]
        if before == await _uuids(databases):
            return _Source(client, databases, at), hello["localTime"], before
    raise _Changed


async def _uuids(databases: Mapping[Place, AsyncDatabase[Any]]) -> Uuids:
    """Return what tells collections apart from later ones of their names."""
    found: dict[tuple[Place, str], Any] = {}
    for place, database in databases.items():
        async for row in await database.list_collections():
            name = row["name"]
            if (
                row["type"] == "collection"
                and not name.startswith("system.")
                and (place, name) != ("record", PROCESSES)
            ):
                found[place, name] = row["info"]["uuid"]
    return found


async def _described(source: _Source, place: Place, name: str) -> Collection:
    database = source.databases[place]
    rows = await (await database.list_collections(filter={"name": name})).to_list()
    if not rows:
        raise _Changed
    indexes = await (await database[name].list_indexes()).to_list()
    defined = tuple(
        {key: value for key, value in index.items() if key not in {"v", "ns"}}
        for index in indexes
        if index["name"] != "_id_"
    )
    return Collection(place, name, rows[0]["options"], defined)


async def _copy(source: _Source, collection: Collection, writer: Writer) -> None:
    """Copy all documents by `_id`; after a change of the primary the reading goes on where it was."""
    last: RawBSONDocument | None = None
    silent = 0.0
    while True:
        try:
            async with aclosing(_pieces(source, collection, last)) as pieces:
                async for rows in pieces:
                    silent = 0.0
                    # The database works on the next rows while these are packed.
                    await asyncio.to_thread(writer.add, rows)
                    last = RawBSONDocument(rows[-1], RAW)
        except AutoReconnect:
            if silent > PATIENCE:
                raise
            silent += 1
            await asyncio.sleep(1)
        except OperationFailure as error:
            if error.code == NOT_THEN:
                raise _Changed from error
            if error.code == TOO_OLD:
                raise Unavailable(
                    "The backup took longer than MongoDB keeps the past. Raise minSnapshotHistoryWindowInSeconds on every "
                    "member for the time of the backup (docs/operate.md), or use snapshots of the disks."
                ) from error
            if error.code != GONE:
                raise
        else:
            return


async def _pieces(
    source: _Source, collection: Collection, last: RawBSONDocument | None
) -> AsyncGenerator[list[bytes], None]:
    """Yield documents as they were at the moment, those after `last`, in pieces."""
    database = source.databases[collection.place]
    begin: dict[str, Any] = {"find": collection.name, "hint": {"_id": 1}, "sort": {"_id": 1}, "batchSize": BATCH}
    if last is not None:
        begin["min"] = {"_id": last["_id"]}
    begin["readConcern"] = {"level": "snapshot", "atClusterTime": source.at}
    more = {"collection": collection.name, "batchSize": BATCH}
    async with source.client.start_session(causal_consistency=False) as session:
        cursor, rows = batch(await database.command(begin, codec_options=RAW, session=session))
        while True:
            following = None
            if cursor:
                command = {"getMore": Int64(cursor), **more}
                following = asyncio.ensure_future(database.command(command, codec_options=RAW, session=session))
            try:
                found = [*documents(rows)]
                if last is not None and found:  # the bound is among what it bounds
                    found, last = found[1:], None
                if found:
                    yield found
                if following is None:
                    return
            except BaseException:
                if following is not None:
                    following.cancel()
                raise
            cursor, rows = batch(await following)


@asynccontextmanager
async def _remembering(client: AsyncMongoClient[Any]) -> AsyncIterator[None]:
    """Have MongoDB keep more of the past while inside, where that is ours to say."""
    name = "minSnapshotHistoryWindowInSeconds"
    try:
        kept = (await client.admin.command({"getParameter": 1, name: 1}))[name]
        if kept < WINDOW:  # else another backup is being taken, or the operator wants it so
            await client.admin.command({"setParameter": 1, name: WINDOW})
    except OperationFailure:
        yield
        return
    try:
        yield
    finally:
        if kept < WINDOW:
            await client.admin.command({"setParameter": 1, name: kept})
