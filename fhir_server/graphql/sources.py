"""Where the resources of a query come from: the repository of the caller, in batches and within a budget."""

import asyncio
from collections.abc import Sequence
from time import monotonic
from typing import Any

from msgspec.structs import replace

from fhir_server.model import json, reference
from fhir_server.model.background import ended
from fhir_server.model.errors import BadRequest, NotFound, TooCostly
from fhir_server.repository import Repository
from fhir_server.repository.pages import SearchPage
from fhir_server.search.parse import CURSOR, parse
from fhir_server.settings import Search

MOST_RESOURCES = 5_000
MOST_SEARCHES = 200
MOST_VALUES = 200_000
MOST_FILTERED = 5_000
"""Elements that FHIRPath is asked of."""
SECONDS = 15.0
AT_ONCE = 4
BATCH = 500

Resource = dict[str, Any]
Key = tuple[str, str]


class Budget:
    """What is left of what a query may cost.

    Args:
        values: Values that it may have; `MOST_VALUES` by default.
        seconds: How long it may take; `SECONDS` by default.
    """

    def __init__(self, values: int | None = None, seconds: float | None = None) -> None:
        self._left = {
            "resources": MOST_RESOURCES,
            "searches": MOST_SEARCHES,
            "values": MOST_VALUES if values is None else values,
            "elements with fhirpath": MOST_FILTERED,
        }
        self._seconds = SECONDS if seconds is None else seconds
        self._until = monotonic() + self._seconds

    def spend(self, what: str, number: int = 1) -> None:
        """Take off what is used.

        Raises:
            TooCostly: It is more than there is, or it takes too long.
        """
        self._left[what] -= number
        if self._left[what] < 0:
            raise TooCostly(
                f"The query needs more {what} than one query may have. Ask for less: smaller lists (_count), or fewer of them.",
                expression="http.query",
            )
        if monotonic() > self._until:
            raise TooCostly(
                f"The query takes more than {self._seconds:.0f} seconds. Ask for less.", expression="http.query"
            )


class Sources:
    """Reads and searches for one query.

    Args:
        repository: The caller's.
        settings: Limits of searches.
        base: The service base URL.
    """

    def __init__(self, repository: Repository, settings: Search, base: str) -> None:
        self.base = base
        self.budget = Budget()
        self._repository = repository
        self._settings = settings
        self._known: dict[Key, asyncio.Future[Resource | None]] = {}
        self._waiting: dict[str, list[str]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._width = asyncio.Semaphore(AT_ONCE)

    async def read(self, resource_type: str, resource_id: str) -> Resource:
        """Return an instance.

        Raises:
            Forbidden: The type may not be read.
            NotFound: There is none that the caller may see.
        """
        self._repository.rights.require([resource_type], "r")
        self.budget.spend("resources")
        async with self._width:
            found: Resource = json.decode((await self._repository.read(resource_type, resource_id)).body)
        return found

    async def led(self, text: str) -> Resource | None:
        """Return what a literal reference leads to, where that is here and the caller may see it."""
        known = reference.local(text, self.base)
        if known is None or known.resource_type not in self._repository.definitions.resource_types:
            return None
        key = (known.resource_type, known.id)
        if key not in self._known:
            self.budget.spend("resources")
            self._known[key] = asyncio.get_running_loop().create_future()
            waiting = self._waiting.setdefault(key[0], [])
            waiting.append(key[1])
            if len(waiting) == 1:
                task = asyncio.create_task(self._fetch(key[0]))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)
        return await self._known[key]

    async def _fetch(self, resource_type: str) -> None:
        """Read what has gathered of a type while others were at it."""
        await asyncio.sleep(0)
        ids = self._waiting.pop(resource_type, [])
        found: dict[str, Resource] = {}
        try:
            for start in range(0, len(ids), BATCH):
                async with self._width:
                    rows = await self._repository.led(resource_type, ids[start : start + BATCH])
                found |= {one.id: json.decode(one.body) for one in rows}
        except BaseException as error:  # whoever waits for it learns of it
            for one in ids:
                if not self._known[resource_type, one].done():
                    self._known[resource_type, one].set_exception(error)
            raise
        for one in ids:
            self._known[resource_type, one].set_result(found.get(one))

    async def search(self, resource_type: str, pairs: Sequence[tuple[str, str]], offset: int) -> SearchPage:
        """Return a page of a search, of whose first matches some are passed over.

        Raises:
            FhirError: The type may not be searched, or a parameter is not valid.
        """
        self.budget.spend("searches")
        repository = self._repository
        cursor = any(name == CURSOR for name, _ in pairs)
        request = parse(
            resource_type,
            tuple(pairs),
            repository.definitions,
            self._settings,
            strict=True,
            reading=repository.pages.reading,
        )
        if offset < 0 or (offset and (cursor or request.count + offset > self._settings.max_count)):
            raise BadRequest(
                f"_offset is from 0 to {self._settings.max_count}, together with _count, and not beside _cursor. To go further, follow "
                "'next' of a connection, with _cursor.",
                expression="http._offset",
            )
        if offset:
            request = replace(request, count=request.count + offset)
        async with self._width:
            page = await repository.search(request, self.base)
        self.budget.spend("resources", len(page.matches))
        return replace(page, matches=page.matches[offset:]) if offset else page

    def absence(self, text: str) -> NotFound:
        """Return what is said of a reference that leads to nothing the caller may see."""
        return NotFound(f"'{text[:200]}' leads to nothing that is here and may be seen. Ask with optional: true.")

    async def done(self) -> None:
        """Return when nothing is read any more."""
        await ended(*self._tasks)
        for future in self._known.values():
            if future.done() and not future.cancelled():
                future.exception()  # has been told to whoever waited
            else:
                future.cancel()
