"""Bringing a backup back, into a place where no record is.

Before anything is written the file is read to its end, and a mark is set that keeps every server from opening the record. It goes
with the last write, when all collections have as many documents as the manifest says. So a restore that was cut off serves
nobody; it is run again with the same file.
"""

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import IO, Any

from bson.raw_bson import RawBSONDocument
from pymongo import AsyncMongoClient, ReplaceOne, WriteConcern
from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import BulkWriteError, NetworkTimeout, OperationFailure, PyMongoError
from pymongo.read_concern import ReadConcern

from fhir_server.model.errors import Conflict, Unavailable, Unprocessable
from fhir_server.store import failures, schema
from fhir_server.store.archive import Collection, Contents, Documents, Manifest, Part, Place, Reader
from fhir_server.store.codecs import RAW
from fhir_server.store.creation import create
from fhir_server.store.migrations import META
from fhir_server.store.schema import MARK
from fhir_server.store.trail import UNAUTHORIZED, audit_database

BATCH = 50_000
MOST = 5_000
"""Documents of one insert; MongoDB splits them at 48 MB by itself."""

TRIES = 360
"""Times that an index is waited for, two minutes each."""

LOADED = WriteConcern(1)
"""While it is loaded; the last write waits for a majority to have everything."""

Told = Callable[[Contents], None]


@dataclass(frozen=True, slots=True)
class Restored:
    """What was restored.

    Attributes:
        manifest: Of the backup.
        verified: Whether all documents were read again and have the hashes of the manifest.
        unindexed: Indexes of the trail that this user may not make.
    """

    manifest: Manifest
    verified: bool
    unindexed: tuple[str, ...]


async def restore(
    client: AsyncMongoClient[Any],
    database: str,
    file: IO[bytes],
    manifest: Manifest,
    *,
    passphrase: bytes = b"",
    verify: bool = False,
    told: Told = lambda _: None,
) -> Restored:
    """Restore a backup that was checked.

    Args:
        client: Of a deployment in which the record is to be.
        database: Its database, empty as is that of its trail.
        file: The backup, at its beginning.
        manifest: As `archive.check` returned it.
        passphrase: Of the backup, if it is encrypted.
        verify: Whether to read everything again and compare its hashes.
        told: Hears of each collection that is done.

    Raises:
        Conflict: The database is not empty, or a restore of another backup was cut off in it.
        Unavailable: It cannot be reached, or has not what was written; nothing serves this record then.
    """
    if manifest.schema > schema.VERSION:
        raise Unprocessable(
            f"The backup is of schema version {manifest.schema}; this program knows versions up to {schema.VERSION}. Restore it "
            f"with release {manifest.program}, or a newer one."
        )
    here: dict[str, Any] = {"write_concern": LOADED, "read_concern": ReadConcern("local")}
    databases: dict[Place, AsyncDatabase[Any]] = {
        "record": client.get_database(database, **here),
        "audit": client.get_database(audit_database(database), **here),
    }
    try:
        again = await _occupy(client[database], databases, manifest)
        task = _Restore(databases, verify=verify or again, told=told)
        await task.load(Reader(file, passphrase).parts())
        await task.finish(client[database])
    except PyMongoError as error:
        raise failures.expected(error) from error
    return Restored(manifest, task.verify, tuple(task.unindexed))


async def _occupy(
    durable: AsyncDatabase[Any], databases: Mapping[Place, AsyncDatabase[Any]], manifest: Manifest
) -> bool:
    """Set the mark; return whether one of this backup was there, which is to be begun again."""
    begun = await schema.restoring(durable)
    if begun and begun != manifest.id:
        raise Conflict(
            f"Another backup ({begun}) was being restored into database '{durable.name}' and was cut off. Finish that one, or "
            "use another database."
        )
    if not begun:
        await _refuse_filled(databases, allowed=0)
        await durable[META].insert_one({"_id": MARK, "backup": manifest.id})
        try:
            await _refuse_filled(databases, allowed=1)
        except Conflict:
            await durable[META].delete_one({"_id": MARK})
            raise
        return False
    for name in await durable.list_collection_names():
        if name != META and not name.startswith("system."):
            await durable.drop_collection(name)
    return True


async def _refuse_filled(databases: Mapping[Place, AsyncDatabase[Any]], allowed: int) -> None:
    """Return when no collection has documents, but for those of ours in `meta`."""
    for place, database in databases.items():
        for name in await database.list_collection_names():
            if name.startswith("system."):
                continue
            most = allowed if (place, name) == ("record", META) else 0
            if len(await database[name].find({}, {"_id": 1}, limit=most + 1).to_list()) > most:
                raise Conflict(
                    f"Database '{database.name}' is not empty: there is something in {name}. A backup is restored into an empty "
                    "data directory or database only; name another one with --data-dir or FHIR_MONGO__DATABASE."
                )


