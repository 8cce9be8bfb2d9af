"""Are two answers equal, and which is greater: with a third answer, `None`, where that cannot be told."""

from decimal import Decimal
from typing import Any

from profiles.fhirpath.scope import Units
from profiles.primitives import span

Json = dict[str, Any]

UCUM = "http://unitsofmeasure.org"
MOMENTS = frozenset({"date", "dateTime", "instant"})
NUMBERS = frozenset({"decimal", "integer"})


def equal(kind: str, one: Any, other_kind: str, other: Any, units: Units | None) -> bool | None:
    """Return whether a value equals another; values of different types do not, but for a number and a number."""
    if kind in NUMBERS | MOMENTS | {"Quantity"}:
        if kind != other_kind and not ({kind, other_kind} <= NUMBERS or {kind, other_kind} <= MOMENTS):
            return False
        if kind in MOMENTS and one == other:
            return True
        order = compared(kind, one, other, units)
        return None if order is None else order == 0
    if kind != other_kind:
        return False
    if not isinstance(one, dict) or not isinstance(other, dict):
        return bool(one == other)
    if kind == "Coding":
        return _same_coding(one, other)
    if kind == "Reference":
        return _same(one.get("reference"), other.get("reference"))
    return bool(one == other)


def compared(kind: str, one: Any, other: Any, units: Units | None) -> int | None:
    """Return -1, 0 or 1 as a value is less, equal or greater; `None` where they cannot be compared, or not surely."""
    if kind in NUMBERS:
        return _order(one, other) if _number(one) and _number(other) else None
    if kind in MOMENTS:
        return _moments(one, other)
    if kind in {"time", "string"}:
        return _order(one, other) if isinstance(one, str) and isinstance(other, str) else None
    if kind == "Quantity" and isinstance(one, dict) and isinstance(other, dict):
        return _amounts(one, other, units)
    return None


def measurable(one: Json, other: Json, units: Units | None) -> bool:
    """Return whether two quantities have units that can be converted into one another, or written the same."""
    unit, other_unit = _unit(one), _unit(other)
    if unit == other_unit:
        return True
    if units is None or unit[0] != UCUM or other_unit[0] != UCUM:
        return False
    first, second = units.canonical(Decimal(1), unit[1]), units.canonical(Decimal(1), other_unit[1])
    return first is not None and second is not None and first[1] == second[1]


def _unit(quantity: Json) -> tuple[str, str]:
    """System and code of a unit, or its words."""
    code = quantity.get("code")
    if isinstance(code, str):
        return str(quantity.get("system", "")), code
    return "", str(quantity.get("unit", ""))


def _amounts(one: Json, other: Json, units: Units | None) -> int | None:
    value: Any = one.get("value")
    other_value: Any = other.get("value")
    if not _number(value) or not _number(other_value) or "comparator" in one or "comparator" in other:
        return None
    unit, other_unit = _unit(one), _unit(other)
    if unit == other_unit:
        return _order(value, other_value)
    if not measurable(one, other, units) or units is None:
        return None
    first, second = units.canonical(Decimal(value), unit[1]), units.canonical(Decimal(other_value), other_unit[1])
    return _order(first[0], second[0]) if first and second else None


def _moments(one: Any, other: Any) -> int | None:
    if not isinstance(one, str) or not isinstance(other, str):
        return None
    first, second = span(one), span(other)
    if first is None or second is None:
        return None
    if len(one) <= 10 and len(other) <= 10:
        # Days of one calendar: as far as both go, whatever the zone.
        length = min(len(one), len(other))
        if one[:length] != other[:length]:
            return _order(one[:length], other[:length])
        return 0 if len(one) == len(other) else None
    if first[1] < second[0]:
        return -1
    if first[0] > second[1]:
        return 1
    return 0 if first == second else None


def _same_coding(one: Json, other: Json) -> bool | None:
    if not isinstance(one.get("code"), str) or not isinstance(other.get("code"), str):
        return _same(one.get("display"), other.get("display"))
    if one["code"] != other["code"]:
        return False
    return _same(one.get("system"), other.get("system")) if one.get("system") != other.get("system") else True


def _same(one: Any, other: Any) -> bool | None:
    return None if one is None or other is None else bool(one == other)


def _number(value: Any) -> bool:
    return type(value) in {int, Decimal}


def _order(one: Any, other: Any) -> int:
    return int(one > other) - int(one < other)
