"""Conversions (FHIRPath N1, 5.5): each `toX()` is empty where there is none, which `convertsToX()` tells."""

import re
from collections.abc import Callable, Mapping
from decimal import Decimal, InvalidOperation

from profiles.fhirpath.amounts import converted_to
from profiles.fhirpath.arithmetic import LARGEST
from profiles.fhirpath.functions.row import EMPTY, FALSE, TRUE, Function, Gives, text
from profiles.fhirpath.moments import Kind, Moment
from profiles.fhirpath.parser import CALENDAR
from profiles.fhirpath.scope import Scope, single
from profiles.fhirpath.syntax import Amount
from profiles.fhirpath.values import Item, Items, Node, amount, system

Convert = Callable[[Item], Item | None]

_YES = frozenset({"true", "t", "yes", "y", "1", "1.0"})
_NO = frozenset({"false", "f", "no", "n", "0", "0.0"})
_INTEGER = re.compile(r"[+-]?[0-9]{1,10}", re.ASCII)
_DECIMAL = re.compile(r"[+-]?[0-9]{1,60}(\.[0-9]{1,60})?", re.ASCII)
_QUANTITY = re.compile(r"(?P<value>[+-]?[0-9]{1,60}(\.[0-9]{1,60})?)\s*('(?P<unit>[^']+)'|(?P<word>[a-z]+))?", re.ASCII)


def _boolean(value: Item) -> Item | None:
    match value:
        case bool():
            return value
        case str():
            folded = value.lower()
            return True if folded in _YES else False if folded in _NO else None
        case int() | Decimal():
            return True if value == 1 else False if value == 0 else None
    return None


def _integer(value: Item) -> Item | None:
    match value:
        case bool():
            return int(value)
        case int():
            return value
        case str() if _INTEGER.fullmatch(value):
            number = int(value)
            return number if -LARGEST <= number < LARGEST else None
    return None


def _decimal(value: Item) -> Item | None:
    match value:
        case bool() | int():
            return Decimal(value)
        case Decimal():
            return value
        case str() if _DECIMAL.fullmatch(value):
            return Decimal(value)
    return None


def _date(value: Item) -> Item | None:
    found = _moment(value)
    return Moment("Date", found.parts[:3]) if found is not None and found.kind != "Time" else None


def _date_time(value: Item) -> Item | None:
    found = _moment(value)
    return Moment("DateTime", found.parts, found.zone) if found is not None and found.kind != "Time" else None


def _moment(value: Item) -> Moment | None:
    if isinstance(value, str) and len(value) < 50 and value[:1] != "T":
        return Moment.parse(value)
    return value if isinstance(value, Moment) else None


def _time(value: Item) -> Item | None:
    if isinstance(value, str) and len(value) < 50:
        return Moment.parse(f"T{value.removeprefix('T')}")
    return value if isinstance(value, Moment) and value.kind == "Time" else None


def _quantity(value: Item) -> Item | None:
    match value:
        case Amount():
            return value
        case Node():
            return amount(value) if "Quantity" in value.type.lineage else None
        case bool() | int() | Decimal():
            return Amount(Decimal(value), "1")
        case str():
            return _amount(value.strip())
    return None


def _amount(written: str) -> Amount | None:
    match = _QUANTITY.fullmatch(written)
    if match is None:
        return None
    word = match["word"]
    if word is not None and word not in CALENDAR:
        return None
    try:
        number = Decimal(match["value"])
    except InvalidOperation:
        return None
    return Amount(number, CALENDAR[word], calendar=True) if word else Amount(number, match["unit"] or "1")


def written(value: Item) -> str | None:
    """Return a value as text, `None` where it has none."""
    match value:
        case bool():
            return "true" if value else "false"
        case str():
            return value
        case int():
            return str(value)
        case Decimal():
            return format(value, "f") if abs(value.adjusted()) < 1000 else None
        case Moment():
            return str(value)
        case Amount(number, unit, calendar):
            if abs(number.adjusted()) >= 1000:
                return None
            plural = "" if number == 1 else "s"
            return f"{number:f} {unit}{plural}" if calendar else f"{number:f} '{unit}'"
    return None


def _to(convert: Convert, gives: Gives) -> Function:
    def run(items: Items, scope: Scope) -> Items:
        item = single(items, f"to{gives}()")
        value = None if item is None else system(item)
        found = None if value is None else convert(value)
        return EMPTY if found is None else [found]

    return Function(run, gives=gives)


def _converts_to(convert: Convert, gives: Gives) -> Function:
    def run(items: Items, scope: Scope) -> Items:
        item = single(items, f"convertsTo{gives}()")
        value = None if item is None else system(item)
        return EMPTY if item is None else FALSE if value is None or convert(value) is None else TRUE

    return Function(run, gives="Boolean")


def _to_quantity(items: Items, scope: Scope, unit: Items | None = None) -> Items:
    item = single(items, "toQuantity()")
    value = None if item is None else system(item)
    found = None if value is None else _quantity(value)
    wanted = None if unit is None else text(unit, "The unit of toQuantity()")
    if not isinstance(found, Amount) or (unit is not None and wanted is None):
        return EMPTY
    if wanted is None:
        return [found]
    target = Amount(Decimal(1), CALENDAR[wanted], calendar=True) if wanted in CALENDAR else Amount(Decimal(1), wanted)
    number = converted_to(found, target, scope.units)
    return EMPTY if number is None else [Amount(number, target.unit, target.calendar)]


def _converts_to_quantity(items: Items, scope: Scope, unit: Items | None = None) -> Items:
    return EMPTY if not items else TRUE if _to_quantity(items, scope, unit) else FALSE


def _component(kind: Kind, first: int, last: int) -> Function:
    """Return the function that takes a part out of a date and time."""

    def run(items: Items, scope: Scope) -> Items:
        item = single(items, "A part of a date")
        value = None if item is None else system(item)
        if not isinstance(value, Moment):
            return EMPTY
        parts = value.parts if value.kind != "Time" else (None, None, None, *value.parts)
        found = tuple(part for part in parts[first:last] if part is not None)
        return [Moment(kind, found)] if found else EMPTY

    return Function(run)


_CONVERSIONS: Mapping[Gives, Convert] = {
    "Boolean": _boolean,
    "Integer": _integer,
    "Decimal": _decimal,
    "Date": _date,
    "DateTime": _date_time,
    "Time": _time,
    "String": written,
}

ROWS: Mapping[str, Function] = {
    **{f"to{name}": _to(convert, name) for name, convert in _CONVERSIONS.items()},
    **{f"convertsTo{name}": _converts_to(convert, name) for name, convert in _CONVERSIONS.items()},
    "toQuantity": Function(_to_quantity, 0, 1, gives="Quantity"),
    "convertsToQuantity": Function(_converts_to_quantity, 0, 1, gives="Boolean"),
    "dateOf": _component("Date", 0, 3),
    "timeOf": _component("Time", 3, 6),
}
