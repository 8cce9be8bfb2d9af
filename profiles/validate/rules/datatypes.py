"""Invariants of the complex types and of all resources (R4 2.24, 2.26, 2.30)."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from profiles.validate.rules.shape import (
    ContextRule,
    Rule,
    exactly_one,
    has,
    inner,
    many,
    most_one,
    needs,
    not_after,
    some,
)
from profiles.validate.walk import Json, Walk

UCUM = "http://unitsofmeasure.org"
_MEAL_RELATIVE = frozenset({"C", "CM", "CD", "CV"})


def _value_or_extensions(node: Json) -> bool:
    # Besides these three members an extension has only its value, in whichever of the fifty types.
    others = ("url" in node) + ("id" in node) + ("extension" in node)
    return ("extension" in node) != (len(node) > others)


def _ratio(node: Json) -> bool:
    numerator = has(node, "numerator")
    return numerator == has(node, "denominator") and (numerator or has(node, "extension"))


def _range(node: Json) -> bool:
    low, high = node.get("low"), node.get("high")
    if type(low) is not dict or type(high) is not dict or _unit(low) != _unit(high):
        return True
    return not (_number(low) and _number(high)) or bool(low["value"] <= high["value"])


def _unit(quantity: Json) -> tuple[Any, ...]:
    system, code = quantity.get("system"), quantity.get("code")
    return (system, code) if code is not None else (None, None, quantity.get("unit"))


def _number(quantity: Json) -> bool:
    return type(quantity.get("value")) in {int, Decimal}


def _ucum(node: Json) -> bool:
    return not has(node, "system") or node.get("system") == UCUM


def _age(node: Json) -> bool:
    return _distance(node) and not (_number(node) and node["value"] <= 0)


def _distance(node: Json) -> bool:
    return (has(node, "code") or not has(node, "value")) and _ucum(node)


def _count(node: Json) -> bool:
    value = node.get("value")
    whole = not isinstance(value, Decimal) or "." not in str(value)
    return _distance(node) and (not has(node, "code") or node.get("code") == "1") and whole


def _duration(node: Json) -> bool:
    return not has(node, "code") or (node.get("system") == UCUM and has(node, "value"))


def _not_negative(name: str) -> Rule:
    return lambda node: type(node.get(name)) not in {int, Decimal} or node[name] >= 0


def _offset(node: Json) -> bool:
    return not has(node, "offset") or (has(node, "when") and _MEAL_RELATIVE.isdisjoint(many(node, "when")))


def _trigger(node: Json) -> bool:
    kind = node.get("type", "")
    needed = "name" if kind == "named-event" else "timing[x]" if kind == "periodic" else "data"
    return has(node, needed) if kind in {"named-event", "periodic"} or kind.startswith("data-") else True


def _outer_only(*path: str) -> Rule:
    return lambda node: "contained" not in node or not inner(node, "contained", *path)


def _narrated(node: Json, walk: Walk) -> bool:
    # A contained resource has no narrative of its own: its container's speaks for it.
    return walk.inside is not None or ("text" in node and "div" in node["text"])


def _versions(node: Json) -> bool:
    return "contained" not in node or not (
        inner(node, "contained", "meta", "versionId") or inner(node, "contained", "meta", "lastUpdated")
    )


RULES: Mapping[str, Rule] = {
    "age-1": _age,
    "att-1": needs("data", "contentType"),
    "cnt-3": _count,
    "cpt-2": needs("value", "system"),
    "dis-1": _distance,
    "dom-2": _outer_only("contained"),
    "dom-4": _versions,
    "dom-5": _outer_only("meta", "security"),
    "drq-1": exactly_one("path", "searchParam"),
    "drq-2": exactly_one("path", "searchParam"),
    "drt-1": _duration,
    "exp-1": some("expression", "reference"),
    "ext-1": _value_or_extensions,
    "per-1": not_after("start", "end"),
    "qty-3": needs("code", "system"),
    "rat-1": _ratio,
    "rng-2": _range,
    "sqty-1": lambda node: not has(node, "comparator"),
    "tim-1": needs("duration", "durationUnit"),
    "tim-2": needs("period", "periodUnit"),
    "tim-4": _not_negative("duration"),
    "tim-5": _not_negative("period"),
    "tim-6": needs("periodMax", "period"),
    "tim-7": needs("durationMax", "duration"),
    "tim-8": needs("countMax", "count"),
    "tim-9": _offset,
    "tim-10": most_one("timeOfDay", "when"),
    "trd-1": most_one("data", "timing[x]"),
    "trd-2": needs("condition", "data"),
    "trd-3": _trigger,
}

IN_CONTEXT: Mapping[str, ContextRule] = {"dom-6": _narrated}
