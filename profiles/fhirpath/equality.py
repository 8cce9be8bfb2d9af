"""When items are equal, equivalent, before one another, and one and the same of a set (FHIRPath N1, 6.1 and 6.2)."""

from collections.abc import Hashable, Sequence
from decimal import Decimal
from typing import Any

from profiles.fhirpath import amounts, moments
from profiles.fhirpath.errors import FhirPathError
from profiles.fhirpath.moments import Moment
from profiles.fhirpath.scope import Scope
from profiles.fhirpath.syntax import Amount
from profiles.fhirpath.values import Item, Items, Node, System, system, type_of

_NUMBERS = (int, Decimal)


def equal(left: Items, right: Items, scope: Scope) -> bool | None:
    """Return whether collections are equal item by item; `None` where one is empty or an item's answer is unknown."""
    if not left or not right:
        return None
    if len(left) != len(right):
        return False
    scope.spend(len(left))
    answer: bool | None = True
    for one, other in zip(left, right, strict=True):
        same = _equal(one, other, scope)
        if same is False:
            return False
        if same is None:
            answer = None
    return answer


def _equal(one: Item, other: Item, scope: Scope) -> bool | None:
    first, second = system(one), system(other)
    if type(first) is str or type(second) is str:
        return type(first) is type(second) and first == second
    if type(first) is bool or type(second) is bool:
        return first is second
    if isinstance(first, Moment) and isinstance(second, Moment):
        if (first.kind == "Time") != (second.kind == "Time"):
            return False
        order = moments.compare(first, second)
        return None if order is None else order == 0
    if isinstance(first, Amount) and isinstance(second, Amount):
        order = amounts.compare(first, second, scope.units)
        return None if order is None else order == 0
    if isinstance(first, Node) and isinstance(second, Node):
        scope.spend(10)
        return bool(first.value == second.value)
    if first is None or second is None:
        return first is second and _sibling(one) == _sibling(other)
    return bool(first == second)


def equivalent(left: Items, right: Items, scope: Scope) -> bool:
    """Return whether collections hold equivalent items, in whatever order."""
    if len(left) != len(right):
        return False
    rest = list(right)
    for one in left:
        scope.spend(len(rest))
        found = next((place for place, other in enumerate(rest) if _equivalent(one, other, scope)), None)
        if found is None:
            return False
        del rest[found]
    return True


def _equivalent(one: Item, other: Item, scope: Scope) -> bool:
    first, second = system(one), system(other)
    if isinstance(first, str) and isinstance(second, str):
        return _folded(first) == _folded(second)
    if isinstance(first, bool) or isinstance(second, bool):
        return first is second
    if isinstance(first, _NUMBERS) and isinstance(second, _NUMBERS):
        return amounts.near(Decimal(first), Decimal(second))
    if isinstance(first, Amount) and isinstance(second, Amount):
        return amounts.equivalent(first, second, scope.units)
    if isinstance(first, Node) and isinstance(second, Node):
        return _alike(first.value, second.value, scope)
    return _equal(one, other, scope) is True


def _alike(one: Any, other: Any, scope: Scope) -> bool:
    """Return whether JSON values are equivalent: ids, order and case do not count."""
    scope.spend(1)
    if isinstance(one, dict) and isinstance(other, dict):
        left, right = one.keys() - {"id"}, other.keys() - {"id"}
        return left == right and all(_alike(one[key], other[key], scope) for key in left)
    if isinstance(one, list) and isinstance(other, list):
        rest = list(other)
        for value in one:
            found = next((place for place, candidate in enumerate(rest) if _alike(value, candidate, scope)), None)
            if found is None:
                return False
            del rest[found]
        return not rest
    if isinstance(one, str) and isinstance(other, str):
        return _folded(one) == _folded(other)
    return type(one) is type(other) and bool(one == other)


def _folded(text: str) -> str:
    return " ".join(text.casefold().split())


def order(left: Items, right: Items, scope: Scope) -> int | None:
    """Return -1, 0 or 1 as the only item of a collection is before, at or after that of another; `None` for an unknown answer.

    Raises:
        FhirPathError: One has several items, or they are of kinds that have no order.
    """
    if not left or not right:
        return None
    if len(left) > 1 or len(right) > 1:
        raise FhirPathError(
            "execution",
            f"A comparison takes one item on either side, but there are {len(left)} and {len(right)}. Choose one with first().",
        )
    first, second = system(left[0]), system(right[0])
    if first is None or second is None or _bare(first) or _bare(second):
        return None
    return before(first, second, scope)


def _bare(value: Item) -> bool:
    """Return whether it is a Quantity of FHIR that says no exact amount: it has no value, or a comparator."""
    return type(value) is Node and "Quantity" in value.type.lineage


def before(first: Item, second: Item, scope: Scope) -> int | None:
    """Return -1, 0 or 1 as a value is before, at or after another.

    Raises:
        FhirPathError: Values of their kinds have no order.
    """
    if isinstance(first, str) and isinstance(second, str):
        return (first > second) - (first < second)
    if (
        isinstance(first, _NUMBERS)
        and isinstance(second, _NUMBERS)
        and not isinstance(first, bool)
        and not isinstance(second, bool)
    ):
        return (first > second) - (first < second)
    if isinstance(first, Moment) and isinstance(second, Moment) and (first.kind == "Time") == (second.kind == "Time"):
        return moments.compare(first, second)
    if isinstance(first, Amount) and isinstance(second, Amount):
        return amounts.compare(first, second, scope.units)
    raise FhirPathError(
        "execution",
        f"{type_of(first).name} and {type_of(second).name} have no order. Compare numbers, strings, dates, times or quantities with their own kind.",
    )


def key(item: Item, scope: Scope) -> Hashable:
    """Return what is equal for equal items: what a set of items is made of."""
    value = system(item)
    match value:
        case str():
            return value
        case bool():
            return ("boolean", value)
        case int() | Decimal():
            return value
        case Moment():
            return (value.kind == "Time", value.zone is None, value.key())
        case Amount():
            return ("amount", amounts.measure(value, scope.units) or (value.value, value.unit))
        case Node():
            return ("node", _frozen(value.value, scope))
        case None:
            return ("sibling", _frozen(_sibling(item), scope))
        case _:
            return value


def distinct(items: Sequence[Item], scope: Scope) -> Items:
    """Return the items without those that are equal to an earlier one."""
    if len(items) < 2:
        return list(items)
    scope.spend(len(items))
    seen: dict[Hashable, Item] = {}
    for item in items:
        seen.setdefault(key(item, scope), item)
    return list(seen.values())


def _frozen(value: Any, scope: Scope) -> Hashable:
    scope.spend(1)
    if isinstance(value, dict):
        return frozenset((name, _frozen(one, scope)) for name, one in value.items())
    if isinstance(value, list):
        return tuple(_frozen(one, scope) for one in value)
    if isinstance(value, bool):
        return ("boolean", value)
    return value if isinstance(value, str | int | float | Decimal) else None


def _sibling(item: Item) -> Any:
    return item.sibling if isinstance(item, Node) else None


def negated(value: System) -> System:
    """Return the number or amount with the other sign.

    Raises:
        FhirPathError: It is neither.
    """
    match value:
        case Amount(number, unit, calendar):
            return Amount(-number, unit, calendar)
        case bool():
            pass
        case int() | Decimal():
            return -value
    raise FhirPathError(
        "execution",
        f"- takes a number or quantity, but found {type_of(value).name}. It is done after the steps that follow: write (-1).abs().",
    )
