"""What users stored: CodeSystem, ValueSet and ConceptMap resources, as far as the caller may see them."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from fhir_server.model import json
from fhir_server.model.errors import Forbidden, InvalidParameter
from fhir_server.model.request import Pairs
from fhir_server.model.stored import Stored as Version
from fhir_server.repository import Repository
from terminology.codesystem.statements import outline
from terminology.collection import CODE_SYSTEM, CONCEPT_MAP, WITH_CODES, Providers, Resources
from terminology.concept import Head
from terminology.kept import Kept

Json = dict[str, Any]

MOST_BYTES = 64 * 2**20
"""Of JSON that a process keeps read."""
MOST_VERSIONS = 100
"""Of one URL."""
MOST_MAPS = 500
"""Concept maps between two code systems."""
MOST_SYSTEMS = 1_000
"""Code systems that are listed."""


class Decoded:
    """The resources that were read last, by their very bytes, for all requests of a process."""

    def __init__(self) -> None:
        self._kept: Kept[bytes, Json] = Kept(MOST_BYTES)

    def of(self, version: Version) -> Json:
        """Return the resource of a version, which nobody changes: the same object as long as it is kept."""
        known = self._kept.get(version.body)
        return (
            known if known is not None else self._kept.put(version.body, json.decode(version.body), len(version.body))
        )


class Stored(Resources):
    """The stored resources that a caller may see, for one request: what was asked once stays as it was answered.

    Args:
        repository: Of the caller.
        decoded: Keeps what was read.
        providers: Keeps the code systems that are made of them.
    """

    def __init__(self, repository: Repository, decoded: Decoded, providers: Providers) -> None:
        super().__init__(providers)
        # Definitions are nobody's record: the trail tells of the request, not of each that it rests on.
        self._repository = replace(repository, footprint=None)
        self._decoded = decoded
        self._known: dict[tuple[str, Pairs], Sequence[Json]] = {}

    async def resources(self, resource_type: str, url: str) -> Sequence[Json]:
        """Return those of a URL."""
        return await self._found(resource_type, (("url", _literal(url)),), MOST_VERSIONS)

    async def supplements(self, url: str) -> Sequence[Json]:
        """Return the supplements of a code system."""
        return await self._found(CODE_SYSTEM, (("supplements", _literal(url)),), MOST_VERSIONS)

    async def maps_between(self, source: str, target: str) -> Sequence[Json]:
        """Return the concept maps from one code system to another."""
        asked = (("source-system", source), ("target-system", target))
        return await self._found(CONCEPT_MAP, tuple((name, _literal(one)) for name, one in asked if one), MOST_MAPS)

    async def heads(self) -> Sequence[Head]:
        """Return the stored code systems with content."""
        found = await self._found(CODE_SYSTEM, (("content-mode", ",".join(sorted(WITH_CODES))),), MOST_SYSTEMS)
        return tuple(map(outline, found))

    async def systems_of(self, value_set: str) -> Sequence[str]:
        """Return nothing: no search finds stored code systems by it. Their value sets are there when they are stored."""
        return ()

    async def _found(self, resource_type: str, pairs: Pairs, most: int) -> Sequence[Json]:
        known = self._known.get((resource_type, pairs))
        if known is None:
            known = self._known[resource_type, pairs] = await self._asked(resource_type, pairs, most)
        return known

    async def _asked(self, resource_type: str, pairs: Pairs, most: int) -> Sequence[Json]:
        if not all(value.strip() for _, value in pairs):
            # An empty value is no condition to a search.
            return ()
        try:
            found = await self._repository.meant(resource_type, pairs, most)
        except (Forbidden, InvalidParameter):
            # What may not be seen, and what can be no URL, is not there.
            return ()
        return tuple(self._decoded.of(one) for one in found)


def _literal(value: str) -> str:
    """Return a value as a search parameter has it, in which `,`, `|` and `$` mean something."""
    return "".join(f"\\{character}" if character in "\\,|$" else character for character in value)
