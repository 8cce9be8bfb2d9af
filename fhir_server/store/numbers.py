"""Numbers in `meta` that every change of something raises, so that processes see with one small question that it has changed."""

from collections.abc import Sequence
from typing import Any

from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import ConnectionFailure, PyMongoError

from fhir_server.store import direct, failures
from fhir_server.store.grouping import Grouped

META = "meta"
MOST = 1000
MAJORITY = {"level": "majority"}


class Numbers:
    """The numbers in one database; those that are asked for at the same time, by whomever, are one question."""

    def __init__(self, database: AsyncDatabase[Any]) -> None:
        self._database = database
        self._asked = Grouped(self._ask, MOST)

    async def version(self, key: str) -> int:
        """Return a number as it is when the database is asked, which is after this call; 0 where nothing was changed yet.

        Raises:
            Unavailable: The database cannot be reached.
        """
        return await self._asked.ask(key)

    async def close(self) -> None:
        """Wait for what is on the wire."""
        await self._asked.close()

    async def _ask(self, keys: Sequence[str]) -> Sequence[int]:
        wanted = [*dict.fromkeys(keys)]
        command = {
            "find": META,
            "filter": {"_id": wanted[0] if len(wanted) == 1 else {"$in": wanted}},
            "projection": {"version": 1},
            "batchSize": len(wanted) + 1,
            "readConcern": MAJORITY,
        }
        try:
            try:
                reply = await direct.ask(self._database, command)
            except ConnectionFailure:  # a new primary, or a connection that was closed
                reply = await direct.ask(self._database, command)
        except PyMongoError as error:
            raise failures.expected(error) from error
        found = {row["_id"]: int(row["version"]) for row in reply["cursor"]["firstBatch"]}
        return [found.get(key, 0) for key in keys]
