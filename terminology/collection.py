"""Catalogues over resources: those of a request in memory, and the ground on which others that find resources are built."""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from terminology.catalogue import groups, whole
from terminology.codesystem.listed import Listed
from terminology.codesystem.provider import CodeSystemProvider
from terminology.concept import Head
from terminology.kept import Kept

Json = dict[str, Any]

CODE_SYSTEM, VALUE_SET, CONCEPT_MAP = "CodeSystem", "ValueSet", "ConceptMap"
WITH_CODES = frozenset({"complete", "fragment", "example"})
"""`CodeSystem.content` of what has codes of its own; a supplement has them for another, `not-present` has none."""

MOST_CONCEPTS = 2_000_000
"""Of the code systems that a process keeps in memory because they were asked for."""
LARGE = 2_000
"""Concepts that take longer to arrange than other requests should wait."""


class Providers:
    """The code systems that were made of resources, for all requests of a process."""

    def __init__(self) -> None:
        self._kept: Kept[int, tuple[Json, Listed]] = Kept(MOST_CONCEPTS)

    async def of(self, resource: Json) -> Listed:
        """Return the code system of a CodeSystem resource, which nobody changes."""
        known = self._kept.get(id(resource))
        if known is not None and known[0] is resource:
            return known[1]
        count = sum(1 for _ in concepts(resource))
        made = await asyncio.to_thread(Listed, resource) if count > LARGE else Listed(resource)
        # The resource is kept with it: while it lives, no other has its identity.
        self._kept.put(id(resource), (resource, made), count + 50)
        return made


class Resources(ABC):
    """A catalogue that finds resources; what it finds must be the same objects each time, or be made for one request.

    Args:
        providers: Keeps the code systems that are made of them.
    """

    def __init__(self, providers: Providers | None = None) -> None:
        self._providers = providers or Providers()

    @abstractmethod
    async def resources(self, resource_type: str, url: str) -> Sequence[Json]:
        """Return the resources of a type with a canonical URL (without version)."""

    @abstractmethod
    async def maps_between(self, source: str, target: str) -> Sequence[Json]:
        """Return the ConceptMap resources with a group from one code system to another; empty stands for any."""

    @abstractmethod
    async def heads(self) -> Sequence[Head]:
        """Return what code systems there are with content."""

    @abstractmethod
    async def supplements(self, url: str) -> Sequence[Json]:
        """Return the CodeSystem resources that supplement a code system."""

    async def systems_of(self, value_set: str) -> Sequence[str]:
        """Return the code systems of which a value set has all codes."""
        return whole(await self.heads(), value_set)

    async def code_systems(self, url: str) -> Sequence[CodeSystemProvider]:
        """Return all versions of a code system with content."""
        found = await self.resources(CODE_SYSTEM, url)
        return tuple([await self._providers.of(one) for one in found if str(one.get("content")) in WITH_CODES])

    async def code_system_resources(self, url: str) -> Sequence[Json]:
        """Return all CodeSystem resources of a URL."""
        return await self.resources(CODE_SYSTEM, url)

    async def value_sets(self, url: str) -> Sequence[Json]:
        """Return all versions of a value set."""
        return await self.resources(VALUE_SET, url)

    async def concept_maps(self, url: str) -> Sequence[Json]:
        """Return all versions of a concept map."""
        return await self.resources(CONCEPT_MAP, url)


class Collection(Resources):
    """A catalogue over resources in memory.

    Args:
        resources: CodeSystems, ValueSets and ConceptMaps; others are left aside.
        providers: Keeps the code systems that are made of them.
    """

    def __init__(self, resources: Iterable[Json] = (), providers: Providers | None = None) -> None:
        super().__init__(providers)
        self._all = tuple(resources)
        self._by_url: dict[tuple[str, str], list[Json]] = {}
        for one in self._all:
            self._by_url.setdefault((str(one.get("resourceType")), str(one.get("url"))), []).append(one)

    async def resources(self, resource_type: str, url: str) -> Sequence[Json]:
        """Return the resources of a type with a canonical URL."""
        return tuple(self._by_url.get((resource_type, url), ()))

    async def supplements(self, url: str) -> Sequence[Json]:
        """Return the CodeSystem resources that supplement a code system."""
        return tuple(one for one in self._of(CODE_SYSTEM) if supplementing(one, url))

    async def maps_between(self, source: str, target: str) -> Sequence[Json]:
        """Return the ConceptMap resources with a group from one code system to another; empty stands for any."""
        return tuple(one for one in self._of(CONCEPT_MAP) if between(one, source, target))

    async def heads(self) -> Sequence[Head]:
        """Return what code systems there are with content."""
        found = [one for one in self._of(CODE_SYSTEM) if str(one.get("content")) in WITH_CODES]
        return tuple([(await self._providers.of(one)).head for one in found])

    def _of(self, resource_type: str) -> Iterator[Json]:
        return (one for one in self._all if one.get("resourceType") == resource_type)


def concepts(node: Json) -> Iterator[Json]:
    """Yield the concepts of a CodeSystem, each before those within it."""
    waiting = [iter(_rows(node))]
    while waiting:
        row = next(waiting[-1], None)
        if row is None:
            waiting.pop()
        else:
            yield row
            waiting.append(iter(_rows(row)))


def supplementing(code_system: Json, url: str) -> bool:
    """Return whether a CodeSystem resource supplements a code system."""
    stated = code_system.get("supplements")
    return code_system.get("content") == "supplement" and isinstance(stated, str) and stated.partition("|")[0] == url


def between(concept_map: Json, source: str, target: str) -> bool:
    """Return whether a ConceptMap resource has a group from one code system to another; empty stands for any."""
    return any(
        (not source or row.get("source") == source) and (not target or row.get("target") == target)
        for row in groups(concept_map)
    )


def _rows(node: Json) -> Sequence[Json]:
    rows = node.get("concept")
    return [row for row in rows if isinstance(row, dict)] if isinstance(rows, list) else []
