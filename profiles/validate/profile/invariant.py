"""Constraints that a profile adds (ElementDefinition.constraint): FHIRPath on the element, in its resource."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from profiles.definitions.model import Invariant
from profiles.fhirpath.engine import Compiled
from profiles.fhirpath.errors import FhirPathError
from profiles.fhirpath.scope import Services
from profiles.fhirpath.shapes import Rules
from profiles.snapshot.source import Origin
from profiles.validate.messages import constraint
from profiles.validate.profile.items import Item
from profiles.validate.profile.visit import Found, TooCostlyError, Visit
from profiles.validate.walk import render

if TYPE_CHECKING:
    from profiles.validate.profile.validator import ProfileValidator

Json = dict[str, Any]
RULES = Rules(loose=True)
STEPS_OF_A_QUESTION = 100
ASKING = ("resolve", "memberOf", "conformsTo", "subsume", "validateVS", "trace")
"""What of FHIRPath asks somebody else; most constraints do not."""

TIMED = ("now", "today", "timeOfDay")
"""What of FHIRPath has another answer tomorrow."""

Check = Callable[[Item, Visit], None]


def compile(rules: list[Json], validator: "ProfileValidator", origin: Origin, home: str) -> list[Check]:  # noqa: A001
    """Return the checks of constraints; they are compiled when they are first met, for the type met."""
    found = []
    for rule in rules:
        invariant = Invariant(
            str(rule.get("key", "")),
            str(rule.get("severity", "error")),
            str(rule.get("human", "")),
            str(rule["expression"]),
        )
        if not validator.is_native(invariant, home):
            found.append(_check(invariant, validator, origin))
    return found


def _check(rule: Invariant, validator: "ProfileValidator", origin: Origin) -> Check:
    finding = constraint(rule, origin.url)
    asks = any(name in rule.expression for name in ASKING)
    placed = asks or "%" in rule.expression
    open_ended = placed or any(name in rule.expression for name in TIMED)
    compiled: dict[str, Compiled | str] = {}

    def check(item: Item, visit: Visit) -> None:
        if item.type not in compiled:
            compiled[item.type] = _compiled(rule, item.type, validator)
        expression = compiled[item.type]
        if isinstance(expression, str):
            visit.report("invariant-unusable", item.where, key=rule.key, url=origin.url, reason=expression)
            return
        node = validator.engine.node(item.value, item.type, item.sibling)
        open_: list[str] = []
        services = _services(validator, origin, item, visit, open_) if asks else None
        budget = visit.shared.expressions
        visit.shared.outside += open_ended
        try:
            if placed:
                resources = {"resource": visit.resource[0], "rootResource": visit.container[0]}
                met = expression.boolean(node, services=services, budget=budget, **resources)
            else:
                met = expression.boolean(node, services=services, budget=budget)
        except FhirPathError as error:
            if budget[0] <= 0:
                raise TooCostlyError from None
            visit.report("invariant-unusable", item.where, key=rule.key, url=origin.url, reason=str(error))
            return
        if not met and open_:
            reason = f"what '{open_[0]}' holds or asks is not known"
            visit.report("invariant-unusable", item.where, key=rule.key, url=origin.url, reason=reason)
        elif not met:
            visit.add(finding(render(item.where)))

    return check


def _compiled(rule: Invariant, type_name: str, validator: "ProfileValidator") -> Compiled | str:
    known = type_name if type_name in validator.snapshots.source.definitions.types else None
    try:
        return validator.engine.compile(rule.expression, known, RULES)
    except FhirPathError:
        # What makes no sense for the type by the letter may still mean something: HL7's tools do not check it either.
        try:
            return validator.engine.compile(rule.expression, None, RULES)
        except FhirPathError as error:
            return str(error)


def _services(validator: "ProfileValidator", origin: Origin, item: Item, visit: Visit, open_: list[str]) -> Services:
    """Return what an expression may ask; `open_` gets the canonicals about which there was no answer."""

    def resolve(text: str) -> Mapping[str, Any] | None:
        met = visit.resolve(text)
        return met[0] if met else None

    def member_of(value: Any, value_set: str) -> bool | None:
        found = validator.member_of(value, value_set)
        if found is None:
            open_.append(value_set)
        return found

    def conforms(value: Any, profile: str) -> bool | None:
        visit.shared.spend(STEPS_OF_A_QUESTION)
        kind = value.get("resourceType", item.type) if isinstance(value, dict) else item.type
        # The engine makes values of its own, whose identity may come again: nothing is kept about them. What is being
        # worked out stays known, so that a profile that asks about itself comes to an end.
        there = visit.aside()
        known: dict[tuple[int, str], list[Found] | None] = {
            key: one for key, one in visit.shared.known.items() if one is None
        }
        there.shared = replace(visit.shared, known=known, wires={})
        found = validator.outcome(Item(value, None, item.where, kind), profile, origin, there)
        if found is None:
            open_.append(profile)
            return None
        return not any(one.fails for one in found)

    return Services(resolve=resolve, member_of=member_of, conforms=conforms)
