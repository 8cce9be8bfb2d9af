"""What an export reads, as lines: each resource once, as it was at the moment of the export, within what its mandate reaches now."""

import asyncio
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from fhir_server.audit.footprint import patients_of
from fhir_server.bulk.sections import PATIENT, PROVENANCE, SUPPORTING
from fhir_server.bulk.task import Task
from fhir_server.model import json
from fhir_server.model.errors import Unavailable
from fhir_server.model.query import ANYTHING, NOTHING, Where
from fhir_server.repository import Repository
from fhir_server.search.parse import parse
from fhir_server.search.subset import Subset, reduce
from fhir_server.store import Changed, Portion, Position, Scan, Window
from profiles.definitions.registry import Definitions

RENEWED_AFTER = 3.0
"""Seconds after which it is asked anew what the mandate reaches."""

SETTLED = 0.02
PATIENCE = 120.0
"""Seconds in which writes that had begun before an export must come to their end."""

WHOSE = ("p", "ps", "f")
"""Envelope fields that tell of which patients something is, and who keeps it."""

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MILLISECOND = timedelta(milliseconds=1)

Doc = Mapping[str, Any]
Place = list[Any]
"""Where to go on, as plain values: [milliseconds, order], or [id]; empty for the beginning."""


async def asked_at(repository: Repository) -> datetime:
    """Return the moment of now: whatever was answered by any process is not later.

    Raises:
        Unavailable: The database cannot be reached.
    """
    clock = repository.store.clock
    return max(await clock.told(), clock.now())


async def settled(repository: Repository, asked: datetime) -> datetime:
    """Return the moment of an export: what was answered before it was asked for is visible, and nothing can be added any more.

    Raises:
        Unavailable: The database cannot be reached, or a process that writes does not come to an end.
    """
    began = time.monotonic()
    while (horizon := await repository.store.horizon()) < asked:
        if time.monotonic() - began > PATIENCE:
            raise Unavailable("Writes that began before the export have not ended. It is tried again.")
        await asyncio.sleep(SETTLED)
    return horizon


@dataclass(frozen=True, slots=True)
class Block:
    """Lines that were read together.

    Attributes:
        data: The lines, each with its end.
        count: How many resources.
        place: Where to go on after them; `None` where that cannot be said, so that no file ends there.
        patients: Whose records they are of.
        keepers: Organizations that keep these.
    """

    data: bytes
    count: int
    place: Place | None
    patients: frozenset[str] = frozenset()
    keepers: frozenset[str] = frozenset()


