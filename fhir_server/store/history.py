"""Versions past and present of an instance, a type or everything, newest first (R4 3.1.0.11).

Live versions and superseded ones lie in two collections for each type. A page is found by one pipeline that takes the
newest keys of each of them, live before superseded: a version that is superseded meanwhile moves to where the pipeline
has yet to look, so none is missed, and one met twice is given once. The bodies are then fetched by key. All order is by
(`lu`, `o`), which no two versions share, and so is paging.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any, TypeVar

from pymongo.asynchronous.client_session import AsyncClientSession
from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import PyMongoError

from fhir_server.model.query import Where
from fhir_server.model.stored import Stored
from fhir_server.store import failures
from fhir_server.store.blobs import Blobs
from fhir_server.store.collections import history
from fhir_server.store.documents import BODY, ROW_BODY, history_id, stored, stored_row

NEWEST_FIRST = {"lu": -1, "o": -1}
MOST_IDS = 1000
MOST_SOURCES = 100  # of one pipeline, which may have 1,000 stages

T = TypeVar("T")
Doc = Mapping[str, Any]
Key = tuple[str, str, int]


@dataclass(frozen=True, slots=True)
class Position:
    """Where a page of history ended.

    Attributes:
        last_updated: `lu` of its last version.
        order: `o` of its last version (`Stored.envelope["o"]`).
    """

    last_updated: datetime
    order: int

    @classmethod
    def of(cls, version: Stored) -> "Position":
        """Return the position of a version that `Store.history` gave."""
        return cls(version.last_updated, version.envelope["o"])


@dataclass(frozen=True, slots=True)
class Span:
    """Which versions, apart from whose.

    Attributes:
        since: Created at or after this moment (`_since`).
        at: Current at some moment of this half-open interval (`_at`).
        until: Created at or before this moment: the horizon at the time of the first page.
        after: Older than this position.
        seen: Whether `since` asks for what became visible since (envelope `va`, `op`), too, and not only for what was made.
    """

    since: datetime | None = None
    at: tuple[datetime, datetime] | None = None
    until: datetime | None = None
    after: Position | None = None
    seen: bool = False

    def clauses(self, *, live: bool) -> list[dict[str, Any]]:
        """Return the conditions on documents of a live or a history collection."""
        clauses: list[dict[str, Any]] = []
        if self.since:
            made = {"lu": {"$gte": self.since}}
            opened = [{name: {"$gte": self.since}} for name in ("va", "op")]
            clauses.append({"$or": [made, *opened]} if self.seen else made)
        if self.until:
            clauses.append({"lu": {"$lte": self.until}})
        if self.at:
            low, high = self.at
            clauses.append({"lu": {"$lt": high}})
            if not live:  # superseded after the interval began; a deletion is a moment, and has no `su`
                clauses.append({"$or": [{"su": {"$gt": low}}, {"lu": {"$gte": low}}]})
        if self.after:
            moment, order = self.after.last_updated, self.after.order
            clauses.append({"lu": {"$lte": moment}})
            clauses.append({"$or": [{"lu": {"$lt": moment}}, {"o": {"$lt": order}}]})
        return clauses


class History:
    """The history of one store.

    Args:
        database: With majority read concern.
        blobs: Where large bodies lie.
        time_limit_ms: After which the database gives up.
    """

    def __init__(self, database: AsyncDatabase[Any], blobs: Blobs, time_limit_ms: int) -> None:
        self._database = database
        self._blobs = blobs
        self._time_limit_ms = time_limit_ms

    async def version(
        self,
        resource_type: str,
        resource_id: str,
        vid: int,
        where: Where,
        session: AsyncClientSession | None,
    ) -> Stored | None:
        """Return one version, wherever it lies."""
        if where.kind == "nothing":
            return None
        # Live first: a version that is superseded meanwhile is then found where it went.
        live = await self._one(resource_type, _all([{"_id": resource_id, "v": vid}], where), BODY, session)
        if live is not None:
            return stored(resource_type, live)
        row = await self._one(
            history(resource_type), _all([{"_id": history_id(resource_id, vid)}], past(where)), ROW_BODY, session
        )
        return stored_row(resource_type, row) if row is not None else None

    async def last(
        self,
        resource_type: str,
        resource_id: str,
        where: Where,
        session: AsyncClientSession | None,
    ) -> Stored | None:
        """Return the newest row of a resource."""
        if where.kind == "nothing":
            return None
        row = await self._one(history(resource_type), _all([_of_id(resource_id)], past(where)), ROW_BODY, session)
        return stored_row(resource_type, row) if row is not None else None

    async def begun(self, resource_type: str, ids: Collection[str], session: AsyncClientSession | None) -> set[str]:
        """Return those of the ids that have a history.

        Every life begins with version 1 or goes on where the one before ended, so whatever was superseded or deleted has
        left a row of its version 1.
        """
        firsts, found = [history_id(one, 1) for one in ids], set[str]()
        for start in range(0, len(firsts), MOST_IDS):
            part = firsts[start : start + MOST_IDS]
            try:
                cursor = self._database[history(resource_type)].find(
                    {"_id": {"$in": part}}, {"_id": 1}, hint="_id_", batch_size=MOST_IDS + 1, session=session
                )
                found |= {row["_id"].rpartition("/")[0] for row in await cursor.to_list()}
            except PyMongoError as error:
                raise failures.outward(error, session) from error
        return found

    async def contexts(self, resource_type: str, ids: Collection[str], session: AsyncClientSession | None) -> set[str]:
        """Return what the versions of some resources name as their `securityContext`, as it is written there."""
        fields, found = {"r.securityContext.reference": 1}, set[str]()
        rows = {"$or": [_of_id(one) for one in ids]}
        for name, condition in ((resource_type, {"_id": {"$in": [*ids]}}), (history(resource_type), rows)):
            try:
                cursor = self._database[name].find(
                    condition, fields, hint="_id_", max_time_ms=self._time_limit_ms, session=session
                )
                contexts = [doc.get("r", {}).get("securityContext") for doc in await cursor.to_list()]
            except PyMongoError as error:
                raise failures.outward(error, session) from error
            found |= {context["reference"] for context in contexts if context}
        return found

    async def of_instance(
        self,
        resource_type: str,
        resource_id: str,
        where: Where,
        span: Span,
        *,
        count: int,
        session: AsyncClientSession | None = None,
    ) -> list[Stored]:
        """Return up to `count` versions of one resource."""
        if where.kind == "nothing":
            return []
        # Live first: a version that is superseded meanwhile is then met again among the rows, not missed.
        live = await self._find(
            resource_type, _all([{"_id": resource_id}, *span.clauses(live=True)], where), BODY, session, limit=1
        )
        condition = _all([_of_id(resource_id), *span.clauses(live=False)], past(where))
        rows = await self._find(history(resource_type), condition, ROW_BODY, session, limit=count, sort={"_id": -1})
        versions = {doc["v"]: stored(resource_type, doc) for doc in live}
        for row in rows:
            version = stored_row(resource_type, row)
            versions.setdefault(version.vid, version)
        return list(versions.values())[:count]

    async def of_types(
        self,
        resource_types: Iterable[str],
        where_of: Callable[[str], Where],
        span: Span,
        *,
        count: int,
        session: AsyncClientSession | None = None,
    ) -> list[Stored]:
        """Return up to `count` versions of all resources of these types."""
        wheres = {resource_type: where_of(resource_type) for resource_type in resource_types}
        there = {resource_type: where for resource_type, where in wheres.items() if where.kind != "nothing"}
        keys = await self._keys(there, span, count, session)
        newest = sorted(keys, key=lambda key: (keys[key]["lu"], keys[key]["o"]), reverse=True)[:count]
        return await self._fetch(newest, session)

    async def _keys(
        self, wheres: Mapping[str, Where], span: Span, count: int, session: AsyncClientSession | None
    ) -> dict[Key, Doc]:
        """Return the `count` newest keys, and perhaps more, with their rows.

        A version that is superseded meanwhile may be met twice, and so take the place of another one where a page is cut
        off; then the pages are read again, longer.
        """
        at_once = 1 if session else MOST_SOURCES  # no $unionWith in a transaction
        most = count
        while True:
            sources = [source for name, where in wheres.items() for source in _sources(name, where, span, most)]
            parts = [sources[start : start + at_once] for start in range(0, len(sources), at_once)]
            pages = await _all_of(session, [partial(self._newest, part, most, session) for part in parts])
            found = [{_key(row): row for row in page} for page in pages]
            if all(len(keys) >= count or len(page) < most for keys, page in zip(found, pages, strict=True)):
                return {key: row for keys in found for key, row in keys.items()}
            most *= 2

    async def _newest(
        self, sources: Sequence[tuple[str, list[Doc]]], count: int, session: AsyncClientSession | None
    ) -> list[Doc]:
        """Return the newest keys of several collections."""
        (first, pipeline), *others = sources
        unions = [{"$unionWith": {"coll": name, "pipeline": branch}} for name, branch in others]
        cursor = await self._database[first].aggregate(
            [*pipeline, *unions, {"$sort": NEWEST_FIRST}, {"$limit": count}],
            maxTimeMS=self._time_limit_ms,
            batchSize=count + 1,
            session=session,
        )
        return await cursor.to_list()

    async def _fetch(self, keys: Sequence[Key], session: AsyncClientSession | None) -> list[Stored]:
        """Return the versions with their bodies, in that order, wherever they lie by now."""
        wanted: dict[str, list[Key]] = {}
        for key in keys:
            wanted.setdefault(key[0], []).append(key)
        found: dict[Key, Stored] = {}
        for versions in await _all_of(
            session, [partial(self._fetch_of_type, name, part, session) for name, part in wanted.items()]
        ):
            found.update(versions)
        return [found[key] for key in keys]

    async def _fetch_of_type(
        self, resource_type: str, keys: Sequence[Key], session: AsyncClientSession | None
    ) -> dict[Key, Stored]:
        ids = list({key[1] for key in keys})
        live = await self._find(resource_type, {"_id": {"$in": ids}}, BODY, session, limit=len(ids))
        found = {(resource_type, doc["_id"], doc["v"]): stored(resource_type, doc) for doc in live}
        missing = [history_id(one, vid) for _, one, vid in keys if (resource_type, one, vid) not in found]
        if missing:
            condition = {"_id": {"$in": missing}}
            rows = await self._find(history(resource_type), condition, ROW_BODY, session, limit=len(missing))
            versions = [stored_row(resource_type, row) for row in rows]
            found.update(((resource_type, version.id, version.vid), version) for version in versions)
        return found

    async def _one(
        self, collection: str, condition: Doc, projection: Doc, session: AsyncClientSession | None
    ) -> Doc | None:
        """Return the document with the greatest `_id` that fits, with its body."""
        try:
            found = await self._database[collection].find_one(
                condition, projection, sort={"_id": -1}, hint="_id_", session=session
            )
        except PyMongoError as error:
            raise failures.outward(error, session) from error
        return (await self._blobs.attach((found,)))[0] if found else None

    async def _find(
        self,
        collection: str,
        condition: Doc,
        projection: Doc,
        session: AsyncClientSession | None,
        *,
        limit: int,
        sort: Mapping[str, int] | None = None,
    ) -> Sequence[Doc]:
        cursor = self._database[collection].find(
            condition,
            {**projection, "o": 1},
            sort=sort,
            limit=limit,
            hint="_id_",
            max_time_ms=self._time_limit_ms,
            session=session,
        )
        return await self._blobs.attach(await cursor.to_list())


async def _all_of(session: AsyncClientSession | None, works: Sequence[Callable[[], Awaitable[T]]]) -> list[T]:
    """Return the results of all, found side by side, but one after the other in a session, which does one thing at a time."""
    if session is None:
        return await asyncio.gather(*(work() for work in works))
    return [await work() for work in works]


def _sources(resource_type: str, where: Where, span: Span, count: int) -> list[tuple[str, list[Doc]]]:
    """Return the two collections of a type, each with the pipeline that gives the newest keys in it."""
    return [
        (
            collection,
            [
                {"$match": _all(span.clauses(live=live), where if live else past(where))},
                {"$sort": NEWEST_FIRST},
                {"$limit": count},
                {"$project": {"lu": 1, "o": 1, "v": 1, "t": {"$literal": resource_type}}},
            ],
        )
        for live, collection in ((True, resource_type), (False, history(resource_type)))
    ]


def _of_id(resource_id: str) -> Doc:
    """Return the condition on rows of one resource; no id has a slash in it, and `0` follows it."""
    return {"_id": {"$gt": f"{resource_id}/", "$lt": f"{resource_id}0"}}


def past(where: Where) -> Where:
    """Return a filter over current documents as one over rows, whose `_id` goes on with the version."""
    return Where("clause", _of_rows(where.clause)) if where.kind == "clause" else where


def _of_rows(clause: Doc) -> Doc:
    parts: list[Doc] = []
    for name, value in clause.items():
        if name in {"$and", "$or", "$nor"}:
            parts.append({name: [_of_rows(part) for part in value]})
        elif name == "_id":
            ids = [value] if isinstance(value, str) else value["$in"]
            parts.append({"$or": [_of_id(one) for one in ids]})
        else:
            parts.append({name: value})
    return parts[0] if len(parts) == 1 else {"$and": parts}


def _all(clauses: Sequence[Doc], where: Where) -> Doc:
    if where.kind == "clause":
        clauses = [*clauses, where.clause]
    return {"$and": clauses} if clauses else {}


def _key(row: Doc) -> Key:
    """Return (type, id, version) of a key, from either kind of collection."""
    if "v" in row:
        return row["t"], row["_id"], row["v"]
    resource_id, _, vid = row["_id"].rpartition("/")
    return row["t"], resource_id, int(vid)
