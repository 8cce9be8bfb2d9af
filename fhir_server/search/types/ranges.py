"""Prefixes (R4 3.1.1.4.5) as comparisons of two ranges, for dates, numbers and quantities alike.

Both the range of the search value, low to high, and that of the target, `lo` to `hi`, include their bounds. Each prefix is
a table row: the alternatives under which it holds, each naming the comparisons of `lo` and `hi` that must all be true.
"""

import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

Side = Literal["low", "high"]
Alternatives = tuple[Mapping[str, tuple[str, Side]], ...]

PREFIXES: Mapping[str, Alternatives] = {
    "eq": ({"lo": ("$gte", "low"), "hi": ("$lte", "high")},),
    "ne": ({"lo": ("$lt", "low")}, {"hi": ("$gt", "high")}),
    "gt": ({"hi": ("$gt", "high")},),
    "lt": ({"lo": ("$lt", "low")},),
    # Above the search range or contained in it: both follow from these two, because lo <= hi.
    "ge": ({"lo": ("$gte", "low")}, {"hi": ("$gt", "high")}),
    "le": ({"hi": ("$lte", "high")}, {"lo": ("$lt", "low")}),
    "sa": ({"lo": ("$gt", "high")},),
    "eb": ({"hi": ("$lt", "low")},),
    "ap": ({"lo": ("$lte", "high"), "hi": ("$gte", "low")},),
}

RELATIONS: Mapping[str, Alternatives] = {**PREFIXES, "co": ({"lo": ("$lte", "low"), "hi": ("$gte", "high")},)}
"""The prefixes, and `co` of a filter: the target covers all of the search value. In a query text `co` is no prefix."""

MIRRORED: Mapping[str, str] = {"gt": "lt", "lt": "gt", "ge": "le", "le": "ge", "sa": "eb", "eb": "sa"}
"""The prefixes that mean another one where a greater value is a smaller amount."""

_COMPARE: Mapping[str, Callable[[Any, Any], bool]] = {
    "$gte": operator.ge, "$lte": operator.le, "$gt": operator.gt, "$lt": operator.lt,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Within:
    """A prefix with the range of the search value (doubles or datetimes; `ap` already widened)."""

    prefix: str
    low: Any
    high: Any


def alternatives(value: Within) -> list[dict[str, dict[str, Any]]]:
    """Return the filters over `lo` and `hi`, one of which must hold."""
    bounds = {"low": value.low, "high": value.high}
    return [
        {name: {comparison: bounds[side]} for name, (comparison, side) in row.items()}
        for row in RELATIONS[value.prefix]
    ]


def holds(value: Within, entry: Mapping[str, Any]) -> bool:
    """Return whether the range of an entry fulfils it; one without bounds never does."""
    if "lo" not in entry:
        return False
    bounds = {"low": value.low, "high": value.high}
    return any(
        all(_COMPARE[comparison](entry[name], bounds[side]) for name, (comparison, side) in row.items())
        for row in RELATIONS[value.prefix]
    )


def split(text: str) -> tuple[str, str]:
    """Return (prefix, rest); `eq` where no letters lead."""
    return (text[:2], text[2:]) if text[:2] in PREFIXES else ("eq", text)
