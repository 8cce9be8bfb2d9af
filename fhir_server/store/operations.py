"""Changes turned into database operations, and their execution inside one transaction.

`Operations` of several requests can be joined: each collection then gets one command of each kind, whatever the number of
requests, which is what makes a shared transaction cheap.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, TypeVar

from bson.raw_bson import RawBSONDocument
from pymongo.asynchronous.client_session import AsyncClientSession
from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import OperationFailure

from fhir_server.store import direct, facilities, failures, locks
from fhir_server.store.changes import Change, Create, Delete, Exists, Extra, Stale, Update
from fhir_server.store.codecs import encode
from fhir_server.store.collections import history
from fhir_server.store.documents import history_id, superseded_row
from fhir_server.store.leaving import MARK, MARKED
from fhir_server.store.transactions import Again

Key = tuple[str, str]
Row = TypeVar("Row")
Namespace = tuple[str, str]  # database ("" for the record's own) and collection

MOST_MESSAGE = 40 * 2**20  # a message holds 48 MB


class Refused(Exception):
    """Guards of some resources failed; nothing of the transaction may be committed.

    Attributes:
        culprits: What each of them is to be told, by (type, id).
    """

    def __init__(self, culprits: Mapping[Key, Exception]) -> None:
        super().__init__(", ".join("/".join(key) for key in culprits))
        self.culprits = culprits


class Operations:
    """What is to be written: encoded documents by collection, guards, and the resources concerned.

    Attributes:
        inserts: New documents.
        replacements: Update statements `{q, u}` with the guard in `q`.
        deletions: Guards `{_id, v, hb, rg, p}`, and the mark where one must still be there.
        unused: History ids that must not be there, with the id of the resource.
        keys: (type, id) of all resources that change.
        size: Bytes to send.
        earliest: The earliest `lu` of the new versions.
        alters: Whether the hierarchy is another one thereby.
    """

    __slots__ = ("alters", "deletions", "earliest", "inserts", "keys", "replacements", "size", "unused")

    def __init__(self) -> None:
        self.inserts: dict[Namespace, list[RawBSONDocument]] = {}
        self.replacements: dict[str, list[dict[str, Any]]] = {}
        self.deletions: dict[str, list[dict[str, Any]]] = {}
        self.unused: dict[str, list[str]] = {}
        self.keys: set[Key] = set()
        self.size = 0
        self.earliest: datetime | None = None
        self.alters = False

    @property
    def sole_insert(self) -> str:
        """The collection, where this is one new resource and nothing else: then one insert is atomic by itself; else ""."""
        if (
            self.replacements
            or self.deletions
            or self.unused
            or self.alters
            or len(self.inserts) != 1
            or len(self.keys) != 1
        ):
            return ""
        ((database, collection), documents), *_ = self.inserts.items()
        return collection if len(documents) == 1 and not database else ""

    @property
    def types(self) -> set[str]:
        """The resource types that change."""
        return {resource_type for resource_type, _ in self.keys}

    def add(self, change: Change) -> None:
        """Add what a change writes, encoded.

        Raises:
            Unprocessable: A document has a value that cannot be stored.
            TooLarge: A document is above 16 MB.
        """
        _ADD[type(change)](self, change)

    def join(self, other: "Operations") -> None:
        """Take over what another one is to write."""
        for namespace, documents in other.inserts.items():
            self.inserts.setdefault(namespace, []).extend(documents)
        for name, statements in other.replacements.items():
            self.replacements.setdefault(name, []).extend(statements)
        for name, guards in other.deletions.items():
            self.deletions.setdefault(name, []).extend(guards)
        for name, ids in other.unused.items():
            self.unused.setdefault(name, []).extend(ids)
        self.keys |= other.keys
        self.size += other.size
        self.alters |= other.alters

    def _change(self, resource_type: str, resource_id: str, moment: datetime) -> None:
        self.keys.add((resource_type, resource_id))
        if self.earliest is None or moment < self.earliest:
            self.earliest = moment

    def rows_of(self, namespace: Namespace) -> Sequence[RawBSONDocument]:
        """Return the new documents of a collection."""
        return self.inserts.get(namespace, ())

    def insert(self, namespace: Namespace, doc: Mapping[str, Any]) -> None:
        """Add a new document."""
        document = encode(doc)
        self.inserts.setdefault(namespace, []).append(document)
        self.size += len(document.raw)

    def create(self, change: Create) -> None:
        """Add a new resource."""
        resource_type, doc = change.resource_type, change.doc
        self._change(resource_type, doc["_id"], doc["lu"])
        self.insert(("", resource_type), doc)
        if doc["v"] > 1 or doc["m"] != "POST":
            self.unused.setdefault(resource_type, []).append(history_id(doc["_id"], doc["v"]))

    def update(self, change: Update) -> None:
        """Add a new version and the superseded one."""
        resource_type, doc = change.resource_type, change.doc
        self._change(resource_type, doc["_id"], doc["lu"])
        self.insert(("", history(resource_type)), superseded_row(change.superseded, doc["lu"]))
        document = encode(doc)
        statement = {"q": _guard(change.superseded, change.superseded_vid), "u": document}
        self.replacements.setdefault(resource_type, []).append(statement)
        self.size += len(document.raw)

    def delete(self, change: Delete) -> None:
        """Add the last version and the tombstone."""
        resource_type, superseded = change.resource_type, change.superseded
        self._change(resource_type, change.id, change.tombstone["lu"])
        rows = ("", history(resource_type))
        self.insert(rows, superseded_row(superseded, change.tombstone["lu"]))
        self.insert(rows, change.tombstone)
        guard = _guard(superseded, superseded["v"])
        self.deletions.setdefault(resource_type, []).append({**guard, MARKED: change.mark} if change.mark else guard)

    def extra(self, change: Extra) -> None:
        """Add a row that is no resource."""
        self.insert((change.database, change.collection), change.doc)

    async def execute(self, database: AsyncDatabase[Any], session: AsyncClientSession) -> None:
        """Write everything within the session's transaction, guards first; collections in the order of their names.

        Raises:
            Refused: A guard failed. The transaction cannot be committed any more.
            PyMongoError: As the driver does.
        """
        if self.alters:  # what units of other processes need longer for comes first: they keep the row to their end
            await locks.take(database, [facilities.LOCK], session)
            await facilities.raise_version(database, session)
        for resource_type in sorted(self.unused):
            await self._check_unused(database, session, resource_type)
        for resource_type in sorted(self.replacements):
            await self._replace(database, session, resource_type)
        for resource_type in sorted(self.deletions):
            await self._delete(database, session, resource_type)
        for namespace in sorted(self.inserts):
            try:
                await self._insert(database, session, namespace)
            except OperationFailure as error:
                if not namespace[0] or error.has_error_label(failures.TRANSIENT):
                    raise
                raise failures.of_trail(error) from error

    async def _check_unused(
        self, database: AsyncDatabase[Any], session: AsyncClientSession, resource_type: str
    ) -> None:
        rows = database[history(resource_type)].find(
            {"_id": {"$in": self.unused[resource_type]}}, {"_id": 1}, session=session
        )
        used = [row["_id"].rpartition("/")[0] async for row in rows]
        if used:
            raise Refused({(resource_type, one): Stale(resource_type, one) for one in used})

    async def _replace(self, database: AsyncDatabase[Any], session: AsyncClientSession, resource_type: str) -> None:
        statements = self.replacements[resource_type]
        matched = 0
        for part in _parts(statements, lambda statement: len(statement["u"].raw)):
            reply = await direct.ask(database, {"update": resource_type, "updates": part}, session=session)
            _raise_write_error(reply)
            matched += reply["n"]
        if matched != len(statements):
            raise await _stale(database, resource_type, [statement["q"] for statement in statements])

    async def _delete(self, database: AsyncDatabase[Any], session: AsyncClientSession, resource_type: str) -> None:
        guards = self.deletions[resource_type]
        deletes = [{"q": guard, "limit": 1} for guard in guards]
        reply = await direct.ask(database, {"delete": resource_type, "deletes": deletes}, session=session)
        _raise_write_error(reply)
        if reply["n"] != len(guards):
            raise await _stale(database, resource_type, guards)

    async def _insert(self, database: AsyncDatabase[Any], session: AsyncClientSession, namespace: Namespace) -> None:
        target = database.client[namespace[0]] if namespace[0] else database
        for part in _parts(self.inserts[namespace], lambda document: len(document.raw)):
            reply = await direct.ask(target, {"insert": namespace[1], "documents": part}, session=session)
            for error in reply.get("writeErrors", ()):
                if error["code"] == failures.DUPLICATE:
                    raise Refused(
                        {_key(namespace[1], part[error["index"]]): _already(namespace[1], part[error["index"]])}
                    )
            _raise_write_error(reply)


_GUARDED = ("hb", "rg", "p")

_ADD: Mapping[type, Callable[[Operations, Any], None]] = {
    Create: Operations.create,
    Update: Operations.update,
    Delete: Operations.delete,
    Extra: Operations.extra,
}


def _guard(superseded: Mapping[str, Any], vid: int) -> dict[str, Any]:
    """Return the condition that a document is still as it was read; a hold comes and goes without a version.

    Zone and patient are what a sharded cluster finds the one shard by (`store.sharding`); without them it would ask all, or take
    the patient of the new version for that of the old.
    """
    return {"_id": superseded["_id"], "v": vid, **{name: superseded.get(name) for name in _GUARDED}}


async def _stale(database: AsyncDatabase[Any], resource_type: str, guards: Sequence[Mapping[str, Any]]) -> Exception:
    """Return the refusal of the resources that are not as their guard says.

    Versions only grow, so what is asked outside of the transaction finds at least all that failed inside.
    """
    names = ("v", *_GUARDED)
    rows = database[resource_type].find(
        {"_id": {"$in": [guard["_id"] for guard in guards]}}, dict.fromkeys((*names, MARK), 1)
    )
    current = {row["_id"]: row async for row in rows}

    def holds(guard: Mapping[str, Any]) -> bool:
        row = current.get(guard["_id"])
        if row is None or any(row.get(name) != guard[name] for name in names):
            return False
        return MARKED not in guard or any(mark["by"] == guard[MARKED] for mark in row.get(MARK, ()))

    stale = [guard["_id"] for guard in guards if not holds(guard)]
    return Refused({(resource_type, one): Stale(resource_type, one) for one in stale}) if stale else Again()


def _key(collection: str, document: Mapping[str, Any]) -> Key:
    """Return the resource that a document of a live or history collection belongs to."""
    return collection.removesuffix("_h"), str(document["_id"]).partition("/")[0]


def _already(collection: str, document: Mapping[str, Any]) -> Exception:
    """Return the error for an `_id` that is taken: a live resource exists, or a version was superseded before us."""
    resource_type, resource_id = _key(collection, document)
    return Stale(resource_type, resource_id) if collection != resource_type else Exists(resource_type, resource_id)


def _parts(rows: Sequence[Row], size: Callable[[Row], int]) -> Iterator[Sequence[Row]]:
    """Yield the rows in slices that fit a message."""
    part: list[Row] = []
    total = 0
    for row in rows:
        if part and total + size(row) > MOST_MESSAGE:
            yield part
            part, total = [], 0
        part.append(row)
        total += size(row)
    yield part


def _raise_write_error(reply: Mapping[str, Any]) -> None:
    """Raise what the driver's collection methods would raise for an error inside an acknowledged command."""
    for error in reply.get("writeErrors", ()):
        raise OperationFailure(error.get("errmsg", "write error"), error.get("code"), dict(reply))
