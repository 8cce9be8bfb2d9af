"""What the installed packages define: their code systems, value sets and concept maps, read when they are asked for."""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from profiles.packages.library import Found, Library
from terminology.codesystem.statements import outline
from terminology.collection import CODE_SYSTEM, CONCEPT_MAP, WITH_CODES, Providers, Resources, between, supplementing
from terminology.concept import Head
from terminology.kept import Kept

Json = dict[str, Any]

MOST_BYTES = 32 * 2**20
"""Of compressed resources that are kept read."""


class Packaged(Resources):
    """The packages that are installed now.

    Args:
        library: Gives them.
        providers: Keeps the code systems that are made of their resources.
    """

    def __init__(self, library: Callable[[], Library], providers: Providers) -> None:
        super().__init__(providers)
        self._library = library
        self._read: Kept[str, Json] = Kept(MOST_BYTES)
        self._of: Library | None = None
        self._heads: tuple[Head, ...] | None = None
        self._supplements: dict[str, list[Found]] | None = None

    async def resources(self, resource_type: str, url: str) -> Sequence[Json]:
        """Return those of a URL, of each version one."""
        library = self._now()
        newest: dict[str, Found] = {}
        for found in library.versions(url, resource_type):
            newest.setdefault(found.entry.version, found)
        return tuple([await self._resource(found) for found in newest.values()])

    async def maps_between(self, source: str, target: str) -> Sequence[Json]:
        """Return the concept maps from one code system to another."""
        found = [await self._resource(one) for one in self._now().all(CONCEPT_MAP)]
        return tuple(one for one in found if between(one, source, target))

    async def supplements(self, url: str) -> Sequence[Json]:
        """Return the supplements of a code system."""
        library = self._now()
        known = self._supplements
        if known is None:
            known = {}
            for one in library.all(CODE_SYSTEM):
                resource = await self._resource(one)
                if supplementing(resource, of := str(resource.get("supplements", "")).partition("|")[0]):
                    known.setdefault(of, []).append(one)
            if library is self._of:
                self._supplements = known
        return tuple([await self._resource(one) for one in known.get(url, ())])

    async def heads(self) -> Sequence[Head]:
        """Return the code systems with content; looking at thousands of them takes a second, once."""
        library = self._now()
        if self._heads is None:
            made = await asyncio.to_thread(lambda: tuple(_outlines(library)))
            if library is not self._of:
                return made
            self._heads = made
        return self._heads

    def _now(self) -> Library:
        library = self._library()
        if library is not self._of:
            self._of, self._heads, self._supplements = library, None, None
        return library

    async def _resource(self, found: Found) -> Json:
        """Return the resource of a definition, the same object as long as it is kept; a file never changes."""
        key = f"{found.package.sha256}/{found.entry.file}"
        known = self._read.get(key)
        if known is not None:
            return known
        size = len(found.entry.packed)
        read = await asyncio.to_thread(found.entry.read)
        return self._read.put(key, {"version": found.entry.version, **read}, size + 1_000)


def _outlines(library: Library) -> Iterator[Head]:
    """Yield what is said of each code system with content; of what is only listed nothing is kept."""
    for found in library.all(CODE_SYSTEM):
        resource = found.entry.read()
        if resource.get("content") in WITH_CODES:
            yield outline({"version": found.entry.version, **resource})
