"""The definition of a value set, read once from its resource: includes, excludes and what its parameters ask for (R4 ValueSet.compose)."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from terminology.codesystem.provider import Filter
from terminology.kept import Kept

Json = dict[str, Any]

SUPPLEMENT = "http://hl7.org/fhir/StructureDefinition/valueset-supplement"
PARAMETERS = frozenset(
    {
        "http://hl7.org/fhir/StructureDefinition/valueset-expansion-parameter",
        "http://hl7.org/fhir/tools/StructureDefinition/valueset-expansion-parameter",
    }
)
STANDARDS_STATUS = "http://hl7.org/fhir/StructureDefinition/structuredefinition-standards-status"
DEPRECATED = "http://hl7.org/fhir/StructureDefinition/valueset-deprecated"
OPERATOR = "http://hl7.org/fhir/5.0/StructureDefinition/extension-ValueSet.compose.include.filter.op"
MOST_CODES = 1_000_000
"""Listed in the definitions that are kept: large lists are indexed once, not for each code that is asked about."""
SMALL = 100
"""What a definition counts for beside its codes."""


@dataclass(frozen=True, slots=True)
class Part:
    """An include or exclude of a value set.

    Attributes:
        place: Where it stands, such as `include[0]`.
        system: URI of its code system, empty where it only imports value sets.
        version: Of the code system, empty where none is stated.
        concepts: Its listed concepts by code, `None` where it lists none.
        filters: All of which a concept must pass.
        imports: Canonicals of value sets, in all of which a concept must be.
    """

    place: str
    system: str
    version: str
    concepts: Mapping[str, Json] | None
    filters: tuple[Filter, ...]
    imports: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Definition:
    """What a value set consists of.

    Attributes:
        resource: The ValueSet.
        url: Its canonical URL, or empty.
        version: Its version, or empty.
        includes: A concept is in it that is in one of these,
        excludes: and in none of those.
        composed: Whether it has a compose; one that does not is as its expansion lists it.
        inactive: Whether it has concepts that are not to be used any more, `None` where it says nothing.
        listed: What its expansion lists, where it has no compose: codes by system, with versions and rows.
        parameters: Values of the parameters for its expansion, by name.
        supplements: Canonicals of the code system supplements that it depends on.
        language: Of the value set.
        contained: Value sets within the resource, by `#id`.
    """

    resource: Json
    url: str
    version: str
    includes: tuple[Part, ...]
    excludes: tuple[Part, ...]
    composed: bool
    inactive: bool | None
    listed: Mapping[tuple[str, str], Json]
    parameters: Mapping[str, tuple[str, ...]]
    supplements: tuple[str, ...]
    language: str
    contained: Mapping[str, Json]

    @property
    def canonical(self) -> str:
        """URL and version, the URL alone where there is no version."""
        return f"{self.url}|{self.version}" if self.version else self.url

    @property
    def id(self) -> str:
        """Logical id of the resource, or empty."""
        return text(self.resource.get("id"))

    def same(self, other: "Definition") -> bool:
        """Return whether another definition is of the same value set."""
        return self.resource is other.resource or bool(self.canonical and self.canonical == other.canonical)

    @property
    def parts(self) -> tuple[Part, ...]:
        """Includes and excludes."""
        return (*self.includes, *self.excludes)

    def versions(self, system: str) -> frozenset[str]:
        """Return the versions of a code system that its includes state."""
        return frozenset(part.version for part in self.includes if part.system == system and part.version)


class _Same:
    """A resource as a key: the same object, whatever is in it. While it is a key, no other object has its identity."""

    __slots__ = ("resource",)

    def __init__(self, resource: Json) -> None:
        self.resource = resource

    def __hash__(self) -> int:
        return id(self.resource)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Same) and other.resource is self.resource


def definition(resource: Json) -> Definition:
    """Return the definition of a value set.

    Args:
        resource: A ValueSet, which nobody changes from here on. What is not as it should be is left out.
    """
    key = _Same(resource)
    known = _READ.get(key)
    if known is None:
        known = _read(resource)
        codes = len(known.listed) + sum(len(part.concepts or ()) for part in known.parts)
        _READ.put(key, known, SMALL + codes)
    return known


_READ: Kept[_Same, Definition] = Kept(MOST_CODES)


def _read(resource: Json) -> Definition:
    compose = resource.get("compose")
    rows = compose if isinstance(compose, dict) else {}
    inactive = rows.get("inactive")
    contained = {
        f"#{one['id']}": one
        for one in objects(resource.get("contained"))
        if one.get("resourceType") == "ValueSet" and isinstance(one.get("id"), str)
    }
    return Definition(
        resource=resource,
        url=text(resource.get("url")),
        version=text(resource.get("version")),
        includes=tuple(_part(f"include[{at}]", row) for at, row in enumerate(objects(rows.get("include")))),
        excludes=tuple(_part(f"exclude[{at}]", row) for at, row in enumerate(objects(rows.get("exclude")))),
        composed=isinstance(compose, dict),
        inactive=inactive if isinstance(inactive, bool) else None,
        listed={} if isinstance(compose, dict) else dict(_expanded(resource)),
        parameters=_parameters(rows),
        supplements=tuple(_values(resource, SUPPLEMENT)),
        language=text(resource.get("language")),
        contained=contained,
    )


def _part(place: str, row: Json) -> Part:
    listed = row.get("concept")
    concepts = {one["code"]: one for one in objects(listed) if isinstance(one.get("code"), str)}
    filters = tuple(
        Filter(text(one.get("property")), _operator(one), text(one.get("value"))) for one in objects(row.get("filter"))
    )
    imports = row.get("valueSet")
    return Part(
        place,
        text(row.get("system")),
        text(row.get("version")),
        concepts if isinstance(listed, list) and listed else None,
        filters,
        tuple(one for one in (imports if isinstance(imports, list) else ()) if isinstance(one, str)),
    )


def _operator(row: Json) -> str:
    """Return the operator of a filter; those that R4 does not have are stated by an extension, as R5 tells to."""
    primitive = row.get("_op")
    stated = next(_values(primitive, OPERATOR), "") if isinstance(primitive, dict) else ""
    return text(row.get("op")) or stated


def _expanded(resource: Json) -> Iterator[tuple[tuple[str, str], Json]]:
    expansion = resource.get("expansion")
    stack = list(objects(expansion.get("contains")))[::-1] if isinstance(expansion, dict) else []
    while stack:
        row = stack.pop()
        stack.extend(list(objects(row.get("contains")))[::-1])
        if isinstance(row.get("system"), str) and isinstance(row.get("code"), str):
            yield (row["system"], row["code"]), row


def _parameters(compose: Json) -> dict[str, tuple[str, ...]]:
    found: dict[str, tuple[str, ...]] = {}
    for extension in objects(compose.get("extension")):
        if text(extension.get("url")) in PARAMETERS:
            parts = {text(one.get("url")): one for one in objects(extension.get("extension"))}
            name, value = (_value(parts.get(part, {})) for part in ("name", "value"))
            if name:
                found[name] = (*found.get(name, ()), value)
    return found


def _values(element: Json, url: str) -> Iterator[str]:
    return (_value(one) for one in objects(element.get("extension")) if one.get("url") == url)


def _value(extension: Json) -> str:
    value = next((value for key, value in extension.items() if key.startswith("value")), "")
    return str(value).lower() if isinstance(value, bool) else text(value)


def deprecation(listed: Json) -> str:
    """Return the status by which a value set marks one of its listed concepts as not to be used, or nothing."""
    for extension in objects(listed.get("extension")):
        if extension.get("url") == STANDARDS_STATUS and extension.get("valueCode") in {"withdrawn", "deprecated"}:
            return text(extension.get("valueCode"))
        if extension.get("url") == DEPRECATED:
            return "deprecated"
    return ""


def standards_status(resource: Json) -> str:
    """Return `deprecated`, `withdrawn` or the like as the standards-status extension of a resource has it, or nothing."""
    return next(_values(resource, STANDARDS_STATUS), "")


def objects(value: object) -> Iterator[Json]:
    """Yield the objects of a list, nothing of what is no list."""
    return (one for one in (value if isinstance(value, list) else ()) if isinstance(one, dict))


def text(value: object) -> str:
    """Return a text as it is, and nothing for what is none."""
    return value if isinstance(value, str) else ""
