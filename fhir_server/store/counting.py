"""Counts of what facilities keep, by facility: for reports, which nobody may take apart into single people."""

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any

from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import PyMongoError

from fhir_server.model.query import Where
from fhir_server.store import failures

BY_FACILITY = "facility_date"

MOST = 2_000_000_000
"""More than there are. A limit keeps the database from moving a filter that stands behind it to the front."""


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

    async def holding(
        self, resource_type: str, codes: Where, access: Where, hint: str | None, time_limit_ms: int
    ) -> Mapping[str, int]:
        """Return how many resources of a type hold certain codes, for each facility that keeps some.

        What is examined is what holds the codes: the other filter is asked of that, and never decides on the index.

        Args:
            resource_type: A type of which something has been stored.
            codes: Filter of the codes.
            access: Which of them are counted.
            hint: Name of the index to use, or `None` to let the planner choose.
            time_limit_ms: Time after which the database gives up.

        Returns:
            Counts by id of the Organization; of what nobody keeps by the empty text.

        Raises:
            TooCostly: The time limit was reached.
        """
        if "nothing" in {codes.kind, access.kind}:
            return {}
        allowed: list[dict[str, Any]] = [{"$limit": MOST}, {"$match": access.clause}]
        options: dict[str, Any] = {"hint": hint} if hint else {}
        try:
            cursor = await self._database[resource_type].aggregate(
                [
                    {"$match": codes.clause},
                    *(allowed if access.kind == "clause" else ()),
                    {"$group": {"_id": "$f", "n": {"$sum": 1}}},
                ],
                maxTimeMS=max(1, time_limit_ms),
                **options,
            )
            return {row["_id"] or "": int(row["n"]) async for row in cursor}
        except PyMongoError as error:
            raise failures.outward(error, None) from error
