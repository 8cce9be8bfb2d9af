"""Marks on resources that are about to be deleted, so that nothing comes to refer to them meanwhile.

A write looks whether its targets are there, and a deletion whether anything refers to its resource. Done side by side, each
would find nothing wrong. So a deletion first marks its resource, then waits for every write in flight that may have looked
before the mark was there (the clock knows them), and only then looks for references. A write that meets the mark waits.
"""

import asyncio
import secrets
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Any

from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import OperationFailure, PyMongoError

from fhir_server.model.errors import Conflict
from fhir_server.model.query import Where
from fhir_server.store import direct, failures
from fhir_server.store.clock import Clock

MARK = "dg"
VALID = timedelta(seconds=30)
COARSE = 10  # seconds; readers with the same filter share a round trip, so the filter must not change with every read
PATIENCE = 10.0
DURABLE = {"w": "majority", "j": True}

Instance = tuple[str, str]


class Leaving:
    """Marks in one database."""

    def __init__(self, database: AsyncDatabase[Any], clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._staying: tuple[datetime, Where] | None = None

    def staying(self) -> Where:
        """Return the filter for resources that nobody is deleting; marks of those who died on the way do not count."""
        now = self._clock.now()
        floor = now.replace(second=now.second // COARSE * COARSE, microsecond=0) - VALID
        if self._staying is None or self._staying[0] != floor:
            self._staying = floor, Where("clause", {MARK: {"$not": {"$elemMatch": {"at": {"$gt": floor}}}}})
        return self._staying[1]

    @asynccontextmanager
    async def mark(self, instances: Iterable[Instance]) -> AsyncIterator[set[Instance]]:
        """Mark the instances while inside; entered when no write is in flight that did not see the marks.

        What is yielded takes those that have been deleted, and their marks with them.

        Raises:
            Conflict: Such writes did not end for ten seconds.
        """
        marked, gone = frozenset(instances), set[Instance]()
        token = secrets.token_hex(8)
        try:
            mark = {"by": token, "at": self._clock.now()}
            await self._each(marked, {"$push": {MARK: mark}})
            if not await self._clock.quiet(PATIENCE):
                raise Conflict("Writes that may refer to this resource take too long. Try the deletion again.")
            yield gone
        finally:
            if left := marked - gone:
                await asyncio.shield(self._each(left, {"$pull": {MARK: {"by": token}}}, {f"{MARK}.by": token}))

    async def _each(
        self, instances: Iterable[Instance], change: Mapping[str, Any], only: Mapping[str, Any] | None = None
    ) -> None:
        ids: dict[str, list[str]] = {}
        for resource_type, resource_id in instances:
            ids.setdefault(resource_type, []).append(resource_id)
        try:
            for resource_type, wanted in ids.items():
                await self._update(resource_type, {"_id": {"$in": wanted}, **(only or {})}, change)
        except PyMongoError as error:
            raise failures.expected(error) from error

    async def _update(self, resource_type: str, where: Mapping[str, Any], change: Mapping[str, Any]) -> None:
        """Change documents, until a majority has it in its journal."""
        updates: Sequence[Mapping[str, Any]] = [{"q": where, "u": change, "multi": True}]
        reply = await direct.ask(self._database, {"update": resource_type, "updates": updates, "writeConcern": DURABLE})
        for row in (*reply.get("writeErrors", ()), *filter(None, [reply.get("writeConcernError")])):
            raise OperationFailure(row.get("errmsg", "write error"), row.get("code"), dict(row))
