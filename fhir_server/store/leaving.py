"""Marks on resources that are about to be deleted, so that nothing comes to refer to them meanwhile.

A write looks whether its targets are there, and a deletion whether anything refers to its resource. Done side by side, each
would find nothing wrong. So a deletion first marks its resource, then waits for every write in flight that may have looked
before the mark was there (the clock knows them), and only then looks for references. A write that meets the mark waits.

A mark that is too old is taken off by the write that meets it: who deletes may be gone, or may only have been halted. So a
deletion takes place only where its mark still is (`Delete.mark`), and no reference dangles however late it comes.
"""

import asyncio
import secrets
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import OperationFailure, PyMongoError

from fhir_server.model.errors import Conflict
from fhir_server.model.query import Where
from fhir_server.store import direct, failures
from fhir_server.store.clock import Clock

MARK = "dg"
MARKED = f"{MARK}.by"
VALID = timedelta(seconds=30)
PATIENCE = 10.0
STAYING = Where("clause", {f"{MARK}.0": {"$exists": False}})
"""The filter for resources that nobody is deleting."""
DURABLE = {"w": "majority", "j": True}

Instance = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Mark:
    """What a deletion has put on its resources.

    Attributes:
        token: Tells it from the marks of other deletions.
        instances: What bears it.
        gone: Takes those that have been deleted, and their marks with them.
    """

    token: str = ""
    instances: frozenset[Instance] = frozenset()
    gone: set[Instance] = field(default_factory=set)

    def on(self, instance: Instance) -> str:
        """Return the token, where the instance bears this mark, else nothing."""
        return self.token if instance in self.instances else ""


UNMARKED = Mark()


class Leaving:
    """Marks in one database."""

    def __init__(self, database: AsyncDatabase[Any], clock: Clock) -> None:
        self._database = database
        self._clock = clock

    @asynccontextmanager
    async def mark(self, instances: Iterable[Instance]) -> AsyncIterator[Mark]:
        """Mark the instances while inside; entered when no write is in flight that did not see the marks.

        Raises:
            Conflict: Such writes did not end for ten seconds.
        """
        mark = Mark(secrets.token_hex(8), frozenset(instances))
        try:
            await self._each(mark.instances, {"$push": {MARK: {"by": mark.token, "at": self._clock.now()}}})
            if not await self._clock.quiet(PATIENCE):
                raise Conflict("Writes that may refer to this resource take too long. Try the deletion again.")
            yield mark
        finally:
            if left := mark.instances - mark.gone:
                await asyncio.shield(self._each(left, {"$pull": {MARK: {"by": mark.token}}}, {MARKED: mark.token}))

    async def unmark(self, instances: Iterable[Instance]) -> None:
        """Take the marks off that are older than deletions take, each of which is thereby refused, should it still come.

        Raises:
            Unavailable: The database cannot be reached.
        """
        old = {"at": {"$lt": self._clock.now() - VALID}}
        await self._each(instances, {"$pull": {MARK: old}}, {MARK: {"$elemMatch": old}})

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
