"""Composite parameters: which values stand together in one element (R4 3.1.1.4.13, composite).

A composite names a base element, and for each of its parts a search parameter with an expression that begins at the base.
A part reads what its parameter reads in the element that the expression leads to: a `value.as(Quantity)` that is defined by
`value-quantity` reads sampled data too, as that does.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from fhir_server.search.paths import Extractor, Pair, Selection, reached
from profiles.definitions.registry import Definitions

RESOURCE = "%resource."
"""Begins an expression that leads from the resource, not from the base."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where the values of a part are.

    Attributes:
        inside: FHIR type of a base element, with the ways from there.
        outside: Ways from the resource: the values belong to every base element.
    """

    inside: tuple[tuple[str, tuple[Selection, ...]], ...] = ()
    outside: tuple[Selection, ...] = ()


def place(
    bases: Sequence[Selection],
    expression: str,
    defined: Sequence[Selection],
    *,
    readable: frozenset[str],
    resource_type: str,
    definitions: Definitions,
) -> Place:
    """Return where the values of a part are.

    Where its parameter reads nothing that the expression leads to, the expression counts; and where that leads to nothing
    the part can read, what its parameter reads in the base: the two parts of DocumentReference `relationship` have each
    other's expression in R4.

    Args:
        bases: The base elements.
        expression: Expression of the part.
        defined: What its parameter reads of the type.
        readable: FHIR types that a part of its kind can read.
        resource_type: The type.
        definitions: Elements of the types.

    Raises:
        Uncompilable: The expression is outside the subset, or names an element that does not exist.
    """
    if expression.startswith(RESOURCE):
        start = Selection((), resource_type, resource_type)
        found = reached(start, expression.removeprefix(RESOURCE), definitions)
        return Place(outside=_read(found, defined, readable))
    inside: list[tuple[str, tuple[Selection, ...]]] = []
    for base in bases:
        steps = len(base.route)
        below = tuple(one for one in defined if one.route[:steps] == base.route)
        ends = _read(reached(base, expression, definitions), below, readable) or below
        inside.append((base.type, tuple(replace(one, route=one.route[steps:]) for one in ends)))
    return Place(inside=tuple((name, ends) for name, ends in inside if ends))


def _read(found: Sequence[Selection], defined: Sequence[Selection], readable: frozenset[str]) -> tuple[Selection, ...]:
    elements = {one.element for one in found}
    return tuple(one for one in defined if one.element in elements) or tuple(
        one for one in found if one.type in readable
    )


class Groups:
    """Reads the values that stand together, for one composite parameter.

    Args:
        places: Each part with the place of its values.
    """

    def __init__(self, places: Mapping[str, Place]) -> None:
        self._parts = len(places)
        names = {name for each in places.values() for name, _ in each.inside}
        self._inside = {
            name: Extractor({part: dict(each.inside).get(name, ()) for part, each in places.items()}, {})
            for name in names
        }
        self._needs = {
            name: tuple(filter(None, (_first(dict(each.inside).get(name, ())) for each in places.values())))
            for name in names
        }
        outside = {part: each.outside for part, each in places.items() if each.outside}
        self._outside = Extractor(outside, {}) if outside else None

    def of(self, elements: Sequence[Pair], resource: Mapping[str, Any]) -> list[Pair]:
        """Return (type, values by part) of each base element in which every part has a value."""
        around = self._outside.values(resource) if self._outside else {}
        found = [
            (name, {**around, **self._inside[name].values_in(element, resource)})
            for name, element in elements
            # Most elements lack a part, which is quickly seen.
            if name in self._inside and not any(map(element.keys().isdisjoint, self._needs[name]))
        ]
        return [(name, values) for name, values in found if len(values) == self._parts]


def _first(ends: Sequence[Selection]) -> frozenset[str]:
    """Return the members of an element of which it must have one to have a value; none where that cannot be told."""
    steps = [end.route[0] if end.route else None for end in ends]
    names = frozenset(step for step in steps if isinstance(step, str))
    return names if all(isinstance(step, str) for step in steps) else frozenset()
