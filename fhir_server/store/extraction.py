"""Which version of the extraction (`search.index`) has made the search parts of all that is stored.

One row tells it, so that a start need not look at the documents. A new record is of the version that begins it; afterwards
only going through everything changes the row.
"""

from typing import Any

from pymongo import WriteConcern
from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import PyMongoError

from fhir_server.store import failures

COLLECTION = "meta"
KEY = "extraction"


class Extraction:
    """The row of one database."""

    def __init__(self, database: AsyncDatabase[Any]) -> None:
        self._meta = database.get_collection(COLLECTION, write_concern=WriteConcern("majority", j=True))

    async def version(self) -> int:
        """Return the version; 0 where none was noted, so that nothing is known.

        Raises:
            Unavailable: The database cannot be reached.
        """
        try:
            row = await self._meta.find_one({"_id": KEY})
        except PyMongoError as error:
            raise failures.expected(error) from error
        return int(row["version"]) if row else 0

    async def note(self, version: int) -> None:
        """Note that everything has its search part by this version.

        Raises:
            Unavailable: The database cannot be reached.
        """
        try:
            await self._meta.update_one({"_id": KEY}, {"$set": {"version": version}}, upsert=True)
        except PyMongoError as error:
            raise failures.expected(error) from error
