"""Catalogues: where code systems, value sets and concept maps are found by their canonical URLs.

A catalogue answers with every version that it has; which of them is meant is for the version parameters of a request to say.
Catalogues are laid over each other: what a request brings (`tx-resource`), what is stored, releases, packages, R4 itself.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol

from terminology.codesystem.provider import CodeSystemProvider
from terminology.concept import Head

Json = dict[str, Any]


class Catalogue(Protocol):
    """What is at hand."""

    async def code_systems(self, url: str) -> Sequence[CodeSystemProvider]:
        """Return all versions of a code system with content, supplements left out."""
        ...

    async def supplements(self, url: str) -> Sequence[Json]:
        """Return the CodeSystem resources that supplement a code system (`content` = supplement), of all its versions."""
        ...

    async def code_system_resources(self, url: str) -> Sequence[Json]:
        """Return all CodeSystem resources of a URL as far as they are here as resources, supplements and bare heads too."""
        ...

    async def value_sets(self, url: str) -> Sequence[Json]:
        """Return all versions of a value set, as ValueSet resources; implicit ones are not among them."""
        ...

    async def concept_maps(self, url: str) -> Sequence[Json]:
        """Return all versions of a concept map, as ConceptMap resources."""
        ...

    async def maps_between(self, source: str, target: str) -> Sequence[Json]:
        """Return the ConceptMap resources with a group from one code system to another; empty stands for any."""
        ...

    async def heads(self) -> Sequence[Head]:
        """Return what code systems there are with content, for capability statements and lists."""
        ...

    async def systems_of(self, value_set: str) -> Sequence[str]:
        """Return the code systems that say of a value set (URL without version) that it has all of their codes."""
        ...


class CodeSystems(ABC):
    """A catalogue of code systems that are no resources; it has nothing else."""

    @abstractmethod
    async def code_systems(self, url: str) -> Sequence[CodeSystemProvider]:
        """Return all versions of a code system."""

    @abstractmethod
    async def heads(self) -> Sequence[Head]:
        """Return what is said of each version."""

    async def systems_of(self, value_set: str) -> Sequence[str]:
        """Return the code systems of which a value set has all codes."""
        return whole(await self.heads(), value_set)

    async def supplements(self, url: str) -> Sequence[Json]:
        """Return nothing."""
        return ()

    async def code_system_resources(self, url: str) -> Sequence[Json]:
        """Return nothing."""
        return ()

    async def value_sets(self, url: str) -> Sequence[Json]:
        """Return nothing."""
        return ()

    async def concept_maps(self, url: str) -> Sequence[Json]:
        """Return nothing."""
        return ()

    async def maps_between(self, source: str, target: str) -> Sequence[Json]:
        """Return nothing."""
        return ()


class Layered:
    """Several catalogues as one. Of one URL and version, the first that has it counts.

    Args:
        layers: The most particular first.
    """

    def __init__(self, *layers: Catalogue) -> None:
        self._layers = layers

    async def code_systems(self, url: str) -> Sequence[CodeSystemProvider]:
        """Return all versions of a code system with content."""
        found: dict[str, CodeSystemProvider] = {}
        for layer in self._layers:
            for one in await layer.code_systems(url):
                found.setdefault(one.head.version, one)
        return tuple(found.values())

    async def supplements(self, url: str) -> Sequence[Json]:
        """Return the supplements of a code system."""
        return _distinct([await layer.supplements(url) for layer in self._layers])

    async def code_system_resources(self, url: str) -> Sequence[Json]:
        """Return all CodeSystem resources of a URL."""
        return _distinct([await layer.code_system_resources(url) for layer in self._layers])

    async def value_sets(self, url: str) -> Sequence[Json]:
        """Return all versions of a value set."""
        return _distinct([await layer.value_sets(url) for layer in self._layers])

    async def concept_maps(self, url: str) -> Sequence[Json]:
        """Return all versions of a concept map."""
        return _distinct([await layer.concept_maps(url) for layer in self._layers])

    async def maps_between(self, source: str, target: str) -> Sequence[Json]:
        """Return the concept maps from one code system to another."""
        return _distinct([await layer.maps_between(source, target) for layer in self._layers])

    async def heads(self) -> Sequence[Head]:
        """Return what code systems there are with content."""
        found: dict[str, Head] = {}
        for layer in self._layers:
            for head in await layer.heads():
                found.setdefault(head.canonical, head)
        return tuple(found.values())

    async def systems_of(self, value_set: str) -> Sequence[str]:
        """Return the code systems of which a value set has all codes."""
        return tuple(dict.fromkeys([one for layer in self._layers for one in await layer.systems_of(value_set)]))


def _distinct(layers: Iterable[Sequence[Json]]) -> Sequence[Json]:
    found: dict[tuple[str, str], Json] = {}
    for layer in layers:
        for one in layer:
            found.setdefault((str(one.get("url")), str(one.get("version", ""))), one)
    return tuple(found.values())


def whole(heads: Iterable[Head], value_set: str) -> Sequence[str]:
    """Return the code systems among some that say of a value set that it has all of their codes."""
    return tuple(dict.fromkeys(one.url for one in heads if one.value_set.partition("|")[0] == value_set != ""))


def groups(concept_map: Json) -> Iterable[Mapping[str, Any]]:
    """Yield the groups of a ConceptMap, as far as they are objects."""
    rows = concept_map.get("group")
    return (row for row in (rows if isinstance(rows, list) else ()) if isinstance(row, dict))
