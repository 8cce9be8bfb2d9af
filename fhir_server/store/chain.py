"""What makes the audit trail tamper-evident: chain rows, seals and public keys, in the trail's database, where nothing is changed.

A chain row is `{_id: lane/number, t, p: hash of the one before, i: ids, s: SHA-256 of each of these rows, h: its own hash}`; a seal is
`{_id: number, t, w, heads, root, p, h, kid, sig}` (`fhir_server.audit.chain` says what they mean). Rows of the trail are read here
as bytes, as the database has them.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from bson import Binary, Int64
from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import PyMongoError, WTimeoutError

from fhir_server.store import failures
from fhir_server.store.codecs import RAW
from fhir_server.store.repeatable import Repeatable
from fhir_server.store.replies import batch
from fhir_server.store.trail import CHAIN, EVENTS, KEYS, SEALS

BATCH = 20_000
"""Rows that are read at once, about 8 MB."""

Row = Mapping[str, Any]


class Chain:
    """The chain of one trail.

    Args:
        database: The trail's own.
    """

    def __init__(self, database: AsyncDatabase[Any]) -> None:
        self._database = database
        self._inserts = {name: Repeatable() for name in (CHAIN, SEALS, KEYS)}

    async def append(self, row: Row) -> bool:
        """Store a chain row; return whether its place was free.

        Raises:
            Unavailable: The database cannot be reached.
        """
        return await self._insert(CHAIN, row)

    async def seal(self, row: Row) -> bool:
        """Store a seal; return whether its number was free."""
        return await self._insert(SEALS, row)

    async def publish(self, row: Row) -> bool:
        """Store a public key; return whether it is new."""
        return await self._insert(KEYS, row)

    async def keys(self) -> list[Row]:
        """Return all public keys, the newest first."""
        return await self._found(KEYS, {}, sort={"t": -1})

    async def row(self, row_id: str) -> Row | None:
        """Return a chain row."""
        return next(iter(await self._found(CHAIN, {"_id": row_id})), None)

    async def last_seal(self) -> Row | None:
        """Return the newest seal."""
        return next(iter(await self._found(SEALS, {}, sort={"_id": -1}, limit=1)), None)

    async def seal_of(self, lane: str) -> Row | None:
        """Return the newest seal that has a head of this lane."""
        return next(iter(await self._found(SEALS, {"heads.l": lane}, sort={"_id": -1}, limit=1)), None)

    async def heads_since(self, moment: datetime) -> list[Row]:
        """Return `_id` and `h` of the chain rows made after a moment."""
        return await self._found(CHAIN, {"t": {"$gt": moment}}, {"_id": 1, "h": 1}, {"t": 1, "_id": 1})

    async def stretch(self, first: str, last: str) -> list[Row]:
        """Return `_id` and `h` of the chain rows of a lane from one to another, both among them."""
        return await self._found(CHAIN, {"_id": {"$gte": first, "$lte": last}}, {"_id": 1, "h": 1}, {"_id": 1})

    async def ids_since(self, moment: datetime) -> list[bytes]:
        """Return the packed ids of each chain row made after a moment."""
        return [row["i"] for row in await self._found(CHAIN, {"t": {"$gt": moment}}, {"i": 1})]

    async def count_events(self, after: str, until: str) -> int:
        """Return how many rows of the trail have ids between two, the second one among them."""
        try:
            return int(await self._database[EVENTS].count_documents({"_id": {"$gt": after, "$lte": until}}))
        except PyMongoError as error:
            raise failures.expected(error) from error

    async def event_ids(self, after: str, until: str) -> list[str]:
        """Return these ids."""
        return [row["_id"] for row in await self._found(EVENTS, {"_id": {"$gt": after, "$lte": until}}, {"_id": 1})]

    async def raw_events(self, ids: Sequence[str]) -> AsyncIterator[bytes]:
        """Yield rows of the trail as bytes, several in a row in each piece."""
        async for piece in self._raw({"_id": {"$in": [*ids]}}):
            yield piece

    async def all_raw_events(self) -> AsyncIterator[bytes]:
        """Yield the whole trail about in the order of time: in each piece the elements of a BSON array, several rows.

        The driver's own raw batches make an object of each row before they join them, which takes longer than to hash it; and by
        the index on ids the database takes twice as long as in its own order, which is that of storing.
        """
        begin = {"find": EVENTS, "hint": {"$natural": 1}, "batchSize": BATCH, "readConcern": {"level": "majority"}}
        try:
            async with self._database.client.start_session() as session:
                cursor, piece = batch(await self._database.command(begin, codec_options=RAW, session=session))
                while cursor:
                    more = {"getMore": Int64(cursor), "collection": EVENTS, "batchSize": BATCH}
                    # The database works on the next rows while these are looked at.
                    following = asyncio.ensure_future(self._database.command(more, codec_options=RAW, session=session))
                    await asyncio.sleep(0)
                    try:
                        yield piece
                    except BaseException:
                        following.cancel()
                        raise
                    cursor, piece = batch(await following)
                yield piece
        except PyMongoError as error:
            raise failures.expected(error) from error

    async def all_rows(self) -> AsyncIterator[Row]:
        """Yield all chain rows in the order of time, those of each lane in their order."""
        async for row in self._each(CHAIN, {"t": 1, "_id": 1}):
            yield row

    async def all_seals(self) -> AsyncIterator[Row]:
        """Yield all seals in their order."""
        async for row in self._each(SEALS, {"_id": 1}):
            yield row

    async def _raw(self, clause: Row) -> AsyncIterator[bytes]:
        cursor = self._database[EVENTS].find_raw_batches(clause, sort={"_id": 1}, batch_size=BATCH)
        try:
            async for piece in cursor:
                yield piece
        except PyMongoError as error:
            raise failures.expected(error) from error

    async def _each(self, name: str, sort: Mapping[str, int]) -> AsyncIterator[Row]:
        try:
            async for row in self._database[name].find({}, sort=dict(sort), batch_size=1000):
                yield row
        except PyMongoError as error:
            raise failures.expected(error) from error

    async def _found(
        self,
        name: str,
        clause: Row,
        fields: Mapping[str, int] | None = None,
        sort: Mapping[str, int] | None = None,
        limit: int = 0,
    ) -> list[Row]:
        try:
            cursor = self._database[name].find(clause, fields, sort=dict(sort) if sort else None, limit=limit)
            return await cursor.to_list()
        except PyMongoError as error:
            raise failures.expected(error) from error

    async def _insert(self, name: str, row: Row) -> bool:
        # Plain bytes would be stored as the same kind of value, but a reader of the shell sees them as binary either way.
        doc = {key: Binary(value) if isinstance(value, bytes) else value for key, value in row.items()}
        try:
            reply = await self._inserts[name].insert(self._database, name, [doc])
        except PyMongoError as error:
            raise failures.expected(error) from error
        for refusal in reply.get("writeErrors", ()):
            if refusal["code"] != failures.DUPLICATE:
                raise failures.refused(refusal)
            return False
        if "writeConcernError" in reply:
            raise failures.expected(WTimeoutError("majority"))
        return True
