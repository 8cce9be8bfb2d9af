"""One batch of lines, from bytes to what became of it."""

import asyncio
import hashlib
import re
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from itertools import groupby
from typing import Any, Protocol

import msgspec

from fhir_server.audit.footprint import Footprint
from fhir_server.model import json
from fhir_server.model.errors import BadRequest, FhirError
from fhir_server.model.outcome import outcome
from fhir_server.model.request import FhirResponse
from fhir_server.repository import Repository
from fhir_server.repository.loading import AT_A_STRETCH, Line, Loaded, load

AGAIN = 2.0
"""Seconds for which it holds what somebody may do."""

MENDABLE = frozenset({404, 409, 412, 422})
"""Statuses of a refusal that another resource may have caused: a missing reference, a conflict."""

OK, CREATED = 200, 201

REFERENCE = re.compile(rb'"reference"\s*:\s*"([A-Z][A-Za-z]+/[A-Za-z0-9.-]{1,64})"')
"""References to what may be in the same file."""

CONDITIONAL = re.compile(rb'"reference"\s*:\s*"[A-Z][A-Za-z]+\?')
"""What refers to a resource by a search, which only transactions may."""


class Task(msgspec.Struct, frozen=True):
    """A batch to store.

    Attributes:
        number: What it is called.
        source: What names its file, the same whenever it is sent.
        places: The number of each line in the file.
        data: The lines.
    """

    number: int
    source: str
    places: Sequence[int]
    data: bytes

    def lines(self) -> list[tuple[int, bytes]]:
        """Return the lines that are not blank, each with its number."""
        found = zip(self.places, self.data.split(b"\n"), strict=False)
        return [(place, line) for place, line in found if line.strip()]

    @property
    def conditional(self) -> frozenset[int]:
        """Numbers of the lines that refer to something by a search."""
        if not CONDITIONAL.search(self.data):
            return frozenset()
        return frozenset(place for place, line in self.lines() if CONDITIONAL.search(line))


class Refused(msgspec.Struct, frozen=True):
    """A line that was not stored.

    Attributes:
        place: Its number.
        status: Why, as an HTTP status.
        key: `Type/id`, as far as it could be read.
        outcome: Why, as an OperationOutcome.
    """

    place: int
    status: int
    key: str
    outcome: dict[str, Any]

    @property
    def is_hopeful(self) -> bool:
        """Whether it may be stored once others are."""
        return self.status in MENDABLE


class Done(msgspec.Struct, frozen=True):
    """What became of a batch.

    Attributes:
        number: What it is called.
        created: How many are new, by type.
        updated: How many have a new version, by type.
        unchanged: How many were there already just so.
        refused: What was not stored.
    """

    number: int
    created: Mapping[str, int] = {}
    updated: Mapping[str, int] = {}
    unchanged: int = 0
    refused: Sequence[Refused] = ()


Gate = Callable[[Sequence[str], Sequence[str]], Awaitable[None]]
"""Is told the instances (`Type/id`) that a batch writes and refers to, and returns when no earlier batch will write one of them."""


class Begin(msgspec.Struct, frozen=True, tag="begin"):
    """What another process that stores lines is told first: how to work, and for whom.

    Attributes:
        settings: Pickled: they have secrets, which no text form of them shows.
        facility: Organization that keeps what is created, empty for the configured one; of the program's own work.
        mandate: Of whoever asked; empty for the program's own work.
        since: When it was given.
        without: Types whose indexes are made when all is stored.
    """

    settings: bytes
    facility: str = ""
    mandate: Mapping[str, Any] = {}
    since: datetime | None = None
    without: Sequence[str] = ()


class Access(Protocol):
    """What loading is done with, and for whom."""

    @property
    def elsewhere(self) -> Begin:
        """What another process has to know to do the same."""
        ...

    async def repository(self) -> Repository:
        """Return the repository of now, within what may be reached now.

        Raises:
            Forbidden: Nothing may be reached any more.
        """
        ...

    def begin(self, repository: Repository) -> Footprint | None:
        """Return what begins with a unit of work and becomes its row in the trail."""
        ...

    async def post(self, repository: Repository, bundle: dict[str, Any]) -> FhirResponse:
        """Return the answer to a transaction that is sent within what the repository reaches."""
        ...


class Alone:
    """Stores batches, in this process.

    Args:
        access: For whom.

    Attributes:
        width: Batches at the same time: while one is being written, the next is checked.
    """

    width = 3

    def __init__(self, access: Access) -> None:
        self._access = access
        self._repository: Repository | None = None
        self._asked = 0.0

    async def store(self, task: Task, gate: Gate) -> Done:
        """Store a batch; return what became of it.

        Raises:
            Forbidden: Who asked for it may not go on.
            Unavailable: The database cannot be reached.
        """
        lines, refused = await _read(task)
        await gate(list({line.name for line in lines}), list({*map(bytes.decode, REFERENCE.findall(task.data))}))
        repository = await self._within()
        loaded, searching = Loaded(), task.conditional
        for conditional, several in groupby(lines, lambda line: line.place in searching):
            if conditional:
                refused += [one for line in several if (one := await self._posted(repository, line, loaded))]
            else:
                loaded.add(await load(repository, [*several], lambda: self._access.begin(repository)))
        refused += [_refused(line.place, line.name, error) for line, error in loaded.refused]
        refused.sort(key=lambda one: one.place)
        return Done(task.number, loaded.created, loaded.updated, loaded.unchanged, refused)

    async def _posted(self, repository: Repository, line: Line, loaded: Loaded) -> Refused | None:
        """Send a line that only a transaction can store, as one of its own; return why it was refused."""
        name, resource_id = line.key
        request = {"method": "PUT", "url": f"{name}/{resource_id}"}
        entry = {"resource": {**line.resource, "id": resource_id}, "request": request}
        bundle = {"resourceType": "Bundle", "type": "transaction", "entry": [entry]}
        answer = await self._access.post(repository, bundle)
        if answer.status != OK:
            return Refused(line.place, answer.status, f"{name}/{resource_id}"[:128], answer.resource)
        created = answer.resource["entry"][0]["response"]["status"].startswith(str(CREATED))
        (loaded.created if created else loaded.updated)[name] += 1
        return None

    async def _within(self) -> Repository:
        if self._repository is None or time.monotonic() - self._asked > AGAIN:
            self._repository, self._asked = await self._access.repository(), time.monotonic()
        return self._repository


async def _read(task: Task) -> tuple[list[Line], list[Refused]]:
    lines, refused = list[Line](), list[Refused]()
    for number, (place, data) in enumerate(task.lines(), 1):
        if number % (4 * AT_A_STRETCH) == 0:
            await asyncio.sleep(0)
        try:
            resource = json.parse(data, "line")
        except BadRequest as error:
            refused.append(_refused(place, "", error))
            continue
        spare = hashlib.blake2b(f"{task.source}\n{place}".encode(), digest_size=16).hexdigest()
        lines.append(Line(place, resource, spare))
    return lines, refused


def _refused(place: int, key: str, error: FhirError) -> Refused:
    return Refused(place, error.status, key[:128], outcome(error.issues))
