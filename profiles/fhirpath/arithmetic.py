"""The operators that compute: `+ - * / div mod &` (FHIRPath N1, 6.6). Each takes one item on either side."""

from collections.abc import Callable, Mapping
from decimal import ROUND_DOWN, Decimal

from profiles.fhirpath import amounts, moments
from profiles.fhirpath.amounts import NUMBERS
from profiles.fhirpath.errors import FhirPathError
from profiles.fhirpath.moments import Moment
from profiles.fhirpath.scope import Scope, single
from profiles.fhirpath.syntax import Amount
from profiles.fhirpath.values import Item, Items, system, type_of

Operator = Callable[[Item, Item, Scope], Item | None]

LARGEST = 2**31
_MOST_UNITS = Decimal(10) ** 12


def computed(operator: str, left: Items, right: Items, scope: Scope) -> Items:
    """Return the result of an operator, empty where a side is empty or there is no result.

    Raises:
        FhirPathError: A side has several items, or the operator takes no values of their kinds.
    """
    first, second = single(left, f"The left side of {operator}"), single(right, f"The right side of {operator}")
    if operator == "&":
        return scope.text(_text(first) + _text(second))
    one, other = (None if first is None else system(first)), (None if second is None else system(second))
    if one is None or other is None:
        return []
    scope.spend(1)
    found = _OPERATORS[operator](one, other, scope)
    return [] if found is None else [found]


def _text(item: Item | None) -> str:
    value = None if item is None else system(item)
    if value is None or isinstance(value, str):
        return value or ""
    raise FhirPathError(
        "execution", f"& joins strings, but found {type_of(value).name}. Turn it into one with toString()."
    )


def number(value: int | Decimal) -> int | Decimal | None:
    """Return a number, `None` where it is out of range."""
    if isinstance(value, int):
        return value if -LARGEST <= value < LARGEST else None
    return value if value.is_finite() else None


def _is_number(value: Item) -> bool:
    return type(value) is int or type(value) is Decimal


def _refused(operator: str, one: Item, other: Item) -> FhirPathError:
    return FhirPathError(
        "execution", f"{type_of(one).name} {operator} {type_of(other).name} has no result: {_TAKES[operator]}."
    )


_TAKES: Mapping[str, str] = {
    "+": "numbers, strings and quantities are added to their own kind, quantities of time also to dates and times",
    "-": "numbers and quantities are subtracted from their own kind, quantities of time also from dates and times",
    "*": "numbers and quantities are multiplied",
    "/": "numbers and quantities are divided",
    "div": "numbers are divided",
    "mod": "numbers are divided",
}


def _plus(one: Item, other: Item, scope: Scope) -> Item | None:
    if isinstance(one, str) and isinstance(other, str):
        scope.fits(len(one) + len(other))
        return one + other
    return _sum(one, other, scope, 1)


def _minus(one: Item, other: Item, scope: Scope) -> Item | None:
    return _sum(one, other, scope, -1)


def _sum(one: Item, other: Item, scope: Scope, sign: int) -> Item | None:
    if type(one) is int and type(other) is int:
        return number(one + sign * other)
    if isinstance(one, int | Decimal) and isinstance(other, int | Decimal) and _is_number(one) and _is_number(other):
        return number(NUMBERS.add(Decimal(one), sign * Decimal(other)))
    if isinstance(other, Amount):
        if isinstance(one, Moment):
            unit = amounts.calendar_unit(other)
            return moments.shifted(one, sign * other.value, unit) if abs(other.value) < _MOST_UNITS else None
        if isinstance(one, Amount):
            value = amounts.converted_to(other, one, scope.units)
            total = None if value is None else number(NUMBERS.add(one.value, sign * value))
            return None if total is None else Amount(Decimal(total), one.unit, one.calendar)
    raise _refused("+" if sign > 0 else "-", one, other)


def _times(one: Item, other: Item, scope: Scope) -> Item | None:
    if type(one) is int and type(other) is int:
        return number(one * other)
    if isinstance(one, Amount) or isinstance(other, Amount):
        left, right = _amount(one), _amount(other)
        if left is not None and right is not None:
            return amounts.product(left, right, scope, divide=False)
    elif isinstance(one, int | Decimal) and isinstance(other, int | Decimal) and _is_number(one) and _is_number(other):
        return number(NUMBERS.multiply(Decimal(one), Decimal(other)))
    raise _refused("*", one, other)


def _over(one: Item, other: Item, scope: Scope) -> Item | None:
    if isinstance(one, Amount) or isinstance(other, Amount):
        left, right = _amount(one), _amount(other)
        if left is not None and right is not None:
            return amounts.product(left, right, scope, divide=True)
    elif isinstance(one, int | Decimal) and isinstance(other, int | Decimal) and _is_number(one) and _is_number(other):
        return number(NUMBERS.divide(Decimal(one), Decimal(other))) if other else None
    raise _refused("/", one, other)


def _amount(value: Item) -> Amount | None:
    if isinstance(value, Amount):
        return value
    return Amount(Decimal(value), "1") if isinstance(value, int | Decimal) and _is_number(value) else None


def _div(one: Item, other: Item, scope: Scope) -> Item | None:
    if isinstance(one, int | Decimal) and isinstance(other, int | Decimal) and _is_number(one) and _is_number(other):
        if not other:
            return None
        found = NUMBERS.divide(Decimal(one), Decimal(other)).to_integral_value(ROUND_DOWN)
        return number(int(found)) if found.is_finite() and abs(found) < LARGEST else None
    raise _refused("div", one, other)


def _mod(one: Item, other: Item, scope: Scope) -> Item | None:
    if isinstance(one, int | Decimal) and isinstance(other, int | Decimal) and _is_number(one) and _is_number(other):
        if not other:
            return None
        found = NUMBERS.remainder(Decimal(one), Decimal(other))
        return int(found) if type(one) is int and type(other) is int else number(found)
    raise _refused("mod", one, other)


_OPERATORS: Mapping[str, Operator] = {"+": _plus, "-": _minus, "*": _times, "/": _over, "div": _div, "mod": _mod}
