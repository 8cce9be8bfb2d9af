"""Everything of a type as it was at one moment, read while others write: what a bulk export is made of.

A version is in the export of a moment if it was made up to then and was not superseded up to then. Such a version lies in the
live collection or, when somebody has changed or deleted the resource since, in the history. Each stretch is read in the live
collection first and then in the history: a version that moves from the one to the other meanwhile is met twice and given once,
and none is missed, for all of them were visible when the moment was taken (`Clock.horizon`).

Order and place are (`lu`, `o`), which no two versions share and which never change: mostly the order of insertion as well, so
that the database reads its files from the beginning to the end.
"""

from collections.abc import AsyncGenerator, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import bson
from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import PyMongoError
from pymongo.read_concern import ReadConcern

from fhir_server.model.query import Where
from fhir_server.store import failures
from fhir_server.store.blobs import Blobs
from fhir_server.store.codecs import BARE
from fhir_server.store.collections import Collections, history
from fhir_server.store.history import Position, past

AT_ONCE = 2_000
"""Documents of a stretch; fewer where they are more than the 16 MB of an answer."""

MOST_CHANGED = 1_000
"""Resources changed since the moment up to which their versions are looked up one by one; above, the history is read along."""

IDS_AT_ONCE = 200
ASCENDING = [("lu", 1), ("o", 1)]
LAST = 2**63 - 1
MILLISECOND = timedelta(milliseconds=1)

Doc = dict[str, Any]

Version = tuple[str, datetime, int]


