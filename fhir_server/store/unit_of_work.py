"""A unit of work: several writes, and reads between them, in one transaction that is all or nothing.

`Unit` is what the work gets to write with; `Workshop` runs it.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from bson.raw_bson import RawBSONDocument
from pymongo.asynchronous.client_session import AsyncClientSession
from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import PyMongoError

from fhir_server.model.errors import Conflict
from fhir_server.store import failures
from fhir_server.store.blobs import LARGE, Blobs
from fhir_server.store.changes import Change, Create, Update
from fhir_server.store.clock import Clock
from fhir_server.store.collections import Collections
from fhir_server.store.locks import Locks, take
from fhir_server.store.operations import Operations, Refused
from fhir_server.store.trail import Trail
from fhir_server.store.transactions import Again, once, retried

T = TypeVar("T")

AT_A_STRETCH = 200  # documents are encoded (about 25 µs each) before other requests have their turn


@dataclass(frozen=True, slots=True)
class Workshop:
    """What the units of one store share, and how they are run."""

    database: AsyncDatabase[Any]
    collections: Collections
    blobs: Blobs
    clock: Clock
    locks: Locks
    trail: Trail

    async def prepare(self, changes: Sequence[Change], files: list[Any]) -> Operations:
        """Return the operations of the changes; ids of what was uploaded for them are added to `files`.

        Raises:
            Unprocessable: A document has a value that cannot be stored.
            TooLarge: A document is above 16 MB.
        """
        operations = Operations()
        for number, change in enumerate(changes, 1):
            operations.add(change if _is_small(change) else await self._detached(change, files))
            if number % AT_A_STRETCH == 0:
                await asyncio.sleep(0)
        return operations

    async def transact(self, work: Callable[["Unit"], Awaitable[T]]) -> T:
        """Run the work as one interactive unit (see `Store.transact`)."""
        try:
            return await retried(lambda: self._attempt(work))
        except Again:
            raise Conflict("Too many requests are writing the same resources. Send the request again.") from None
        except PyMongoError as error:
            raise failures.expected(error) from error

    async def _attempt(self, work: Callable[["Unit"], Awaitable[T]]) -> T:
        await self.collections.settled()
        async with self.database.client.start_session() as session:
            unit = Unit(session, self)

            async def guarded() -> T:
                try:
                    return await work(unit)
                except BaseException:
                    await self.blobs.discard(unit.files)
                    raise

            try:
                result = await once(session, guarded)
                self.trail.committed(unit.rows)
                return result
            finally:
                unit.end()
                # Only now: creating a collection waits for every open transaction, so it would wait for this one.
                await self.collections.ensure(unit.missing)

    async def _detached(self, change: Change, files: list[Any]) -> Change:
        """Return the change with its large content uploaded."""
        if not isinstance(change, Create | Update):
            return change
        doc = await self.blobs.detach(change.resource_type, change.doc)
        files.append(doc["jb"])
        return replace(change, doc=doc)


class Unit:
    """The writes of one interactive transaction.

    Attributes:
        session: Pass it to the store's reads, so that they see what this unit wrote.
        files: Uploads made for it.
        missing: Types whose collections must be made before the next attempt.
        rows: Rows of the audit trail among what was written.
    """

    def __init__(self, session: AsyncClientSession, workshop: Workshop) -> None:
        self.session = session
        self.files: list[Any] = []
        self.missing: tuple[str, ...] = ()
        self.rows: list[RawBSONDocument] = []
        self._workshop = workshop
        self._keys: list[str] = []
        self._tickets: list[int] = []

    async def lock(self, keys: Iterable[str]) -> None:
        """See to it that no other unit with one of these keys runs at the same time. The first thing in a unit, once.

        Args:
            keys: Texts such as `Patient?identifier=…`.
        """
        wanted = sorted(set(keys))
        if not wanted:
            return
        if not self._keys:  # one ordered round of waiting; a second one could wait in a circle
            for key in wanted:
                await self._workshop.locks.acquire(key)
                self._keys.append(key)
        await take(self._workshop.database, wanted, self.session)

    async def apply(self, changes: Sequence[Change]) -> None:
        """Write the changes; they count when the unit commits. A failure ends the unit.

        Raises:
            Stale: A superseded version is not the current one.
            Exists: A resource to be created is there.
        """
        workshop = self._workshop
        operations = await workshop.prepare(changes, self.files)
        if not workshop.collections.all_ready(operations.types):
            self.missing = tuple(operations.types)
            raise Again
        if operations.earliest:
            self._tickets.append(workshop.clock.hold(operations.earliest))
        try:
            await operations.execute(workshop.database, self.session)
        except Refused as refused:
            raise next(iter(refused.culprits.values())) from None
        self.rows += operations.rows_of(workshop.trail.namespace)

    def end(self) -> None:
        """Give back what the unit holds in this process: its locks, and its place among the writes in flight."""
        for key in self._keys:
            self._workshop.locks.release(key)
        for ticket in self._tickets:
            self._workshop.clock.release(ticket)


def _is_small(change: Change) -> bool:
    doc: Mapping[str, Any] = getattr(change, "doc", {})
    return len(doc.get("j", b"")) <= LARGE
