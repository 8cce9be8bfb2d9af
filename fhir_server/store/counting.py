"""Counts of what facilities keep, by facility: for reports, which nobody may take apart into single people."""

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any

from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import PyMongoError

from fhir_server.store import failures

BY_FACILITY = "facility_date"


class Counting:
    """Counts in one database.

    Args:
        database: The record.
        time_limit_ms: Time after which the database gives up.
    """

    def __init__(self, database: AsyncDatabase[Any], time_limit_ms: int) -> None:
        self._database = database
        self._time_limit_ms = time_limit_ms

    async def by_facility(
        self, resource_type: str, facilities: Collection[str], begin: datetime, end: datetime, clause: Mapping[str, Any]
    ) -> Mapping[str, int]:
        """Return how many resources of a type with a primary date from `begin` to before `end` each facility keeps.

        Args:
            resource_type: A type with an index by facility and date, of which something has been stored.
            facilities: Ids of Organizations.
            begin: First moment.
            end: First moment that is too late.
            clause: A further filter.

        Raises:
            TooCostly: The time limit was reached.
        """
        found = {"f": {"$in": sorted(facilities)}, "d": {"$gte": begin, "$lt": end}, **clause}
        try:
            cursor = await self._database[resource_type].aggregate(
                [{"$match": found}, {"$group": {"_id": "$f", "n": {"$sum": 1}}}],
                hint=BY_FACILITY,
                maxTimeMS=self._time_limit_ms,
            )
            return {row["_id"]: int(row["n"]) async for row in cursor}
        except PyMongoError as error:
            raise failures.outward(error, None) from error
