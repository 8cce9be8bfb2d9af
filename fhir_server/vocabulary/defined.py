"""What FHIR R4 itself defines: a thousand code systems and value sets, and the maps between them, which are always at hand."""

import asyncio
from collections.abc import Sequence
from typing import Any

from profiles.definitions.artifact import Terminology
from profiles.definitions.registry import Definitions
from terminology.codesystem.statements import outline
from terminology.collection import (
    CODE_SYSTEM,
    CONCEPT_MAP,
    VALUE_SET,
    WITH_CODES,
    Providers,
    Resources,
    between,
    supplementing,
)
from terminology.concept import Head

Json = dict[str, Any]


class Defined(Resources):
    """The code systems, value sets and concept maps of R4.

    Args:
        definitions: FHIR definitions, whose terminology is read when it is first asked for.
        providers: Keeps the code systems that are made of them.
    """

    def __init__(self, definitions: Definitions, providers: Providers) -> None:
        super().__init__(providers)
        self._definitions = definitions
        self._read: Terminology | None = None
        self._heads: tuple[Head, ...] | None = None

    async def resources(self, resource_type: str, url: str) -> Sequence[Json]:
        """Return the one of a URL."""
        terminology = await self._terminology()
        known = {
            CODE_SYSTEM: terminology.code_systems,
            VALUE_SET: terminology.value_sets,
            CONCEPT_MAP: terminology.concept_maps,
        }[resource_type]
        return (known[url],) if url in known else ()

    async def maps_between(self, source: str, target: str) -> Sequence[Json]:
        """Return the concept maps from one code system to another."""
        terminology = await self._terminology()
        return tuple(one for one in terminology.concept_maps.values() if between(one, source, target))

    async def supplements(self, url: str) -> Sequence[Json]:
        """Return the supplements of a code system."""
        terminology = await self._terminology()
        return tuple(one for one in terminology.code_systems.values() if supplementing(one, url))

    async def heads(self) -> Sequence[Head]:
        """Return the code systems of R4 with content."""
        if self._heads is None:
            systems = (await self._terminology()).code_systems.values()
            found = [one for one in systems if one.get("content") in WITH_CODES]
            self._heads = await asyncio.to_thread(lambda: tuple(map(outline, found)))
        return self._heads

    async def _terminology(self) -> Terminology:
        """Return what R4 defines; it is read from disk once, which takes a quarter of a second."""
        if self._read is None:
            self._read = await asyncio.to_thread(lambda: self._definitions.terminology)
        return self._read
