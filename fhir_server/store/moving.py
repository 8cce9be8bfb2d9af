"""What was changed since a moment, and where it stood in the order of last updates at that moment."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import PyMongoError

from fhir_server.model.query import Where
from fhir_server.store import failures
from fhir_server.store.collections import history

MOST = 1000
"""Changed resources up to which their versions are looked up one by one; above, the stretch of the order is read."""
AT_ONCE = 200


@dataclass(frozen=True, slots=True)
class Stretch:
    """A part of the order of last updates, as it was.

    Attributes:
        since: The moment.
        low: Only what stood at or above this, `None` for no such bound.
        high: Only what stood at or below this.
    """

    since: datetime
    low: datetime | None
    high: datetime | None

    @property
    def clause(self) -> dict[str, Any]:
        """The condition on the versions that were current at that moment, and were superseded after it."""
        upper = min(self.since, self.high) if self.high else self.since
        return {"lu": {"$lte": upper, **({"$gte": self.low} if self.low else {})}, "su": {"$gt": self.since}}


async def moved(
    database: AsyncDatabase[Any], resource_type: str, where: Where, stretch: Stretch, time_limit_ms: int
) -> list[Mapping[str, Any]]:
    """Return `_id`, `lu` and `o` that resources of a stretch had which are there, match, and were changed since.

    Raises:
        TooCostly: The time limit was reached.
        Unavailable: The database cannot be reached.
    """
    changed = where & Where("clause", {"lu": {"$gt": stretch.since}})
    try:
        found = database[resource_type].find(changed.clause, {"_id": 1}, limit=MOST + 1, max_time_ms=time_limit_ms)
        docs = await found.to_list()
        if len(docs) <= MOST:
            return await _former(database, resource_type, [doc["_id"] for doc in docs], stretch)
        return await _still_there(database, resource_type, changed, stretch, time_limit_ms)
    except PyMongoError as error:
        raise failures.expected(error) from error


async def existed(database: AsyncDatabase[Any], resource_type: str, ids: Sequence[str], since: datetime) -> set[str]:
    """Return those of the resources, all changed since a moment, that were there at that moment already.

    Raises:
        Unavailable: The database cannot be reached.
    """
    try:
        rows = await _former(database, resource_type, ids, Stretch(since, None, None))
    except PyMongoError as error:
        raise failures.expected(error) from error
    return {row["_id"] for row in rows}


async def _former(
    database: AsyncDatabase[Any], resource_type: str, ids: Sequence[str], stretch: Stretch
) -> list[Mapping[str, Any]]:
    """Return where these resources stood."""
    rows: list[Mapping[str, Any]] = []
    for start in range(0, len(ids), AT_ONCE):
        own = [{"_id": {"$gte": f"{one}/", "$lt": f"{one}0"}} for one in ids[start : start + AT_ONCE]]
        found = database[history(resource_type)].find({"$or": own, **stretch.clause}, {"lu": 1, "o": 1})
        rows += await found.to_list()
    return [_of(row) for row in rows]


async def _still_there(
    database: AsyncDatabase[Any], resource_type: str, changed: Where, stretch: Stretch, time_limit_ms: int
) -> list[Mapping[str, Any]]:
    """Return what stood in the stretch and is there, in a version that matches."""
    past = database[history(resource_type)]
    cursor = past.find(stretch.clause, {"lu": 1, "o": 1}, hint="updated", max_time_ms=time_limit_ms)
    rows = [_of(row) for row in await cursor.to_list()]
    there: set[str] = set()
    for start in range(0, len(rows), AT_ONCE):
        ids = [row["_id"] for row in rows[start : start + AT_ONCE]]
        where = changed & Where("clause", {"_id": {"$in": ids}})
        there |= _ids(await database[resource_type].find(where.clause, {"_id": 1}, hint="_id_").to_list())
    return [row for row in rows if row["_id"] in there]


def _of(row: Mapping[str, Any]) -> Mapping[str, Any]:
    return {**row, "_id": row["_id"].rpartition("/")[0]}


def _ids(rows: Iterable[Mapping[str, Any]]) -> set[str]:
    return {row["_id"] for row in rows}
