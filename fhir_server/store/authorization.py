"""The records of the authorization server: one collection for each kind, compare-and-set, and a number that tells of changes.

Implements `smart_auth.store.AuthStore`. A record is a document of its fields; the database removes those whose time is over,
not before a day has passed in which a second use of them is still recognized as one. Security events go into the database of
the audit trail, where this program may insert and find, and nothing else.

Whoever of one process wants to change the same record waits for the one before: thousands who show the same code at once
would otherwise spend the database's time, and all of its connections, on conflicts with each other.
"""

import asyncio
from collections.abc import Collection, Mapping, Sequence
from dataclasses import fields, is_dataclass
from datetime import datetime, timedelta
from typing import Any, TypeVar
from weakref import WeakValueDictionary

from pymongo import IndexModel, WriteConcern
from pymongo.asynchronous.collection import AsyncCollection
from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import ConnectionFailure, DuplicateKeyError, PyMongoError
from pymongo.read_concern import ReadConcern

from fhir_server.model import ids, json
from fhir_server.store import direct, failures
from fhir_server.store.codecs import ENVELOPE
from fhir_server.store.grouping import Grouped
from fhir_server.store.trail import Trail
from fhir_server.store.vault import OPEN, Vault
from smart_auth import records
from smart_auth.audit import SecurityEvent
from smart_auth.records import LaunchContext, Link
from smart_auth.store import FINDABLE, KINDS, R, Record, changed

META, EPOCH = "meta", "auth-epoch"
NAMES, COUNTS = "auth_names", "auth_counts"
MAJORITY = {"level": "majority"}
MOST_ASKS = 1000
DAY = 24 * 3600

ENDS: Mapping[type[Record], tuple[str, int]] = {
    records.AccessToken: ("expires", 3600),
    records.AuthorizationRequest: ("expires", 3600),
    records.Code: ("expires", DAY),
    records.Grant: ("expires", 7 * DAY),
    records.Invitation: ("expires", DAY),
    records.Key: ("until", DAY),
    records.Launch: ("expires", 3600),
    records.RefreshToken: ("expires", DAY),
    records.Session: ("seen", 7 * DAY),
}
"""The time of a record, and the seconds after it when the database removes the record."""

PLAIN = frozenset({(records.Client, "jwks"), (records.Key, "private"), (LaunchContext, "fhir_context")})
"""Fields with JSON of others, whose member names a document may not have; they are kept as text."""

CLOSED = frozenset({(records.Key, "private"), (records.User, "totp")})
"""Fields with secrets that must be kept whole (`vault`)."""

NESTED: Mapping[tuple[type[Any], str], type[Any]] = {
    (records.User, "links"): Link,
    (records.Launch, "context"): LaunchContext,
    (records.AuthorizationRequest, "context"): LaunchContext,
    (records.Grant, "context"): LaunchContext,
}

Document = dict[str, Any]
T = TypeVar("T")


