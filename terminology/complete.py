"""`Complete`: a catalogue with what is understood without being stated: implicit value sets, and what systems have of their own."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from terminology.catalogue import Catalogue
from terminology.codesystem import loinc, snomed
from terminology.codesystem.provider import CodeSystemProvider
from terminology.concept import Head
from terminology.valueset.implicit import implicit

Json = dict[str, Any]

PARTICULAR: Mapping[str, Callable[[CodeSystemProvider], CodeSystemProvider]] = {
    snomed.URL: snomed.Snomed,
    loinc.URL: loinc.Loinc,
}
"""What adds the filters and expressions of a code system's own, by its system URI."""


class Complete:
    """A catalogue over another.

    Args:
        catalogue: What is stated.
    """

    def __init__(self, catalogue: Catalogue) -> None:
        self._stated = catalogue

    async def code_systems(self, url: str) -> Sequence[CodeSystemProvider]:
        """Return all versions of a code system, with the filters and expressions of its own."""
        found = await self._stated.code_systems(url)
        particular = PARTICULAR.get(url)
        return found if particular is None else tuple([particular(one) for one in found])

    async def supplements(self, url: str) -> Sequence[Json]:
        """Return the supplements of a code system."""
        return await self._stated.supplements(url)

    async def code_system_resources(self, url: str) -> Sequence[Json]:
        """Return all CodeSystem resources of a URL."""
        return await self._stated.code_system_resources(url)

    async def value_sets(self, url: str) -> Sequence[Json]:
        """Return all versions of a value set; where there is none, the one that the URL stands for."""
        found = await self._stated.value_sets(url)
        if found:
            return found
        understood = await implicit(url, self._stated)
        return () if understood is None else (understood,)

    async def concept_maps(self, url: str) -> Sequence[Json]:
        """Return all versions of a concept map."""
        return await self._stated.concept_maps(url)

    async def maps_between(self, source: str, target: str) -> Sequence[Json]:
        """Return the concept maps from one code system to another."""
        return await self._stated.maps_between(source, target)

    async def heads(self) -> Sequence[Head]:
        """Return what code systems there are with content."""
        return await self._stated.heads()

    async def systems_of(self, value_set: str) -> Sequence[str]:
        """Return the code systems of which a value set has all codes."""
        return await self._stated.systems_of(value_set)
