"""Invariants of the base definitions (R4 2.29.0.9): which are checked here, and how one is reported.

A rule is a Python function for each key, so that a write needs no FHIRPath engine. A few invariants are part of the walk
itself (`IN_THE_WALK`); those of no table wait for the engine and are listed in docs/validation.md.
"""

from collections.abc import Callable, Iterable, Mapping

from profiles.definitions.model import Invariant
from profiles.validate.messages import constraint, home
from profiles.validate.rules import bundles, clinical, conformance, datatypes, structures
from profiles.validate.rules.shape import ContextRule, Rule
from profiles.validate.walk import Json, Place, Walk, render

NATIVE: Mapping[str, Rule] = {
    **datatypes.RULES,
    **clinical.RULES,
    **bundles.RULES,
    **conformance.RULES,
    **structures.RULES,
}

IN_CONTEXT: Mapping[str, ContextRule] = {**datatypes.IN_CONTEXT, **clinical.IN_CONTEXT, **structures.IN_CONTEXT}

REUSED: Mapping[tuple[str, str], Rule] = {**clinical.REUSED, **conformance.REUSED}
"""Keys that R4 gave to several invariants, by the path that states them."""

IN_THE_WALK: Mapping[str, str] = {
    "ele-1": "members: every object and every array has content",
    "dom-3": "resource: something refers to each contained resource",
    "ref-1": "reference: `#id` names a contained resource",
    "txt-1": "narrative: the allow list",
    "txt-2": "narrative: it shows something",
}

_MALFORMED = (AttributeError, KeyError, TypeError, ValueError, ArithmeticError)


def native(key: str, path: str) -> bool:
    """Return whether an invariant that a type or element of this path states is checked."""
    return (path, key) in REUSED or any(key in table for table in (NATIVE, IN_CONTEXT, IN_THE_WALK))


def compile(invariants: Iterable[Invariant], path: str) -> Callable[[Json, Place, Walk], None] | None:  # noqa: A001 - the word for it
    """Return the check of those invariants of a type or element that have a rule, `None` where none has."""
    rows = [
        (REUSED.get((path, one.key)) or NATIVE.get(one.key), IN_CONTEXT.get(one.key), constraint(one, home(path)))
        for one in invariants
    ]
    rules = [row for row in rows if row[0] or row[1]]
    if not rules:
        return None

    def check(node: Json, where: Place, walk: Walk) -> None:
        for rule, in_context, finding in rules:
            try:
                met = rule(node) if rule is not None else in_context is None or in_context(node, walk)
            except _MALFORMED:
                # Rules are written for values of the right type. Where one is not, that has been reported already.
                if not walk.issues:
                    raise
                continue
            if not met:
                walk.add(finding(render(where)))

    return check
