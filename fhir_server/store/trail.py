"""The rows of the audit trail, in a database of their own, where this program may insert and find, and nothing else.

Rows of writes are committed with them (`Extra`); all others share inserts with those of concurrent requests. What was stored is
handed on to the chain, as the bytes that the database has. Ids are ordered by time, so that the index on them is one by time.
"""

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import structlog
from bson.raw_bson import RawBSONDocument
from pymongo import WriteConcern
from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import OperationFailure, PyMongoError
from pymongo.read_concern import ReadConcern

from fhir_server.model.query import IndexSpec
from fhir_server.store import creation, direct, failures
from fhir_server.store.changes import Extra
from fhir_server.store.codecs import ENVELOPE, RAW, encode
from fhir_server.store.grouping import Grouped

EVENTS, CHAIN, SEALS, KEYS = "events", "chain", "seals", "keys"
MOST = 1000
TIME_LIMIT_MS = 10_000
UNAUTHORIZED = 13

INDEXES: Mapping[str, tuple[IndexSpec, ...]] = MappingProxyType(
    {
        EVENTS: (
            IndexSpec("patient", (("p", 1), ("_id", -1)), {"partialFilterExpression": {"p": {"$exists": True}}}),
            IndexSpec("patients", (("ps", 1), ("_id", -1)), {"partialFilterExpression": {"ps": {"$exists": True}}}),
            IndexSpec("user", (("u", 1), ("_id", -1)), {"partialFilterExpression": {"u": {"$exists": True}}}),
            IndexSpec("acting", (("w", 1), ("_id", -1)), {"partialFilterExpression": {"w": {"$exists": True}}}),
            IndexSpec("facility", (("f", 1), ("_id", -1)), {"partialFilterExpression": {"f": {"$exists": True}}}),
            IndexSpec("keeper", (("cf", 1), ("_id", -1)), {"partialFilterExpression": {"cf": {"$exists": True}}}),
            IndexSpec("entity", (("e", 1), ("_id", -1)), {"partialFilterExpression": {"e": {"$exists": True}}}),
        ),
        CHAIN: (IndexSpec("time", (("t", 1), ("_id", 1))),),
        SEALS: (IndexSpec("lane", (("heads.l", 1), ("_id", -1))),),
        KEYS: (),
    }
)
"""Collections of the trail with their indexes. Partial ones are used where a query asks for the field."""

Row = Mapping[str, Any]


def audit_database(name: str) -> str:
    """Return the name of the database that holds the trail of a record."""
    return f"{name}_audit"