class Authorization:
    """The records in one database. Belongs to the event loop in which it is made; nothing is sent yet.

    Args:
        database: Of a client for a replica set or sharded cluster.
        secret: The deployment's own, from outside of the database; closes what must be kept whole (`vault`).
        trail: Where security events are kept; by default that of the database, without anybody who links its rows.
    """

    def __init__(self, database: AsyncDatabase[Any], secret: bytes = b"", trail: Trail | None = None) -> None:
        options: dict[str, Any] = {
            "codec_options": ENVELOPE,
            "write_concern": WriteConcern("majority", j=True),
            "read_concern": ReadConcern("majority"),
        }
        self.database = database.with_options(**options)
        self._trail = trail or Trail(database)
        self.vault = Vault.of(secret)
        self._epochs = Grouped(self._ask_epoch, MOST_ASKS)
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def open(self) -> None:
        """Create the indexes.

        Raises:
            Unavailable: The database cannot be reached.
        """
        try:
            for kind in KINDS:
                if indexes := _indexes(kind):
                    await self._rows(kind).create_indexes(indexes)
            for name, field in ((NAMES, "until"), (COUNTS, "until")):
                await self.database[name].create_index(field, name="expiry", expireAfterSeconds=60)
            await self.database[META].update_one({"_id": EPOCH}, {"$setOnInsert": {"n": 0}}, upsert=True)
        except PyMongoError as error:
            raise failures.expected(error) from error

    async def close(self) -> None:
        """Wait for what is on the wire."""
        await self._epochs.close()

    async def get(self, kind: type[R], record_id: str) -> R | None:
        """Return the record, or `None`."""
        try:
            row = await self._rows(kind).find_one({"_id": record_id})
        except PyMongoError as error:
            raise failures.expected(error) from error
        return _record(kind, row, self.vault) if row else None

    async def find(self, kind: type[R], /, **fields: str) -> Sequence[R]:
        """Return records by indexed fields."""
        unknown = fields.keys() - set(FINDABLE.get(kind, ()))
        if unknown:
            raise ValueError(f"{kind.__name__} is not found by {unknown}")
        try:
            rows = await self._rows(kind).find(fields).sort("_id", 1).to_list()
        except PyMongoError as error:
            raise failures.expected(error) from error
        return [_record(kind, row, self.vault) for row in rows]

    async def add(self, record: Record) -> bool:
        """Keep a new record."""
        try:
            await self._rows(type(record)).insert_one(_document(record, self.vault))
        except DuplicateKeyError:
            return False
        except PyMongoError as error:
            raise failures.expected(error) from error
        return True

    async def swap(self, before: R, after: R, *, felt: bool = False, seen: Collection[str] = ()) -> bool:
        """Write a record in place of another."""
        names: list[str] = [*changed(before, after)]
        old, new = _document(before, self.vault), _document(after, self.vault)
        condition = {"_id": before.id, **{name: old[name] for name in (*names, *seen)}}
        for name in names:
            if (type(before), name) in CLOSED:  # it may have been stored before the deployment had a secret
                condition[name] = {"$in": [old[name], _document(before, OPEN)[name]]}
        rows = self._rows(type(before))
        try:
            turn = self._turn(f"{type(before).__name__} {before.id}")
            # Those who waited look first: a write that finds nothing to change waits for the journal all the same.
            looks = not names or turn.locked()
            async with turn:
                swapped = not looks or await rows.find_one(condition, {"_id": 1}) is not None
                if swapped and names:
                    answer = await rows.update_one(condition, {"$set": {name: new[name] for name in names}})
                    swapped = answer.matched_count == 1
            if swapped and felt:
                await self._raise_epoch()
        except PyMongoError as error:
            raise failures.expected(error) from error
        return swapped

    async def end_grants(self, at: datetime, why: str, **fields: str) -> int:
        """Revoke live grants."""
        named = {"_id" if name == "id" else name: value for name, value in fields.items()}
        if not named:
            raise ValueError("Which grants?")
        try:
            change = {"$set": {"ended": at, "why": why}}
            answer = await self._rows(records.Grant).update_many({**named, "ended": None}, change)
            if answer.modified_count:
                await self._raise_epoch()
        except PyMongoError as error:
            raise failures.expected(error) from error
        return answer.modified_count

    async def once(self, name: str, until: datetime) -> bool:
        """Return whether a name is new."""
        try:
            await self.database[NAMES].insert_one({"_id": name, "until": until})
        except DuplicateKeyError:
            return False
        except PyMongoError as error:
            raise failures.expected(error) from error
        return True

    async def count(self, name: str, now: datetime, until: datetime) -> int:
        """Count one more."""
        over = {"$lte": [{"$ifNull": ["$until", now]}, now]}
        change = {
            "n": {"$cond": [over, 1, {"$add": ["$n", 1]}]},
            "until": {"$cond": [over, until, "$until"]},
            "last": now,
        }
        rows = self.database[COUNTS]
        try:
            async with self._turn(name):
                try:
                    row = await rows.find_one_and_update(
                        {"_id": name}, [{"$set": change}], upsert=True, return_document=True
                    )
                except DuplicateKeyError:  # two were the first at the same moment; now there is one to count up
                    row = await rows.find_one_and_update({"_id": name}, [{"$set": change}], return_document=True)
        except PyMongoError as error:
            raise failures.expected(error) from error
        return int(row["n"]) if row else 1

    async def counted(self, name: str, now: datetime) -> tuple[int, datetime | None]:
        """Return how many were counted."""
        try:
            row = await self.database[COUNTS].find_one({"_id": name, "until": {"$gt": now}})
        except PyMongoError as error:
            raise failures.expected(error) from error
        return (int(row["n"]), row["last"]) if row else (0, None)

    async def forget(self, name: str) -> None:
        """Begin to count anew."""
        try:
            await self.database[COUNTS].delete_one({"_id": name})
        except PyMongoError as error:
            raise failures.expected(error) from error

    def epoch(self) -> asyncio.Future[int]:
        """Return the epoch, as it is when the database is asked, which is after this call; concurrent calls share it."""
        return self._epochs.ask(None)

    async def record(self, event: SecurityEvent) -> None:
        """Write an event into the trail, as any other row."""
        await self._trail.add({"_id": ids.new(), **event.row()})

    async def _ask_epoch(self, asks: Sequence[None]) -> Sequence[int]:
        """Return the epoch for each that asks."""
        command = {"find": META, "filter": {"_id": EPOCH}, "limit": 1, "singleBatch": True, "readConcern": MAJORITY}
        try:
            try:
                reply = await direct.ask(self.database, command)
            except ConnectionFailure:  # a new primary, or a connection that was closed
                reply = await direct.ask(self.database, command)
        except PyMongoError as error:
            raise failures.expected(error) from error
        rows = reply["cursor"]["firstBatch"]
        return [int(rows[0]["n"]) if rows else 0] * len(asks)

    async def _raise_epoch(self) -> None:
        await self.database[META].update_one({"_id": EPOCH}, {"$inc": {"n": 1}}, upsert=True)

    def _turn(self, name: str) -> asyncio.Lock:
        return self._turns.setdefault(name, asyncio.Lock())

    def _rows(self, kind: type[Any]) -> AsyncCollection[Any]:
        return self.database[f"auth_{kind.__name__.lower()}"]


