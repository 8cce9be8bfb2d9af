"""Values of all search parameters of a resource in one walk (R4 3.1.1.4).

The steps of each expression are resolved against the definitions into routes of JSON keys and tests, and the routes of
all parameters of a type are grown into one trie. `Extractor.values` walks resource and trie together: what no parameter
asks for is never looked at.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, TypeAlias

from fhir_server.search.evaluated import Evaluated, evaluated
from fhir_server.search.fhirpath import Cast, Equals, Extended, Item, Member, Resolves, Step, Uncompilable, parse
from profiles.definitions.model import SearchParameter
from profiles.definitions.registry import Definitions

MOST_WAYS = 2000
"""Through choices of choices; `extension.value` alone has 50."""

Test: TypeAlias = Item | Resolves | Equals | Extended | Evaluated
"""A step of a route that is called with a value and the resource, and returns the values that go on."""

Pair: TypeAlias = tuple[str, Any]
"""FHIR type and JSON value: `("dateTime", "2020-01")`, `("CodeableConcept", {…})`."""


def _deceased(patient: Mapping[str, Any]) -> Pair:
    return "boolean", "deceasedDateTime" in patient or patient.get("deceasedBoolean") is True


COMPUTED: Mapping[str, Callable[[Mapping[str, Any]], Pair]] = {
    # A truth value about the resource, not a path into it; every Patient has one.
    "Patient.deceased.exists() and Patient.deceased != false": _deceased,
}
"""Expressions outside the subset: they yield one value of any resource."""


@dataclass(frozen=True, slots=True)
class Selection:
    """One way from a resource to values of a parameter.

    Attributes:
        route: JSON keys, and tests between them.
        element: The element reached; `Observation.value` for every member of the choice.
        type: FHIR type of the values.
        repeats: Whether there may be several values.
        binding: Canonical URL of the required value set of the element reached, else empty.
    """

    route: tuple[str | Test, ...]
    element: str
    type: str
    repeats: bool = False
    binding: str = ""


def selections(resource_type: str, parameter: SearchParameter, definitions: Definitions) -> tuple[Selection, ...]:
    """Return the ways from a resource of the type to the parameter's values; none where it selects nothing there.

    Raises:
        Uncompilable: The expression cannot be read, names an element that does not exist, or gives values of unknown type.
    """
    try:
        return _paths(resource_type, parameter, definitions)
    except Uncompilable:
        if parameter.type == "composite":
            raise
    found = evaluated(resource_type, parameter.expression, definitions)
    return tuple(Selection((one,), parameter.expression, one.type, repeats=True) for one in found)


def _paths(resource_type: str, parameter: SearchParameter, definitions: Definitions) -> tuple[Selection, ...]:
    """Return the same of an expression that is a path.

    Raises:
        Uncompilable: It is none, or names an element that does not exist.
    """
    lineage = _lineage(resource_type, definitions)
    start = Selection((), resource_type, resource_type)
    found: list[Selection] = []
    for first, *rest in parse(parameter.expression):
        if isinstance(first, (Member, Item)) and not first.name[:1].isupper():
            found += _follow([start], [first, *rest], definitions)
        elif isinstance(first, Member) and first.name in lineage:
            found += _follow([start], rest, definitions)
    ends: list[Selection] = []
    for end in found:
        if end.type == "Extension":
            ends += _follow([end], [Member("value")], definitions)
        elif end.type == "Resource":
            # `Bundle.entry[0].resource` is any resource; the parameter's targets say which of them it means.
            for target in parameter.targets:
                route = (*end.route, Equals("resourceType", target))
                ends.append(replace(end, route=route, type=target))
        else:
            ends.append(end)
    return tuple(dict.fromkeys(ends))


def reached(start: Selection, expression: str, definitions: Definitions) -> tuple[Selection, ...]:
    """Return the ways from a place to what an expression selects that begins there, such as `value.as(Quantity)`.

    Raises:
        Uncompilable: The expression is outside the subset, or names an element that does not exist.
    """
    return tuple(end for steps in parse(expression) for end in _follow([start], steps, definitions))


def _lineage(name: str, definitions: Definitions) -> set[str]:
    """Return the type and all its base types."""
    found: set[str] = set()
    definition = definitions.type(name)
    while definition is not None:
        found.add(definition.name)
        definition = definitions.type(definition.base)
    return found


def _follow(positions: list[Selection], steps: Iterable[Step], definitions: Definitions) -> list[Selection]:
    for step in steps:
        if isinstance(step, Member):
            positions = [below for _, below in _below(positions, step.name, definitions)]
        elif isinstance(step, Item):
            positions = [
                replace(below, route=(*at.route, step), repeats=at.repeats)
                for at, below in _below(positions, step.name, definitions)
            ]
        elif isinstance(step, Cast):
            positions = [at for at in positions if _is(at.type, step.type, definitions)]
        else:
            positions = [replace(at, route=(*at.route, step)) for at in positions]
    return positions


def _below(positions: list[Selection], name: str, definitions: Definitions) -> list[tuple[Selection, Selection]]:
    """Return each position with each member of that name. Of a choice only some types may have it (`value.code`)."""
    found = [(at, below) for at in positions for below in _members(at, name, definitions)]
    if len(found) > MOST_WAYS:
        raise Uncompilable(
            f"there are more than {MOST_WAYS} ways through the choices on the way to '{name}'; name their types"
        )
    if positions and not found:
        at = positions[0]
        raise Uncompilable(f"{at.element} ({', '.join(one.type for one in positions[:5])}) has no element '{name}'")
    return found


def _members(at: Selection, name: str, definitions: Definitions) -> list[Selection]:
    definition = definitions.type(at.type)
    return [
        Selection((*at.route, one.name), f"{at.element}.{name}", one.type, at.repeats or one.array, one.binding)
        for one in (definition.elements.values() if definition else ())
        if name in {one.name, one.choice}
    ]


def _is(name: str, wanted: str, definitions: Definitions) -> bool:
    """Whether a type is the wanted one or specializes it. One R4 expression writes `DateTime` for `dateTime`."""
    return wanted in _lineage(name, definitions) or wanted[0].lower() + wanted[1:] == name


class _Node(NamedTuple):
    """A place in the trie: who takes the value, which members go on, and which tests."""

    leaves: tuple[Pair, ...]
    children: Mapping[str, "_Node"]
    branches: tuple[tuple[Test, "_Node"], ...]


class Extractor:
    """All parameters of one resource type, compiled.

    Args:
        rows: Each parameter with its selections.
        computed: Parameters outside the subset.
    """

    def __init__(
        self,
        rows: Mapping[str, Iterable[Selection]],
        computed: Mapping[str, Callable[[Mapping[str, Any]], Pair]],
    ) -> None:
        self._root = _grow([(code, one.type, one.route) for code, found in rows.items() for one in found])
        self._computed = tuple(computed.items())

    def values(self, resource: Mapping[str, Any]) -> dict[str, list[Pair]]:
        """Return the values of each parameter that has any, by code. The resource must be structurally valid."""
        return self.values_in(resource, resource)

    def values_in(self, element: Mapping[str, Any], resource: Mapping[str, Any]) -> dict[str, list[Pair]]:
        """Return the same of an element of a resource, where the routes begin at the element."""
        found = defaultdict[str, list[Pair]](list)
        _walk(self._root, element, resource, found)
        for code, compute in self._computed:
            found[code] = [compute(resource)]
        return found


def _grow(routes: list[tuple[str, str, tuple[str | Test, ...]]]) -> _Node:
    """Return the trie of (code, type, route) rows: rows that end here are leaves, the others are grouped by next step."""
    below: dict[str | Test, list[tuple[str, str, tuple[str | Test, ...]]]] = {}
    for code, kind, route in routes:
        if route:
            below.setdefault(route[0], []).append((code, kind, route[1:]))
    grown = {step: _grow(rows) for step, rows in below.items()}
    return _Node(
        leaves=tuple(dict.fromkeys((code, kind) for code, kind, route in routes if not route)),
        children={step: node for step, node in grown.items() if isinstance(step, str)},
        branches=tuple((step, node) for step, node in grown.items() if not isinstance(step, str)),
    )


def _walk(node: _Node, value: Any, resource: Mapping[str, Any], found: defaultdict[str, list[Pair]]) -> None:
    """Add what the leaves of the node take of the value, and go on."""
    leaves, children, branches = node
    for code, kind in leaves:
        found[code].append((kind, value))
    if children:
        for name, member in value.items():
            child = children.get(name)
            if child is not None:
                for one in member if type(member) is list else (member,):
                    if one is not None:
                        _walk(child, one, resource, found)
    for test, child in branches:
        for one in test(value, resource):
            _walk(child, one, resource, found)
