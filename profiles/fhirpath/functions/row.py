"""`Function`: a row of the table of functions, and what functions do with the items that they get."""

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

from profiles.fhirpath.errors import FhirPathError
from profiles.fhirpath.scope import Run, Scope, single
from profiles.fhirpath.values import Item, Items, system, type_of

Takes = Literal["", "Boolean", "Integer", "Number", "String", "Quantity", "Sized"]
"""What a function is called on: `` for anything, `Number` for integers and decimals, `Sized` for numbers and quantities."""

Gives = Literal[
    "",
    "input",
    "argument",
    "both",
    "branches",
    "Boolean",
    "Integer",
    "Decimal",
    "String",
    "Date",
    "DateTime",
    "Time",
    "Quantity",
]
"""What it returns: `` for anything; items of its input, of its first argument, of both, of its branches; or values of that type."""


@dataclass(frozen=True, slots=True)
class Function:
    """A function.

    Attributes:
        run: Called with the input, the scope, and for each argument its value, or where it is lazy what computes it.
        least: Least number of arguments.
        most: Greatest number of arguments.
        lazy: Whether its arguments are computed by itself: once for each item, or only when needed.
        takes: What it is called on.
        gives: What it returns.
        ordered: Whether the order of its input counts.
        unordered: Whether the order of what it returns does not.
    """

    run: Callable[..., Items]
    least: int = 0
    most: int = 0
    lazy: bool = False
    takes: Takes = ""
    gives: Gives = ""
    ordered: bool = False
    unordered: bool = False


TRUE: Items = [True]
FALSE: Items = [False]
EMPTY: Items = []
"""Collections are never changed once they are returned, so these are shared."""


def truth(items: Items, what: str) -> bool | None:
    """Return a collection as a boolean: `None` where it is empty, and true for any single item that is no boolean.

    Raises:
        FhirPathError: It has several items.
    """
    if not items:
        return None
    item = items[0] if len(items) == 1 else single(items, what)
    value = system(item) if item is not None else None
    return value if type(value) is bool else value is not None or None


def boolean(value: bool | None) -> Items:  # noqa: FBT001 - it is the value
    """Return a boolean as a collection."""
    return TRUE if value else EMPTY if value is None else FALSE


def for_each(items: Items, scope: Scope, run: Run) -> list[Items]:
    """Return what an argument gives for each item as the focus."""
    this, index = scope.this, scope.index
    found: list[Items] = []
    for place, item in enumerate(items):
        scope.this, scope.index = [item], place
        found.append(run(scope))
    scope.this, scope.index = this, index
    scope.spend(len(items))
    return found


def text(items: Items, what: str) -> str | None:
    """Return the only item of a collection as a string, `None` where it is empty.

    Raises:
        FhirPathError: It has several, or it is no string.
    """
    item = items[0] if len(items) == 1 else single(items, what)
    value = None if item is None else system(item)
    if value is None or isinstance(value, str):
        return value
    raise FhirPathError("execution", f"{what} takes a String, but found {named(value)}.")


def whole(items: Items, what: str) -> int | None:
    """Return the only item of a collection as an integer, `None` where it is empty.

    Raises:
        FhirPathError: It has several, or it is no integer.
    """
    item = single(items, what)
    value = None if item is None else system(item)
    if value is None or type(value) is int:
        return value
    raise FhirPathError("execution", f"{what} takes an Integer, but found {named(value)}.")


def number(items: Items, what: str) -> int | Decimal | None:
    """Return the only item of a collection as a number, `None` where it is empty.

    Raises:
        FhirPathError: It has several, or it is no number.
    """
    item = single(items, what)
    value = None if item is None else system(item)
    if value is None or type(value) is int or type(value) is Decimal:
        return value
    raise FhirPathError("execution", f"{what} takes a number, but found {named(value)}.")


def named(item: Item) -> str:
    """Return the type of an item for a message."""
    return type_of(item).name or "an object without type"
