"""Invariants of the base definitions (R4 2.29.0.9): which are checked here, and how one is reported.

A rule is a Python function for each key, many times as fast as an expression. A few invariants are part of the walk itself
(`IN_THE_WALK`); those of no table are evaluated as FHIRPath. tests/profiles/test_published.py holds rules and expressions
side by side.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from profiles.definitions.model import Invariant
from profiles.fhirpath.engine import Engine
from profiles.fhirpath.errors import FhirPathError
from profiles.validate.messages import constraint, home
from profiles.validate.published import RULES, expression
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

ON_TEXTS: Mapping[str, Callable[[Any], bool]] = structures.ON_TEXTS
"""Rules of single texts, of which R4 has one."""

IN_THE_WALK: Mapping[str, str] = {
    "ele-1": "members: every object and every array has content",
    "dom-3": "resource: something refers to each contained resource",
    "ref-1": "reference: `#id` names a contained resource",
    "txt-1": "narrative: the allow list",
    "txt-2": "narrative: it shows something",
}

_MALFORMED = (AttributeError, KeyError, TypeError, ValueError, ArithmeticError)


UNBREAKABLE: Mapping[str, str] = dict.fromkeys(
    ("ppc-2", "ppc-3", "ppc-4", "ppc-5"), "as published they ask for the code system 'something', which is none"
)
"""Invariants that can never fail, and why; they are not evaluated."""

Check = Callable[[Any, Place, Walk], None]


def native(key: str, path: str) -> bool:
    """Return whether an invariant that a type or element of this path states has a rule."""
    return (path, key) in REUSED or any(key in table for table in (NATIVE, IN_CONTEXT, ON_TEXTS, IN_THE_WALK))


def expressed(invariants: Iterable[Invariant], path: str) -> tuple[Invariant, ...]:
    """Return those of the invariants that are evaluated as FHIRPath."""
    return tuple(one for one in invariants if not native(one.key, path) and one.key not in UNBREAKABLE)


def constrains(invariants: Iterable[Invariant], path: str) -> bool:
    """Return whether an element of a primitive type states something about its values."""
    stated = tuple(invariants)
    return any(one.key in ON_TEXTS for one in stated) or bool(expressed(stated, path))


def compile(invariants: Iterable[Invariant], path: str, type_name: str, engine: Engine) -> Check | None:  # noqa: A001 - the word for it
    """Return the check of the invariants that a type or element of a path states about values of a type, `None` for none."""
    rules = _rules(invariants, path)
    checks = [_evaluated(one, path, type_name, engine) for one in expressed(invariants, path)]
    if rules is not None:
        checks.insert(0, rules)
    if len(checks) < 2:
        return checks[0] if checks else None

    def check(value: Any, where: Place, walk: Walk) -> None:
        for one in checks:
            one(value, where, walk)

    return check


def _evaluated(one: Invariant, path: str, type_name: str, engine: Engine) -> Check:
    """Return the check of an invariant by its expression, which the engine compiles when it is first met."""
    finding, text = constraint(one, home(path)), expression(one)

    def check(value: Any, where: Place, walk: Walk) -> None:
        try:
            met = engine.compile(text, type_name, RULES).boolean(value, resource=walk.current, rootResource=walk.root)
        except FhirPathError:
            # Where a value is not of the right type, that has been reported already; else what cannot be told is not met.
            met = bool(walk.issues)
        if not met:
            walk.add(finding(render(where)))

    return check


def _rules(invariants: Iterable[Invariant], path: str) -> Check | None:
    """Return the check of those invariants of a type or element that have a rule, `None` where none has."""
    rows = [
        (
            REUSED.get((path, one.key)) or NATIVE.get(one.key) or ON_TEXTS.get(one.key),
            IN_CONTEXT.get(one.key),
            constraint(one, home(path)),
        )
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