class Trail:
    """The rows. Belongs to the event loop in which it is made; nothing is sent yet.

    Args:
        database: The database of the record.
    """

    def __init__(self, database: AsyncDatabase[Any]) -> None:
        self.name = audit_database(database.name)
        self.namespace = (self.name, EVENTS)
        self.database: AsyncDatabase[Any] = database.client.get_database(
            self.name,
            codec_options=ENVELOPE,
            write_concern=WriteConcern("majority", j=True),
            read_concern=ReadConcern("majority"),
        )
        self._inserts = Grouped(self._insert, MOST)
        self._follower: Callable[[Sequence[bytes]], None] | None = None
        self._durable: Mapping[str, Any] = {"w": "majority", "j": True}

    async def open(self) -> None:
        """Create the collections and indexes that are missing, as far as this program may.

        Raises:
            Unavailable: The database cannot be reached.
        """
        try:
            await create(self.database)
            if await _is_single(self.database):
                # What its journal has is what the majority has; to wait for its word on that, too, takes as long again.
                self._durable = {"w": 1, "j": True}
                self.database = self.database.with_options(read_concern=ReadConcern("local"))
        except OperationFailure as error:
            if error.code != UNAUTHORIZED:
                raise failures.expected(error) from error
            structlog.get_logger("fhir_server.store").warning("audit_indexes_missing", database=self.name)
        except PyMongoError as error:
            raise failures.expected(error) from error

    async def close(self) -> None:
        """Finish what is on the wire."""
        await self._inserts.close()

    def change(self, row: Row) -> Extra:
        """Return a row as a change that is there if and only if others are."""
        return Extra(EVENTS, row, self.name)

    async def add(self, row: Row) -> None:
        """Store a row durably; concurrent ones share an insert.

        Raises:
            Unavailable: The database cannot be reached.
        """
        await self._inserts.ask(encode(row))

    async def again(self, rows: Sequence[Row]) -> None:
        """Store rows durably of which the trail may have some already: those stay as they are there.

        Raises:
            Unavailable: The trail does not take them.
        """
        events = self.database[EVENTS]
        try:
            reply = await self.database.command(
                {"insert": EVENTS, "documents": [*rows], "ordered": False, "writeConcern": self._durable}
            )
            errors = reply.get("writeErrors", ())
            if reply.get("writeConcernError") or any(error["code"] != failures.DUPLICATE for error in errors):
                raise OperationFailure(str(reply), errors[0]["code"] if errors else None)
            stored = (
                await events.with_options(codec_options=RAW)
                .find({"_id": {"$in": [row["_id"] for row in rows]}})
                .to_list()
            )
        except PyMongoError as error:
            raise failures.of_trail(error) from error
        self.committed(stored)

    def committed(self, rows: Sequence[RawBSONDocument]) -> None:
        """Take notice of rows that are stored for good."""
        if self._follower and rows:
            self._follower([bytes(row.raw) for row in rows])

    def follow(self, follower: Callable[[Sequence[bytes]], None] | None) -> None:
        """Have every row handed on, when it is stored, as the bytes that the database has."""
        self._follower = follower

    async def find(
        self, clause: Row, limit: int, sort: Sequence[tuple[str, int]] = (("_id", -1),), hint: str | None = None
    ) -> list[Row]:
        """Return rows, by default the newest first.

        Args:
            clause: A MongoDB filter over rows.
            limit: Most rows.
            sort: Order.
            hint: Index to use.

        Raises:
            TooCostly: It takes too long.
            Unavailable: The database cannot be reached.
        """
        cursor = self.database[EVENTS].find(clause, sort=[*sort], limit=limit, hint=hint, max_time_ms=TIME_LIMIT_MS)
        try:
            return await cursor.to_list()
        except PyMongoError as error:
            raise failures.expected(error) from error

    async def count(self, clause: Row, most: int | None = None) -> int:
        """Return the number of rows, counted as far as `most`.

        Raises:
            TooCostly: It takes too long.
            Unavailable: The database cannot be reached.
        """
        limit: dict[str, Any] = {"limit": most} if most else {}
        try:
            return int(await self.database[EVENTS].count_documents(clause, maxTimeMS=TIME_LIMIT_MS, **limit))
        except PyMongoError as error:
            raise failures.expected(error) from error

    async def _insert(self, rows: Sequence[RawBSONDocument]) -> Sequence[None]:
        try:
            reply = await direct.ask(
                self.database, {"insert": EVENTS, "documents": rows, "ordered": False, "writeConcern": self._durable}
            )
            if errors := reply.get("writeErrors") or [reply[name] for name in ("writeConcernError",) if name in reply]:
                raise OperationFailure(str(errors), errors[0].get("code"))
        except PyMongoError as error:
            raise failures.of_trail(error) from error
        self.committed(rows)
        return [None] * len(rows)


async def create(database: AsyncDatabase[Any]) -> None:
    """Create the collections and indexes of a trail that are missing.

    Args:
        database: The trail's own.
    """
    there = set(await database.list_collection_names())
    for name, specs in INDEXES.items():
        if name not in there:
            await creation.create(database, name)
        known = {index["name"] for index in await (await database[name].list_indexes()).to_list()}
        if missing := [spec for spec in specs if spec.name not in known]:
            indexes = [{"name": spec.name, "key": dict(spec.keys), **spec.options} for spec in missing]
            await database.command({"createIndexes": name, "indexes": indexes})


async def _is_single(database: AsyncDatabase[Any]) -> bool:
    """Return whether the replica set has one member only."""
    return len((await database.command("hello")).get("hosts", ())) == 1