@dataclass(slots=True)
class Reading:
    """Reads for one job.

    Attributes:
        task: What is asked for.
        moment: Of which the export is true.
        within: Returns the repository within what the mandate reaches now.
        definitions: FHIR definitions.
    """

    task: Task
    moment: datetime
    within: Callable[[], Awaitable[Repository]]
    definitions: Definitions
    _changed: dict[str, Changed] = field(default_factory=dict)
    _repository: Repository | None = None
    _renewed: float = 0.0

    @property
    def window(self) -> Window:
        """Which versions are wanted."""
        return Window(self.moment, self.task.since, self.task.until)

    async def repository(self) -> Repository:
        """Return the repository within what the mandate reached some seconds ago.

        Raises:
            Forbidden: The mandate is over.
            Unavailable: The database cannot be reached.
        """
        if self._repository is None or time.monotonic() - self._renewed > RENEWED_AFTER:
            self._repository = await self.within()
            self._renewed = time.monotonic()
        return self._repository

    async def everything(self, resource_type: str, after: Place) -> AsyncGenerator[Block]:
        """Yield the lines of a type behind a place; at the level of patients, of what is of any.

        Raises:
            Forbidden: The mandate is over.
            Unavailable: The database cannot be reached.
        """
        place = _position(after)
        is_over = False
        while not is_over:
            repository = await self.repository()
            scan = await self.scan(repository, resource_type, self._of_any_patient(resource_type))
            is_over = True
            async with aclosing(repository.store.scanning.portions(scan, place)) as portions:
                async for portion in portions:
                    place = portion.end
                    yield self.block(repository, resource_type, portion.docs, _place(portion))
                    if time.monotonic() - self._renewed > RENEWED_AFTER:
                        is_over = False
                        break

    async def gone(self, resource_type: str, after: Place) -> AsyncGenerator[Block]:
        """Yield what was deleted in the period, as Bundles of deletions."""
        repository = await self.repository()
        where = repository.scope.where(resource_type, "r") & self._of_any_patient(resource_type)
        scan = Scan(resource_type, where, self.window)
        async with aclosing(repository.store.scanning.gone(scan, _position(after))) as portions:
            async for portion in portions:
                if portion.docs:
                    yield Block(deletions(resource_type, portion.docs), len(portion.docs), _place(portion))

    async def scan(self, repository: Repository, resource_type: str, where: Where) -> Scan:
        """Return the scan of what is wanted of a type."""
        where &= repository.scope.where(resource_type, "r")
        where &= await _matching(repository, self.task, resource_type)
        return Scan(resource_type, where, self.window, self.changed(resource_type), WHOSE)

    def changed(self, resource_type: str) -> Changed:
        """Return what scans of a type have found out."""
        return self._changed.setdefault(resource_type, Changed())

    def block(self, repository: Repository, resource_type: str, docs: Sequence[Doc], place: Place | None) -> Block:
        """Return resources as lines."""
        bodies = self.bodies(repository, resource_type, docs)
        data = b"\n".join([*bodies, b""]) if bodies else b""
        return Block(data, len(bodies), place, *whose(resource_type, docs))

    def bodies(self, repository: Repository, resource_type: str, docs: Sequence[Doc]) -> list[bytes]:
        """Return resources as JSON, with the elements that are wanted."""
        bodies: list[bytes] = [doc["j"] for doc in docs]
        if wanted := self.task.wanted(resource_type):
            subset = Subset(elements=wanted)
            bodies = [reduce(body, subset, repository.definitions) for body in bodies]
        return bodies

    def _of_any_patient(self, resource_type: str) -> Where:
        if self.task.level == "system" or resource_type in SUPPORTING or resource_type == PATIENT:
            return ANYTHING
        of_any: dict[str, Any] = {"p": {"$exists": True}}
        if resource_type == PROVENANCE:  # it tells where most resources of a patient come from, and not who that is
            of_any = {"$or": [of_any, {"s.target": {"$exists": True}}]}
        return Where("clause", of_any)


async def _matching(repository: Repository, task: Task, resource_type: str) -> Where:
    """Return what the filters of a type find, joined by OR; everything where there are none."""
    asked = [pairs for name, pairs in task.filters if name == resource_type]
    if not asked:
        return ANYTHING
    settings, reading = repository.pages.limits, repository.pages.reading
    found: list[Mapping[str, Any]] = []
    for pairs in asked:
        request = parse(resource_type, pairs, repository.definitions, settings, strict=True, reading=reading)
        where = await repository.wanted(request)
        if where.kind == "anything":
            return ANYTHING
        if where.kind == "clause":
            found.append(where.clause)
    if not found:
        return NOTHING
    return Where("clause", {"$or": found} if len(found) > 1 else found[0])


def whose(resource_type: str, docs: Sequence[Doc]) -> tuple[frozenset[str], frozenset[str]]:
    """Return of which patients resources are, and who keeps those that are of some."""
    patients = frozenset(one for doc in docs for one in patients_of(resource_type, doc))
    return patients, frozenset(doc["f"] for doc in docs if "f" in doc and ("p" in doc or "ps" in doc))


def deletions(resource_type: str, docs: Sequence[Doc]) -> bytes:
    """Return Bundles that delete resources, one a line."""
    lines = (
        {
            "resourceType": "Bundle",
            "type": "transaction",
            "entry": [{"request": {"method": "DELETE", "url": f"{resource_type}/{doc['_id']}"}}],
        }
        for doc in docs
    )
    return b"\n".join([*map(json.encode, lines), b""])


def _place(portion: Portion) -> Place | None:
    end = portion.end
    return [(end.last_updated - EPOCH) // MILLISECOND, end.order] if end else None


def _position(place: Place) -> Position | None:
    return Position(EPOCH + place[0] * MILLISECOND, place[1]) if place else None