@dataclass(frozen=True, slots=True)
class Window:
    """Which versions: those that were current at a moment, as far as they were made in a period.

    Attributes:
        moment: All writes up to it are visible, and none can be added.
        since: Made after this.
        until: Made before this.
    """

    moment: datetime
    since: datetime | None = None
    until: datetime | None = None

    @property
    def clause(self) -> dict[str, Any]:
        """The condition on when a version was made."""
        made: dict[str, Any] = {"$lte": self.moment}
        if self.since:
            made["$gt"] = self.since
        if self.until:  # the database knows milliseconds only
            made["$lt"] = self.until.replace(microsecond=0) + -(-self.until.microsecond // 1000) * MILLISECOND
        return made

    @property
    def past(self) -> dict[str, Any]:
        """The condition on versions in the history."""
        return {"lu": self.clause, "su": {"$gt": self.moment}}


@dataclass(frozen=True, slots=True)
class Portion:
    """What was read at once.

    Attributes:
        docs: `_id` (the logical id), the wire form `j`, `lu`, `o` and the fields that were asked for.
        end: Where it ends in the order of (`lu`, `o`), `None` where there is no order.
    """

    docs: Sequence[Doc]
    end: Position | None = None


@dataclass(slots=True)
class Changed:
    """What of a type was changed since the moment of a scan, as far as it is known.

    Attributes:
        rows: By logical id, the row of the version that was current at the moment and its place; `None` where there was none.
    """

    rows: dict[str, tuple[str, tuple[datetime, int]] | None] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Scan:
    """What is read.

    Attributes:
        resource_type: The type.
        where: Which of them.
        window: Which versions.
        changed: What earlier scans of the type with this moment have found out.
        fields: Envelope fields that are needed.
        bodies: Whether the wire forms are.
    """

    resource_type: str
    where: Where
    window: Window
    changed: Changed = field(default_factory=Changed)
    fields: tuple[str, ...] = ()
    bodies: bool = True

    @property
    def projection(self) -> dict[str, int]:
        """What is read of each."""
        body = {"j": 1, "jb": 1} if self.bodies else {}
        return {**body, "lu": 1, "o": 1, **dict.fromkeys(self.fields, 1)}


class Scanning:
    """Scans of one store.

    Args:
        database: With majority read concern.
        collections: Which there are.
        blobs: Where large bodies lie.
    """

    def __init__(self, database: AsyncDatabase[Any], collections: Collections, blobs: Blobs) -> None:
        self._bare = database.with_options(codec_options=BARE, read_concern=ReadConcern("majority"))
        self._collections = collections
        self._blobs = blobs

    async def portions(self, scan: Scan, after: Position | None) -> AsyncGenerator[Portion]:
        """Yield the versions of a scan behind a place, in the order of (`lu`, `o`).

        Raises:
            Unavailable: The database cannot be reached.
        """
        if not await self._is_there(scan):
            return
        newest = Position(scan.window.moment, LAST)
        try:
            cursor: Any = self._bare[scan.resource_type].find_raw_batches(
                _all(scan.where, {"lu": scan.window.clause}, _behind(after)),
                scan.projection,
                sort=ASCENDING,
                hint="updated",
                batch_size=AT_ONCE,
            )
            async for batch in cursor:
                docs = bson.decode_all(batch, BARE)
                if not docs:
                    continue
                end = _place(docs[-1])
                rows = await self._overtaken(scan, (after, end))
                yield Portion(await self._whole(_merged(docs, rows)), end)
                after = end
            if rows := await self._overtaken(scan, (after, newest)):
                yield Portion(await self._whole(sorted(rows, key=_key)), newest)
        except PyMongoError as error:
            raise failures.expected(error) from error

    async def of_few(self, scan: Scan) -> AsyncGenerator[Portion]:
        """Yield the versions of a scan whose condition has an index of its own, such as those of some patients, in no order.

        Raises:
            Unavailable: The database cannot be reached.
        """
        if not await self._is_there(scan):
            return
        seen = set[Version]()
        try:
            condition = _all(scan.where, {"lu": scan.window.clause})
            cursor: Any = self._bare[scan.resource_type].find_raw_batches(
                condition, scan.projection, batch_size=AT_ONCE
            )
            async for batch in cursor:
                docs = bson.decode_all(batch, BARE)
                seen |= {_version(doc) for doc in docs}
                yield Portion(await self._whole(docs))
            if rows := [row for row in await self._overtaken(scan, None) if _version(row) not in seen]:
                yield Portion(await self._whole(rows))
        except PyMongoError as error:
            raise failures.expected(error) from error

    async def ids(self, scan: Scan, after: str, most: int) -> list[str]:
        """Return the next ids of a scan behind one, in their order.

        Raises:
            Unavailable: The database cannot be reached.
        """
        if not await self._is_there(scan):
            return []
        try:
            condition = _all(scan.where, {"lu": scan.window.clause, "_id": {"$gt": after}})
            docs = (
                await self._bare[scan.resource_type]
                .find(condition, {"_id": 1}, sort=[("_id", 1)], limit=most, hint="_id_")
                .to_list()
            )
            rows = await self._overtaken(replace(scan, bodies=False), None)
        except PyMongoError as error:
            raise failures.expected(error) from error
        end = docs[-1]["_id"] if len(docs) == most else ""
        found = {doc["_id"] for doc in docs}
        found |= {row["_id"] for row in rows if row["_id"] > after and (not end or row["_id"] < end)}
        return sorted(found)[:most]

    async def gone(self, scan: Scan, after: Position | None, *, few: bool = False) -> AsyncGenerator[Portion]:
        """Yield what was deleted in a window and had not come back at its moment: `_id`, `lu` and `o`, without wire forms.

        Args:
            scan: The scan.
            after: A place.
            few: Whether it is of patients, so that their index is the one to use; then there is no order.

        Raises:
            Unavailable: The database cannot be reached.
        """
        if not await self._is_there(scan):
            return
        condition = _all(past(scan.where), {"lu": scan.window.clause, "del": True}, _behind(after))
        rows = self._bare[history(scan.resource_type)]
        try:
            how: dict[str, Any] = {} if few else {"sort": ASCENDING, "hint": "updated"}
            cursor: Any = rows.find_raw_batches(condition, {"lu": 1, "o": 1}, batch_size=AT_ONCE, **how)
            async for batch in cursor:
                docs = bson.decode_all(batch, BARE)
                if not docs:
                    continue
                # Of several ends of one, the last.
                gone = {doc["_id"]: doc for doc in sorted(map(_named, docs), key=_key)}
                back = await self._back(scan.resource_type, [*gone.values()], scan.window.moment)
                yield Portion([doc for one, doc in gone.items() if one not in back], _place(docs[-1]))
        except PyMongoError as error:
            raise failures.expected(error) from error

    async def _is_there(self, scan: Scan) -> bool:
        return scan.where.kind != "nothing" and await self._collections.ensure_if_present(scan.resource_type)

    async def _back(self, resource_type: str, tombstones: Sequence[Doc], moment: datetime) -> set[str]:
        """Return the ids of those of which there was something later up to the moment."""
        last = {doc["_id"]: _key(doc) for doc in tombstones}
        ids, found = [*last], set[str]()
        for start in range(0, len(ids), IDS_AT_ONCE):
            part = ids[start : start + IDS_AT_ONCE]
            live = (
                await self._bare[resource_type]
                .find({"_id": {"$in": part}, "lu": {"$lte": moment}}, {"lu": 1, "o": 1})
                .to_list()
            )
            own = {"$or": [_of_id(one) for one in part], "lu": {"$lte": moment}}
            rows = await self._bare[history(resource_type)].find(own, {"lu": 1, "o": 1}, hint="_id_").to_list()
            later = [*live, *map(_named, rows)]
            found |= {doc["_id"] for doc in later if _key(doc) > last[doc["_id"]]}
        return found

    async def _overtaken(self, scan: Scan, between: tuple[Position | None, Position] | None) -> list[Doc]:
        """Return the versions of a scan that were superseded since its moment, between two places where that is said."""
        window, changed = scan.window, scan.changed
        rows = self._bare[history(scan.resource_type)]
        ids = await self._ids_changed(scan.resource_type, window.moment)
        if ids is None:
            span = [_behind(between[0]), _upto(between[1])] if between else []
            condition = _all(past(scan.where), window.past, *span)
            found = await rows.find(condition, scan.projection, hint="updated" if between else None).to_list()
        else:
            await self._look_up(scan.resource_type, ids - changed.rows.keys(), window.moment, changed)
            named = [row for row, at in filter(None, changed.rows.values()) if between is None or _lies(at, *between)]
            if not named:
                return []
            condition = _all(past(scan.where), window.past, {"_id": {"$in": named}})
            found = await rows.find(condition, scan.projection, hint="_id_").to_list()
        return [_named(row) for row in found]

    async def _ids_changed(self, resource_type: str, moment: datetime) -> set[str] | None:
        """Return the ids of what was changed since a moment, `None` where that is too much to be looked up."""
        found = set[str]()
        for name in (resource_type, history(resource_type)):
            later = self._bare[name].find({"lu": {"$gt": moment}}, {"_id": 1}, hint="updated", limit=MOST_CHANGED + 1)
            docs = await later.to_list()
            if len(docs) > MOST_CHANGED:
                return None
            found |= {doc["_id"].partition("/")[0] for doc in docs}
        return found

    async def _look_up(self, resource_type: str, ids: Iterable[str], moment: datetime, changed: Changed) -> None:
        """Note which versions of some resources were current at the moment."""
        asked = [*ids]
        for start in range(0, len(asked), IDS_AT_ONCE):
            part = asked[start : start + IDS_AT_ONCE]
            condition = {"$or": [_of_id(one) for one in part], "lu": {"$lte": moment}, "su": {"$gt": moment}}
            changed.rows |= dict.fromkeys(part)
            for row in await self._bare[history(resource_type)].find(condition, {"lu": 1, "o": 1}).to_list():
                changed.rows[row["_id"].rpartition("/")[0]] = (row["_id"], _key(row))

    async def _whole(self, docs: list[Doc]) -> list[Doc]:
        """Return the documents with their wire forms: large ones are read from their files, one after the other."""
        for index, doc in enumerate(docs):
            if "jb" in doc:
                docs[index] = dict(*await self._blobs.attach((doc,)))
        return docs


def _merged(docs: list[Doc], rows: list[Doc]) -> list[Doc]:
    """Return both, each version once."""
    if not rows:
        return docs
    known = {_version(doc) for doc in docs}
    return sorted([*docs, *(row for row in rows if _version(row) not in known)], key=_key)


def _named(row: Doc) -> Doc:
    """Return a row of the history by its logical id."""
    return {**row, "_id": row["_id"].partition("/")[0]}


def _of_id(one: str) -> dict[str, Any]:
    """Return the condition on the rows of a resource: no id has a slash in it, and `0` follows it."""
    return {"_id": {"$gt": f"{one}/", "$lt": f"{one}0"}}


def _lies(at: tuple[datetime, int], after: Position | None, end: Position) -> bool:
    return (after is None or at > _pair(after)) and at <= _pair(end)


def _key(doc: Doc) -> tuple[datetime, int]:
    return doc["lu"], doc["o"]


def _version(doc: Doc) -> Version:
    """Return what one version has alone, even where two processes have given the same place in the same millisecond."""
    return doc["_id"], *_key(doc)


def _place(doc: Doc) -> Position:
    return Position(doc["lu"].replace(tzinfo=UTC), doc["o"])


def _pair(place: Position) -> tuple[datetime, int]:
    """Return a place as what `_key` is compared with: the driver says nothing of UTC here."""
    return place.last_updated.replace(tzinfo=None), place.order


def _behind(after: Position | None) -> dict[str, Any]:
    if after is None:
        return {}
    moment = after.last_updated
    return {"$and": [{"lu": {"$gte": moment}}, {"$or": [{"lu": {"$gt": moment}}, {"o": {"$gt": after.order}}]}]}


def _upto(end: Position) -> dict[str, Any]:
    moment = end.last_updated
    return {"$and": [{"lu": {"$lte": moment}}, {"$or": [{"lu": {"$lt": moment}}, {"o": {"$lte": end.order}}]}]}


def _all(where: Where, *clauses: Mapping[str, Any]) -> dict[str, Any]:
    parts = [*([where.clause] if where.kind == "clause" else []), *(clause for clause in clauses if clause)]
    return {"$and": parts}