def _indexes(kind: type[Record]) -> list[IndexModel]:
    by = [IndexModel(name, name=name, unique=name == "login") for name in FINDABLE.get(kind, ()) if name != "access"]
    if kind in ENDS:
        ends, after = ENDS[kind]
        by.append(IndexModel(ends, name="expiry", expireAfterSeconds=after))
    return by


def _document(record: Any, vault: Vault) -> Document:
    """Return a record, or a record within one, as a document."""
    kind = type(record)
    doc: Document = {}
    for one in fields(record):
        value = getattr(record, one.name)
        name = "_id" if one.name == "id" and kind in KINDS else one.name
        kept = json.encode(value).decode() if (kind, one.name) in PLAIN else _value(value, vault)
        doc[name] = vault.close(kept, _place(kind, record.id, name)) if (kind, one.name) in CLOSED else kept
    return doc


def _place(kind: type[Any], record_id: str, name: str) -> str:
    return f"{kind.__name__}/{record_id}/{name}"


def _value(value: Any, vault: Vault) -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        return _document(value, vault)
    if isinstance(value, tuple):
        return [_value(one, vault) for one in value]
    # The database keeps milliseconds; whoever compares must compare those.
    return value - timedelta(microseconds=value.microsecond % 1000) if isinstance(value, datetime) else value


def _record(kind: type[T], row: Mapping[str, Any], vault: Vault) -> T:
    """Return the record of a document; a field that an older version did not know has its default."""
    given: Document = {}
    for one in fields(kind):  # type: ignore[arg-type]
        name = "_id" if one.name == "id" and kind in KINDS else one.name
        if name in row:
            kept = row[name]
            if (kind, one.name) in CLOSED:
                kept = vault.open(kept, _place(kind, row["_id"], name))
            given[one.name] = _read(kind, one.name, kept, vault)
    return kind(**given)


def _read(kind: type[Any], name: str, value: Any, vault: Vault) -> Any:
    if (kind, name) in PLAIN:
        plain = json.decode(value.encode())
        return tuple(plain) if isinstance(plain, list) else plain
    inner = NESTED.get((kind, name))
    if isinstance(value, list):
        return tuple(_record(inner, one, vault) if inner else one for one in value)
    return _record(inner, value, vault) if inner else value
