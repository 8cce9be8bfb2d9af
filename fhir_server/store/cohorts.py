"""Patients of facilities, in the order of their ids: the members of virtual Groups."""

from collections.abc import Collection
from datetime import datetime
from typing import Any

from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import PyMongoError

from fhir_server.model.query import Where
from fhir_server.store import failures
from fhir_server.store.collections import Collections, history
from fhir_server.store.history import past

TYPE = "Patient"
BY_FACILITY = "cohort"
FEW = 150
"""Facilities of which the database can merge the ranges of an index in the order of ids; of more, all patients are gone through."""


class Cohorts:
    """Patients of facilities in one database.

    Args:
        database: With majority read concern.
        collections: Which there are.
        time_limit_ms: Time after which the database gives up.
    """

    def __init__(self, database: AsyncDatabase[Any], collections: Collections, time_limit_ms: int) -> None:
        self._database = database
        self._collections = collections
        self._time_limit_ms = time_limit_ms

    async def patients(  # noqa: PLR0917 - whose they are and which of them
        self, facilities: Collection[str], zones: Collection[str], where: Where, after: str, at: datetime, most: int
    ) -> list[str]:
        """Return the ids that follow `after` of the patients of some facilities, who are there or were at a moment.

        Args:
            facilities: Ids of Organizations.
            zones: Residency zones that the patients' records lie in.
            where: What the caller may see of Patients.
            after: The id before, empty for the first.
            at: Who was deleted after this moment is one of them.
            most: How many.

        Raises:
            TooCostly: The time limit was reached.
            Unavailable: The database cannot be reached.
        """
        if where.kind == "nothing" or not facilities or not await self._collections.ensure_if_present(TYPE):
            return []
        kept = {"f": {"$in": sorted(facilities)}, "rg": {"$in": sorted(zones)}}
        live = Where("clause", {**kept, "_id": {"$gt": after}}) & where
        gone = Where("clause", {**kept, "del": True, "lu": {"$gt": at}}) & past(where)
        try:
            # Live first: who is deleted meanwhile is then met twice, not missed.
            cursor = self._database[TYPE].find(
                live.clause,
                {"_id": 1},
                sort=[("_id", 1)],
                limit=most,
                hint=BY_FACILITY if len(facilities) <= FEW else "_id_",
                max_time_ms=self._time_limit_ms,
            )
            found = {row["_id"] async for row in cursor}
            end = max(found) if len(found) == most else ""
            cursor = self._database[history(TYPE)].find(
                gone.clause, {"_id": 1}, hint="updated", max_time_ms=self._time_limit_ms
            )
            ended = {row["_id"].rpartition("/")[0] async for row in cursor}
        except PyMongoError as error:
            raise failures.outward(error, None) from error
        found |= {one for one in ended if one > after and (not end or one < end)}
        return sorted(found)[:most]
