"""The large code systems that are kept here: a row for each version, its states, and a number that tells of changes.

A row is first *loading*: its concepts are on their way, and nobody sees them. It becomes *loaded* in the transaction that
raises the number, and a row of the same version that was loaded before becomes *dropping* in the same one; its concepts are
deleted later. So whoever sees the number changed sees whole versions only.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Literal
from uuid import uuid4

from pymongo import ReturnDocument, WriteConcern
from pymongo.asynchronous.client_session import AsyncClientSession
from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import DuplicateKeyError, PyMongoError

from fhir_server.model.errors import Conflict
from fhir_server.store import failures
from fhir_server.store.codecs import native
from fhir_server.store.creation import create
from fhir_server.store.numbers import Numbers
from fhir_server.store.transactions import Again, once, retried
from terminology.concept import Head, PropertyDefinition

ROWS, META = "tx_system", "meta"
KEY, LAST = "terminology", "terminology_last"
NAMES = {"url", "version"}

State = Literal["loading", "loaded", "dropping"]


@dataclass(frozen=True, slots=True)
class SystemRow:
    """What is known of a version of a code system without reading its concepts.

    Attributes:
        key: Number that all its concepts have; never given twice.
        head: Of the code system; its count is right once it is loaded.
        digest: Of what it was loaded from.
        state: Whether it is whole.
        done: Concepts that are stored so far.
        edges: Relations of its hierarchy.
        at: When it was last worked on (database time).
    """

    key: int
    head: Head
    digest: str
    state: State
    done: int
    edges: int
    at: datetime


@dataclass(frozen=True, slots=True)
class Claim:
    """The right to load a version: whoever claims it last has it.

    Attributes:
        row: Of the version.
        owner: Tells the claim from others.
    """

    row: SystemRow
    owner: str


class Systems:
    """The rows in one database; its write and read concern are those of the database."""

    def __init__(self, database: AsyncDatabase[Any], numbers: Numbers | None = None) -> None:
        self._numbers = numbers or Numbers(database)
        self._client = database.client
        self._database = database
        self._rows = database[ROWS]
        self._meta = database[META]

    async def version(self) -> int:
        """Return the number, which every change of what is loaded raises.

        Raises:
            Unavailable: The database cannot be reached.
        """
        return await self._numbers.version(KEY)

    async def rows(self) -> list[SystemRow]:
        """Return all rows, by URL and version; those that are not whole among them.

        Raises:
            Unavailable: The database cannot be reached.
        """
        try:
            found = await self._rows.find({}).sort([("url", 1), ("version", 1), ("_id", 1)]).to_list()
        except PyMongoError as error:
            raise failures.expected(error) from error
        return [_row(doc) for doc in found]

    async def prepare(self) -> None:
        """Create the collection and its indexes, which see to it that a version is loaded and being loaded once only."""
        await create(self._database, ROWS)
        for state in ("loading", "loaded"):
            await self._rows.create_index(
                [("url", 1), ("version", 1)], name=state, unique=True, partialFilterExpression={"state": state}
            )

    async def claim(self, head: Head, digest: str) -> Claim:
        """Return the claim to load a version; the row may say that it is loaded already from the same.

        What was begun from something else is given up.
        """
        names = {"url": head.url, "version": head.version}
        while True:
            doc = await self._rows.find_one({**names, "digest": digest, "state": "loaded"})
            if doc:
                return Claim(_row(doc), "")
            owner = uuid4().hex
            await self._rows.update_many(
                {**names, "state": "loading", "digest": {"$ne": digest}},
                [{"$set": {"state": "dropping", "at": "$$NOW"}}],
            )
            taken = await self._rows.find_one_and_update(
                {**names, "state": "loading", "digest": digest},
                [{"$set": {"owner": owner, "at": "$$NOW"}}],
                return_document=ReturnDocument.AFTER,
            )
            if taken:
                return Claim(_row(taken), owner)
            last: Any = await self._meta.find_one_and_update(
                {"_id": LAST}, {"$inc": {"version": 1}}, upsert=True, return_document=ReturnDocument.AFTER
            )
            new = {
                **names,
                "digest": digest,
                "state": "loading",
                "owner": owner,
                "done": 0,
                "edges": 0,
                "head": _stored(head),
            }
            try:
                await self._rows.update_one(
                    {"_id": last["version"]}, [{"$set": {**_literal(new), "at": "$$NOW"}}], upsert=True
                )
            except DuplicateKeyError:
                continue  # somebody else began at this moment

    async def reached(self, claim: Claim, done: int) -> None:
        """Note how many concepts are stored.

        Raises:
            Conflict: Somebody else has claimed the version since.
        """
        mine = {"_id": claim.row.key, "owner": claim.owner, "state": "loading"}
        rows = self._rows.with_options(write_concern=WriteConcern(1))
        answer = await rows.update_one(mine, [{"$set": {"done": done, "at": "$$NOW"}}])
        if not answer.matched_count:
            raise _claimed(claim.row)

    async def loaded(self, claim: Claim, count: int, edges: int) -> None:
        """Make a version count; the one that was loaded before under its name no longer does.

        Raises:
            Conflict: Somebody else has claimed the version since.
            Unavailable: The database cannot be reached, or did not confirm.
        """
        row = claim.row
        names = {"url": row.head.url, "version": row.head.version, "state": "loaded"}

        async def work(session: AsyncClientSession) -> None:
            await self._rows.update_many(names, [{"$set": {"state": "dropping", "at": "$$NOW"}}], session=session)
            mine = {"_id": row.key, "owner": claim.owner, "state": "loading"}
            change = {"state": "loaded", "done": count, "edges": edges, "head.count": count, "at": "$$NOW"}
            answer = await self._rows.update_one(mine, [{"$set": change}], session=session)
            if not answer.matched_count:
                raise _claimed(row)
            await self._raise(session)

        await self._transact(work)

    async def dropping(self, row: SystemRow) -> bool:
        """Make a version count no longer, whole or not; return whether it did until now.

        Raises:
            Unavailable: The database cannot be reached, or did not confirm.
        """
        found = False

        async def work(session: AsyncClientSession) -> None:
            nonlocal found
            alive = {"_id": row.key, "state": {"$ne": "dropping"}}
            answer = await self._rows.update_one(
                alive, [{"$set": {"state": "dropping", "at": "$$NOW"}}], session=session
            )
            found = answer.matched_count == 1
            await self._raise(session)

        await self._transact(work)
        return found

    async def dropped(self, seconds: float) -> list[int]:
        """Return the keys of the versions that have not counted for some seconds."""
        before = {"$subtract": ["$$NOW", int(seconds * 1000)]}
        old = {"state": "dropping", "$expr": {"$lte": ["$at", before]}}
        return [doc["_id"] for doc in await self._rows.find(old, {"_id": 1}).to_list()]

    async def forget(self, key: int) -> None:
        """Delete a row whose concepts are gone."""
        await self._rows.delete_one({"_id": key, "state": "dropping"})

    async def _raise(self, session: AsyncClientSession) -> None:
        await self._meta.update_one({"_id": KEY}, {"$inc": {"version": 1}}, upsert=True, session=session)

    async def _transact(self, work: Callable[[AsyncClientSession], Awaitable[None]]) -> None:
        async def attempt() -> None:
            async with self._client.start_session() as session:
                await once(session, lambda: work(session))

        try:
            await retried(attempt)
        except Again:
            raise Conflict("Another process changes the code systems. Try again.") from None
        except PyMongoError as error:
            raise failures.expected(error) from error


def _claimed(row: SystemRow) -> Conflict:
    return Conflict(f"Another process has begun to load {row.head.canonical}; this one stops. Wait for the other one.")


def _literal(doc: Mapping[str, Any]) -> dict[str, Any]:
    """Return values that an update by pipeline takes as they are."""
    return {name: {"$literal": value} for name, value in doc.items()}


def _stored(head: Head) -> dict[str, Any]:
    """Return a head as a document; codes of properties may have dots, so they cannot be names of members."""
    plain = asdict(head)
    plain["properties"] = list(plain["properties"].values())
    return plain


def _row(doc: Mapping[str, Any]) -> SystemRow:
    plain = native(doc)
    head = plain["head"]
    head["properties"] = {one["code"]: PropertyDefinition(**one) for one in head["properties"]}
    return SystemRow(
        plain["_id"], Head(**head), plain["digest"], plain["state"], plain["done"], plain["edges"], plain["at"]
    )
