"""The versions of the record in the order in which they came to be, for those who tell others of them.

Nothing is written for it: live and superseded versions, and tombstones, are the outbox. A version commits with its write, and up to the
horizon none can be added, so whoever takes them in the order of (`lu`, `o`) up to there misses none.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import PyMongoError

from fhir_server.model.query import Where
from fhir_server.model.stored import Stored
from fhir_server.store import failures
from fhir_server.store.blobs import Blobs
from fhir_server.store.collections import history
from fhir_server.store.documents import BODY, ROW_BODY, history_id, stored, stored_row
from fhir_server.store.history import past

OLDEST_FIRST = {"lu": 1, "o": 1}
Key = tuple[str, str, int]
"""Type, id and version."""


class Outbox:
    """The versions of one database.

    Args:
        database: With majority read concern.
        blobs: Where large bodies lie.
        time_limit_ms: After which the database gives up.
    """

    def __init__(self, database: AsyncDatabase[Any], blobs: Blobs, time_limit_ms: int) -> None:
        self._database = database
        self._blobs = blobs
        self._time_limit_ms = time_limit_ms

    async def following(
        self, resource_types: Sequence[str], after: tuple[datetime, int], until: datetime, most: int
    ) -> tuple[list[Stored], bool]:
        """Return the next versions of some types, the oldest first, and whether there may be more; `o` is in their envelopes.

        Args:
            resource_types: Types.
            after: `lu` and `o` of the version that they follow.
            until: The horizon.
            most: How many, at most.

        Raises:
            Unavailable: The database cannot be reached.
        """
        if not resource_types:
            return [], False
        rows = await self._rows(resource_types, after, until, most)
        # One that is superseded meanwhile is met twice, so the rows say whether the page is full, and not the versions.
        found = await self.versions({_key(row) for row in rows}) if rows else {}
        return sorted(found.values(), key=moment_of), len(rows) >= most

    async def versions(self, keys: Collection[Key]) -> dict[Key, Stored]:
        """Return versions with their bodies, wherever they lie by now."""
        found: dict[Key, Stored] = {}
        for resource_type, ids in _by_type(keys).items():
            live = await self._find(resource_type, {"_id": {"$in": [one for one, _ in ids]}}, BODY)
            found |= {(resource_type, doc["_id"], doc["v"]): stored(resource_type, doc) for doc in live}
            missing = [history_id(*one) for one in ids if (resource_type, *one) not in found]
            if missing:
                rows = await self._find(history(resource_type), {"_id": {"$in": missing}}, ROW_BODY)
                past_ones = [stored_row(resource_type, row) for row in rows]
                found |= {(resource_type, one.id, one.vid): one for one in past_ones}
        return {key: found[key] for key in keys if key in found}

    async def visible(self, keys: Collection[Key], where_of: Callable[[str], Where]) -> set[Key]:
        """Return those of some versions that a filter of their type selects, as they were.

        Raises:
            Unavailable: The database cannot be reached.
        """
        seen: set[Key] = set()
        for resource_type, ids in _by_type(keys).items():
            where = where_of(resource_type)
            if where.kind == "anything":
                seen |= {(resource_type, *one) for one in ids}
            if where.kind != "clause":
                continue
            current = [one for one, _ in ids]
            live = await self._ids(resource_type, {"$and": [{"_id": {"$in": current}}, where.clause]}, {"v": 1})
            seen |= {(resource_type, doc["_id"], doc["v"]) for doc in live}
            rows = {"$and": [{"_id": {"$in": [history_id(*one) for one in ids]}}, past(where).clause]}
            for doc in await self._ids(history(resource_type), rows, {"_id": 1}):
                one, _, version = doc["_id"].rpartition("/")
                seen.add((resource_type, one, int(version)))
        return seen & set(keys)

    async def _rows(
        self, resource_types: Sequence[str], after: tuple[datetime, int], until: datetime, most: int
    ) -> list[Mapping[str, Any]]:
        """Return the oldest keys after a place, of live versions first: one that is superseded meanwhile is met again."""
        moment, order = after
        later = {"$or": [{"lu": {"$gt": moment}}, {"lu": moment, "o": {"$gt": order}}]}
        match = {"$match": {"lu": {"$gte": moment, "$lte": until}, **later}}
        sources: list[tuple[str, list[Mapping[str, Any]]]] = []
        for name in resource_types:
            row = {"$project": {"lu": 1, "o": 1, "v": 1, "t": {"$literal": name}}}
            sources += [
                (place, [match, {"$sort": OLDEST_FIRST}, {"$limit": most}, row]) for place in (name, history(name))
            ]
        (first, pipeline), *others = sources
        unions = [{"$unionWith": {"coll": name, "pipeline": branch}} for name, branch in others]
        try:
            cursor = await self._database[first].aggregate(
                [*pipeline, *unions, {"$sort": OLDEST_FIRST}, {"$limit": most}],
                maxTimeMS=self._time_limit_ms,
                batchSize=most + 1,
            )
            return await cursor.to_list()
        except PyMongoError as error:
            raise failures.expected(error) from error

    async def _find(
        self, collection: str, condition: Mapping[str, Any], projection: Mapping[str, Any]
    ) -> Sequence[Mapping[str, Any]]:
        return await self._blobs.attach(await self._ids(collection, condition, {**projection, "o": 1}))

    async def _ids(
        self, collection: str, condition: Mapping[str, Any], projection: Mapping[str, Any]
    ) -> list[Mapping[str, Any]]:
        try:
            return await self._database[collection].find(condition, projection, hint="_id_").to_list()
        except PyMongoError as error:
            raise failures.expected(error) from error


def _key(row: Mapping[str, Any]) -> Key:
    if "v" in row:
        return row["t"], row["_id"], row["v"]
    one, _, version = row["_id"].rpartition("/")
    return row["t"], one, int(version)


def _by_type(keys: Collection[Key]) -> dict[str, list[tuple[str, int]]]:
    found: dict[str, list[tuple[str, int]]] = {}
    for resource_type, one, version in keys:
        found.setdefault(resource_type, []).append((one, version))
    return found


def moment_of(version: Stored) -> tuple[datetime, int]:
    """Return the place of a version in the order of all."""
    return version.last_updated.astimezone(UTC), version.envelope["o"]
