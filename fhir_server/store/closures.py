"""Closure tables that callers keep here (R4 ConceptMap/$closure): their concepts, and what was told of them in which version.

A table has a head, whose version every addition raises inside the unit that adds: additions of one table collide there, and one
of them begins again. What a table held before it was begun anew goes when the new beginning has committed.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from bson import ObjectId
from pymongo import IndexModel, ReturnDocument, WriteConcern
from pymongo.asynchronous.client_session import AsyncClientSession
from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import PyMongoError
from pymongo.read_concern import ReadConcern

from fhir_server.store import failures
from terminology.closure import Entry, Relation

TABLES, CONCEPTS, RELATIONS = "closures", "closure_concepts", "closure_relations"
AT_ONCE = 5_000


@dataclass(frozen=True, slots=True)
class Table:
    """One closure table.

    Attributes:
        key: What its rows go by, another one for each beginning.
        begun: Version at which it was begun, without any concept.
        version: Of now.
        count: Concepts in it.
    """

    key: ObjectId
    begun: int
    version: int
    count: int


class Closures:
    """The closure tables of one database."""

    def __init__(self, database: AsyncDatabase[Any]) -> None:
        options: dict[str, Any] = {
            "write_concern": WriteConcern("majority", j=True),
            "read_concern": ReadConcern("majority"),
        }
        self._tables = database.get_collection(TABLES, **options)
        self._concepts = database.get_collection(CONCEPTS, **options)
        self._relations = database.get_collection(RELATIONS, **options)

    async def open(self) -> None:
        """Create the collections and their indexes; inside a transaction that would be too late (see `unit_of_work`)."""
        await self._tables.create_indexes([IndexModel([("owner", 1), ("name", 1)], name="name", unique=True)])
        await self._concepts.create_indexes([IndexModel([("t", 1), ("s", 1), ("c", 1)], name="code", unique=True)])
        await self._relations.create_indexes([IndexModel([("t", 1), ("v", 1)], name="version")])

    async def count(self, owner: str, session: AsyncClientSession) -> int:
        """Return how many tables an owner has."""
        return await self._tables.count_documents({"owner": owner}, session=session)

    async def find(self, owner: str, name: str, session: AsyncClientSession | None = None) -> Table | None:
        """Return a table, `None` where there is none.

        Raises:
            Unavailable: The database cannot be reached.
        """
        try:
            row = await self._tables.find_one({"owner": owner, "name": name}, session=session)
        except PyMongoError as error:
            if session is not None:
                raise  # whoever runs the unit begins it again where that helps
            raise failures.expected(error) from error
        return _table(row) if row else None

    async def begin(self, owner: str, name: str, at: datetime, session: AsyncClientSession) -> Table:
        """Begin a table without concepts, or begin it anew: its versions go on."""
        known = await self.find(owner, name, session)
        version = known.version + 1 if known else 0
        told = {"key": ObjectId(), "begun": version, "version": version, "count": 0, "at": at}
        row = await self._tables.find_one_and_update(
            {"owner": owner, "name": name},
            {"$set": told},
            upsert=True,
            return_document=ReturnDocument.AFTER,
            session=session,
        )
        return _table(row)

    async def forget(self, key: ObjectId) -> None:
        """Remove the rows of a table that was begun anew.

        Raises:
            Unavailable: The database cannot be reached.
        """
        try:
            await self._concepts.delete_many({"t": key})
            await self._relations.delete_many({"t": key})
        except PyMongoError as error:
            raise failures.expected(error) from error

    async def raised(self, table: Table, more: int, at: datetime, session: AsyncClientSession) -> Table:
        """Raise the version of a table by one and its count by the concepts that are added; the first thing of an addition."""
        row = await self._tables.find_one_and_update(
            {"key": table.key},
            {"$inc": {"version": 1, "count": more}, "$set": {"at": at}},
            return_document=ReturnDocument.AFTER,
            session=session,
        )
        return _table(row)

    async def members(self, table: Table, system: str, session: AsyncClientSession) -> Sequence[Entry]:
        """Return the concepts of a table that are of one code system."""
        rows = self._concepts.find({"t": table.key, "s": system}, session=session)
        return [Entry(row["s"], row["c"], row["o"], row["e"]) async for row in rows]

    async def add(
        self, table: Table, members: Iterable[Entry], pairs: Sequence[Relation], session: AsyncClientSession
    ) -> None:
        """Add concepts, and what is new with them in the version of the table."""
        concepts = [
            {"t": table.key, "s": one.system, "c": one.code, "o": one.ordinal, "e": one.edition} for one in members
        ]
        if concepts:
            await self._concepts.insert_many(concepts, ordered=False, session=session)
        for first in range(0, len(pairs), AT_ONCE):
            rows = [
                {"t": table.key, "v": table.version, "s": one.system, "c": one.code, "a": one.above}
                for one in pairs[first : first + AT_ONCE]
            ]
            await self._relations.insert_many(rows, ordered=False, session=session)

    async def since(self, table: Table, version: int) -> Sequence[Relation]:
        """Return what is new after a version of a table, in the order of the versions.

        Raises:
            Unavailable: The database cannot be reached.
        """
        wanted = {"t": table.key, "v": {"$gt": version, "$lte": table.version}}
        try:
            rows = await self._relations.find(wanted).sort([("v", 1), ("_id", 1)]).to_list()
        except PyMongoError as error:
            raise failures.expected(error) from error
        return [Relation(row["s"], row["c"], row["a"]) for row in rows]


def _table(row: Any) -> Table:
    return Table(row["key"], row["begun"], row["version"], row["count"])