class _Restore:
    """A restore under way."""

    def __init__(self, databases: Mapping[Place, AsyncDatabase[Any]], *, verify: bool, told: Told) -> None:
        self._databases = databases
        self._told = told
        self._held: list[bytes] = []
        self.verify = verify
        self.unindexed: list[str] = []

    async def load(self, parts: Iterator[Part]) -> None:
        """Write what the backup has, each collection with its indexes."""
        now: Collection | None = None
        while (part := await asyncio.to_thread(next, parts, None)) is not None:
            if isinstance(part, Collection):
                now = part
                await self._begin(part)
            elif isinstance(part, Documents) and now is not None:
                await self._add(now, part.rows)
            elif isinstance(part, Contents) and now is not None:
                await self._end(now, part)
                self._told(part)

    async def finish(self, durable: AsyncDatabase[Any]) -> None:
        """Write what makes it a record, and take the mark away; a majority has everything then."""
        if self._held:
            rows = [RawBSONDocument(row, RAW) for row in self._held]
            await durable[META].bulk_write([ReplaceOne({"_id": row["_id"]}, row, upsert=True) for row in rows])
        await durable[META].delete_one({"_id": MARK})

    async def _begin(self, collection: Collection) -> None:
        database = self._databases[collection.place]
        if collection.name in await database.list_collection_names():
            return
        try:
            await create(database, collection.name, **collection.options)
        except OperationFailure as error:
            # Who may only insert into the trail makes its collections by doing so.
            if collection.place != "audit" or error.code != UNAUTHORIZED:
                raise

    async def _add(self, collection: Collection, rows: Sequence[bytes]) -> None:
        if _is_meta(collection):
            self._held += rows
            return
        target = self._databases[collection.place][collection.name]
        for start in range(0, len(rows), MOST):
            docs = [RawBSONDocument(row, RAW) for row in rows[start : start + MOST]]
            try:
                await target.insert_many(docs, ordered=False)
            except BulkWriteError as error:
                # Of the trail nothing can be removed, so what an earlier attempt has written stays.
                details: Mapping[str, Any] = error.details or {}
                if any(row["code"] != failures.DUPLICATE for row in details.get("writeErrors", ())):
                    raise

    async def _end(self, collection: Collection, contents: Contents) -> None:
        if _is_meta(collection):
            return
        # Before the indexes, for some of them remove what has expired since.
        there = await self._there(collection) if self.verify else await self._counted(collection)
        if there != (contents.documents, contents.sha256 if self.verify else ""):
            raise Unavailable(
                f"{collection.name} has {there[0]} documents where the backup has {contents.documents}, or others than those. "
                "Nothing is served of this record; restore it into another database, and look into the log of MongoDB."
            )
        if collection.indexes:
            await self._index(collection)

    async def _counted(self, collection: Collection) -> tuple[int, str]:
        return await self._databases[collection.place][collection.name].count_documents({}), ""

    async def _there(self, collection: Collection) -> tuple[int, str]:
        """Return number and hash of the documents as the database has them."""
        digest, count = sha256(), 0
        target = self._databases[collection.place].get_collection(collection.name, codec_options=RAW)
        async for row in target.find({}, sort={"_id": 1}, hint={"_id": 1}, batch_size=BATCH):
            digest.update(row.raw)
            count += 1
        return count, digest.hexdigest()

    async def _index(self, collection: Collection) -> None:
        database = self._databases[collection.place]
        for left in reversed(range(TRIES)):
            try:
                await database.command({"createIndexes": collection.name, "indexes": [*collection.indexes]})
            except NetworkTimeout:  # it is being made, and asked for again it is waited for
                if not left:
                    raise
            except OperationFailure as error:
                if collection.place != "audit" or error.code != UNAUTHORIZED:
                    raise
                await self._note_missing(collection)
                return
            else:
                return

    async def _note_missing(self, collection: Collection) -> None:
        known = await (await self._databases[collection.place][collection.name].list_indexes()).to_list()
        names = {index["name"] for index in known}
        self.unindexed += [
            f"{collection.name}.{index['name']}" for index in collection.indexes if index["name"] not in names
        ]


def _is_meta(collection: Collection) -> bool:
    """Return whether a collection says what the record is; it is written last."""
    return (collection.place, collection.name) == ("record", META)
