"""Which version of the extraction (`search.index`) has made the search parts of all that is stored.

One row tells it, so that a start need not look at the documents. A new record is of the version that begins it; afterwards
only going through everything changes the row, type by type. A process of another version says so before it writes
(`claim`): from then on nothing is known of the types that it has not gone through.

Searches ask whether what they rest on lags behind. Where nothing did when the process began, they are not even asked.
"""

import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from pymongo import WriteConcern
from pymongo.asynchronous.client_session import AsyncClientSession
from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import PyMongoError

from fhir_server.store import failures

COLLECTION = "meta"
KEY = "extraction"

TRANSACTIONS_LIVE = 60.0
"""Seconds. So long after everything was done a transaction may still see what was before."""


@dataclass(frozen=True, slots=True)
class Made:
    """What the row says.

    Attributes:
        version: Of all types but those below; 0 where nothing is known.
        types: Types that were gone through since, each with the version.
    """

    version: int = 0
    types: Mapping[str, int] = field(default_factory=dict)

    def of(self, resource_type: str) -> int:
        """Return the version by which the search parts of a type were made."""
        return self.types.get(resource_type, self.version)

    def is_all(self, version: int) -> bool:
        """Return whether that version has made all search parts."""
        return {self.version, *self.types.values()} == {version}


class Extraction:
    """The row of one database.

    Attributes:
        lags: Whether some search part may be of another version than the one that this process has claimed.
    """

    def __init__(self, database: AsyncDatabase[Any]) -> None:
        self._meta = database.get_collection(COLLECTION, write_concern=WriteConcern("majority", j=True))
        self._claimed = 0
        self._whole_since = 0.0
        self.lags = False

    async def made(self, session: AsyncClientSession | None = None) -> Made:
        """Return what the row says, or said to the transaction of a session.

        Raises:
            Unavailable: The database cannot be reached.
        """
        try:
            row = await self._meta.find_one({"_id": KEY}, session=session)
        except PyMongoError as error:
            raise failures.outward(error, session) from error
        return Made(int(row["version"]), row.get("types", {})) if row else Made()

    async def claim(self, version: int) -> None:
        """Say that this process makes search parts by a version; call it before the first write.

        Raises:
            Unavailable: The database cannot be reached.
        """
        made = await self.made()
        self._claimed, self._whole_since, self.lags = version, 0.0, not made.is_all(version)
        if not self.lags:
            return
        unchanged = {"_id": KEY, "version": made.version, "types": dict(made.types) or None}
        kept = {name: each for name, each in made.types.items() if each == version}
        change = {"$set": {"version": 0, "types": kept}} if kept else {"$set": {"version": 0}, "$unset": {"types": 1}}
        try:
            await self._meta.update_one({"_id": KEY}, {"$setOnInsert": {"version": 0}}, upsert=True)
            await self._meta.update_one(unchanged, change)
        except PyMongoError as error:
            raise failures.expected(error) from error

    async def lagging(self, types: Collection[str], session: AsyncClientSession | None = None) -> list[str]:
        """Return those of the types of which some search part may be of another version than the claimed one.

        Raises:
            Unavailable: The database cannot be reached.
        """
        if not self.lags:
            return []
        made = await self.made(session)
        if made.is_all(self._claimed):
            now = time.monotonic()
            self._whole_since = self._whole_since or now
            self.lags = now - self._whole_since < TRANSACTIONS_LIVE
        return sorted(name for name in types if made.of(name) != self._claimed)

    async def note_type(self, resource_type: str, version: int) -> None:
        """Note that all resources of a type have their search parts by this version.

        Raises:
            Unavailable: The database cannot be reached.
        """
        try:
            await self._meta.update_one(
                {"_id": KEY, "version": {"$ne": version}}, {"$set": {f"types.{resource_type}": version}}
            )
        except PyMongoError as error:
            raise failures.expected(error) from error

    async def note(self, version: int) -> None:
        """Note that everything has its search part by this version.

        Raises:
            Unavailable: The database cannot be reached.
        """
        try:
            await self._meta.update_one(
                {"_id": KEY}, {"$set": {"version": version}, "$unset": {"types": 1}}, upsert=True
            )
        except PyMongoError as error:
            raise failures.expected(error) from error
