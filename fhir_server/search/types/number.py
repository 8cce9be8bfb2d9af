"""Number parameters: implicit precision and prefixes (R4 3.1.1.4.6). A stored entry is the range `{lo, hi}`, as doubles."""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Context, Decimal
from math import inf, nextafter
from typing import Any

from fhir_server.search.escapes import plain
from fhir_server.search.expression import Criterion, Expression
from fhir_server.search.params import Param
from fhir_server.search.reading import PLAIN, Reading
from fhir_server.search.types import ranges
from fhir_server.search.types.ranges import Within
from fhir_server.search.types.refusal import refusal

MODIFIERS: frozenset[str] = frozenset()
EXAMPLE = f"a number such as 100, 5.40 or ge1e2; prefixes are {', '.join(ranges.PREFIXES)}"

_NUMBER = re.compile(r"[+-]?\d{1,34}(?:\.\d{1,34})?(?:[eE][+-]?\d{1,3})?", re.ASCII)
LARGEST = Decimal("1e300")
"""Beyond it a double has no room for the range around a number."""

_EXACT = Context(prec=1100)


def entries(values: Sequence[tuple[str, Any]], param: Param, reading: Reading = PLAIN) -> list[dict[str, float]]:
    """Return the range of each value; of a single number the range of that point."""
    return list(_ranges(values))


def _ranges(values: Sequence[tuple[str, Any]]) -> Iterator[dict[str, float]]:
    for type_name, value in values:
        if type_name == "Range":
            low, high = (value.get(side, {}).get("value") for side in ("low", "high"))
            if low is not None or high is not None:
                yield {"lo": -inf if low is None else float(low), "hi": inf if high is None else float(high)}
        else:
            yield {"lo": float(value), "hi": float(value)}


def parse(param: Param, modifier: str, texts: Sequence[str], reading: Reading = PLAIN) -> Expression:
    """Return the criterion "a number of the parameter stands to one of these as its prefix says".

    Raises:
        InvalidParameter: A text is not a number.
    """
    return Criterion(param, tuple(_value(param, plain(text)) for text in texts))


def predicate(criterion: Criterion) -> dict[str, Any]:
    """Return the filter over stored documents."""
    found = [one for value in criterion.values for one in ranges.alternatives(value)]
    return {criterion.param.field: {"$elemMatch": found[0] if len(found) == 1 else {"$or": found}}}


def matches(criterion: Criterion, entries: Sequence[dict[str, float]]) -> bool:
    """Return whether an entry fulfils the criterion."""
    return any(ranges.holds(value, entry) for value in criterion.values for entry in entries)


@dataclass(frozen=True, slots=True)
class Stated:
    """A number as a query states it, exactly.

    Attributes:
        prefix: The prefix.
        point: The number.
        low: Where its range begins.
        high: Where its range ends.
        half_open: Whether the end is no part of the range.
    """

    prefix: str
    point: Decimal
    low: Decimal
    high: Decimal
    half_open: bool = False

    def within(self, double: Callable[[Decimal], float] = float, *, rising: bool = True) -> Within:
        """Return prefix and range in doubles.

        Args:
            double: Converts a number, in the same order or, where not `rising`, in the opposite one.
            rising: Whether a greater number is converted to a greater double.
        """
        low, high = double(self.low), double(self.high)
        if self.half_open:
            # A number of more digits than a double holds is itself all of its range.
            point = double(self.point)
            high = max(nextafter(high, -inf), point) if rising else min(nextafter(high, inf), point)
        return (
            Within(self.prefix, low, high)
            if rising
            else Within(ranges.MIRRORED.get(self.prefix, self.prefix), high, low)
        )


def stated(text: str) -> Stated | None:
    """Return prefix and exact range of a query text, or `None` where it is not a number.

    With `eq` and `ne` the number has the implicit range of half a unit of its last digit, upper bound excluded; with `ap`
    ten per cent to both sides; with the other prefixes it is exact (R4 3.1.1.4.6).
    """
    prefix, digits = ranges.split(text)
    if not _NUMBER.fullmatch(digits):
        return None
    point = Decimal(digits)
    if abs(point) > LARGEST:
        return None
    if prefix in {"eq", "ne"}:
        unit = point.as_tuple().exponent
        half = Decimal(5).scaleb(int(unit) - 1, _EXACT)
        return Stated(prefix, point, _EXACT.subtract(point, half), _EXACT.add(point, half), half_open=True)
    if prefix == "ap":
        tenth = abs(point).scaleb(-1, _EXACT)
        return Stated(prefix, point, _EXACT.subtract(point, tenth), _EXACT.add(point, tenth))
    return Stated(prefix, point, point, point)


def within(text: str) -> Within | None:
    """Return prefix and range in doubles of a query text, or `None` where it is not a number."""
    found = stated(text)
    return found.within() if found else None


def _value(param: Param, text: str) -> Within:
    found = within(text)
    if not found:
        raise refusal(param, text, EXAMPLE)
    return found
