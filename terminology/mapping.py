"""The rows of concept maps by code, in both directions, so that a map of 100,000 answers as fast as one of ten."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from terminology.catalogue import groups
from terminology.kept import Kept

Json = dict[str, Any]
MOST_ROWS = 1_000_000
"""Rows of the maps that are kept in order, together; those asked for longest ago are let go of."""


@dataclass(frozen=True, slots=True)
class Group:
    """What a concept map says of the codes of one system in another (R4 ConceptMap.group).

    Attributes:
        source: System of the codes that are translated, empty for any.
        source_version: Version of it, or empty.
        target: System of the translations, empty where none is stated.
        target_version: Version of it, or empty.
        unmapped: What is done with codes that have no row, or nothing.
        elements: The rows, by source code.
        targets: (row, one of its targets), by target code.
    """

    source: str
    source_version: str
    target: str
    target_version: str
    unmapped: Json
    elements: Mapping[str, list[Json]] = field(repr=False)
    targets: Mapping[str, list[tuple[Json, Json]]] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Indexed:
    """One concept map.

    Attributes:
        resource: The ConceptMap.
        canonical: URL and version, the URL alone where there is no version.
        source: Canonical of the value set that the codes are from, or empty.
        target: Canonical of the value set that the translations are from, or empty.
        groups: In the order of the resource.
        rows: Rows of all groups.
    """

    resource: Json = field(repr=False)
    canonical: str
    source: str
    target: str
    groups: tuple[Group, ...]
    rows: int


class Indexes:
    """Keeps the concept maps that are asked for most in order. A map is known by being the same object."""

    def __init__(self) -> None:
        self._kept: Kept[int, Indexed] = Kept(MOST_ROWS)

    def of(self, resource: Json) -> Indexed:
        """Return a ConceptMap by its codes."""
        known = self._kept.get(id(resource))
        if known is not None and known.resource is resource:
            return known
        made = indexed(resource)
        return self._kept.put(id(resource), made, made.rows + 1)


def indexed(resource: Json) -> Indexed:
    """Return a ConceptMap of R4 or R5 by its codes; what is not as the standard has it is left out."""
    found = tuple(_group(row) for row in groups(resource))
    url, version = _text(resource, "url"), _text(resource, "version")
    return Indexed(
        resource=resource,
        canonical=f"{url}|{version}" if url and version else url,
        source=_text(resource, "sourceUri", "sourceCanonical", "sourceScopeUri", "sourceScopeCanonical"),
        target=_text(resource, "targetUri", "targetCanonical", "targetScopeUri", "targetScopeCanonical"),
        groups=found,
        rows=sum(len(group.elements) for group in found),
    )


def _group(row: Mapping[str, Any]) -> Group:
    elements: dict[str, list[Json]] = {}
    targets: dict[str, list[tuple[Json, Json]]] = {}
    for element in rows(row, "element"):
        code = element.get("code")
        if isinstance(code, str):
            elements.setdefault(code, []).append(element)
            for target in rows(element, "target"):
                found = target.get("code")
                if isinstance(found, str):
                    targets.setdefault(found, []).append((element, target))
    source, source_version = _system(row, "source")
    target_system, target_version = _system(row, "target")
    unmapped = row.get("unmapped")
    return Group(
        source,
        source_version,
        target_system,
        target_version,
        unmapped if isinstance(unmapped, dict) else {},
        elements,
        targets,
    )


def rows(node: Mapping[str, Any], name: str) -> Iterator[Json]:
    """Yield the members of an array that are objects."""
    found = node.get(name)
    return (row for row in (found if isinstance(found, list) else ()) if isinstance(row, dict))


def _system(row: Mapping[str, Any], name: str) -> tuple[str, str]:
    """Return system and version: R4 has two members, R5 one canonical."""
    url, _, version = _text(row, name).partition("|")
    return url, version or _text(row, f"{name}Version")


def _text(node: Mapping[str, Any], *names: str) -> str:
    return next((value for name in names if isinstance(value := node.get(name), str)), "")
