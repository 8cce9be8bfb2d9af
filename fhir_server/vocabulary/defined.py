"""What FHIR R4 itself defines: a thousand code systems and as many value sets, which are always at hand."""

import asyncio
from collections.abc import Sequence
from typing import Any

from profiles.definitions.registry import Definitions
from terminology.collection import CODE_SYSTEM, VALUE_SET, WITH_CODES, Providers, Resources
from terminology.concept import Head

Json = dict[str, Any]


class Defined(Resources):
    """The code systems and value sets of R4; its concept maps and supplements are none of them.

    Args:
        definitions: FHIR definitions, whose terminology is read when it is first asked for.
        providers: Keeps the code systems that are made of them.
    """

    def __init__(self, definitions: Definitions, providers: Providers) -> None:
        super().__init__(providers)
        self._definitions = definitions

    async def resources(self, resource_type: str, url: str) -> Sequence[Json]:
        """Return the one of a URL."""
        terminology = await asyncio.to_thread(lambda: self._definitions.terminology)
        known = {CODE_SYSTEM: terminology.code_systems, VALUE_SET: terminology.value_sets}.get(resource_type, {})
        return (known[url],) if url in known else ()

    async def maps_between(self, source: str, target: str) -> Sequence[Json]:
        """Return nothing."""
        return ()

    async def supplements(self, url: str) -> Sequence[Json]:
        """Return nothing."""
        return ()

    async def heads(self) -> Sequence[Head]:
        """Return the code systems of R4 with content."""
        terminology = await asyncio.to_thread(lambda: self._definitions.terminology)
        found = [one for one in terminology.code_systems.values() if one.get("content") in WITH_CODES]
        return tuple([(await self._providers.of(one)).head for one in found])
