"""Fixed values, patterns and limits (R4 ElementDefinition.fixed, pattern, minValue, maxValue, maxLength)."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import msgspec

from profiles.fhirpath.scope import Units
from profiles.validate.messages import shown

Json = dict[str, Any]
Test = Callable[[Any], bool]

MOST_SHOWN = 120
UCUM = "http://unitsofmeasure.org"


def stated(row: Json, prefix: str) -> Any:
    """Return the value that a row states as `fixedX` or `patternX`, `None` where it states none."""
    return next((value for key, value in row.items() if key.startswith(prefix) and key != prefix), None)


def equal(found: Any, expected: Any) -> bool:
    """Return whether two JSON values are the same: numbers by value, objects by their members, arrays in order."""
    if isinstance(expected, dict):
        return (
            isinstance(found, dict)
            and found.keys() == expected.keys()
            and all(equal(found[key], value) for key, value in expected.items())
        )
    if isinstance(expected, list):
        return (
            isinstance(found, list)
            and len(found) == len(expected)
            and all(equal(one, other) for one, other in zip(found, expected, strict=True))
        )
    return _same(found, expected)


def contains(found: Any, pattern: Any) -> bool:
    """Return whether a JSON value has all that a pattern has; each item of an array in it matches some item."""
    if isinstance(pattern, dict):
        return isinstance(found, dict) and all(
            key in found and contains(found[key], value) for key, value in pattern.items()
        )
    if isinstance(pattern, list):
        return isinstance(found, list) and all(any(contains(one, part) for one in found) for part in pattern)
    return _same(found, pattern)


def pattern(stated: Any) -> Test:
    """Return whether a value has all that a pattern has: `contains`, prepared for concepts of one coding, which most are."""
    rows = stated.get("coding") if isinstance(stated, dict) and stated.keys() == {"coding"} else None
    if not isinstance(rows, list) or len(rows) != 1 or not isinstance(rows[0], dict):
        return lambda found: contains(found, stated)
    members = tuple(rows[0].items())
    if not all(isinstance(value, str) for _, value in members):
        return lambda found: contains(found, stated)

    def has(found: Any) -> bool:
        codings = found.get("coding") if type(found) is dict else None
        for one in codings if type(codings) is list else ():
            if type(one) is dict:
                for key, value in members:
                    if one.get(key) != value:
                        break
                else:
                    return True
        return False

    return has


def below(found: Any, least: Any, units: Units | None = None) -> bool:
    """Return whether a value is lower than another of its kind; values that cannot be compared are not.

    Args:
        found: A number, a date, or a Quantity.
        least: The other.
        units: Units of measure; without them quantities of different units cannot be compared.
    """
    if isinstance(found, dict) and isinstance(least, dict):
        return _quantity_below(found, least, units)
    if _number(found) and _number(least):
        return bool(found < least)
    if isinstance(found, str) and isinstance(least, str):
        # Dates: as far as both are precise.
        length = min(len(found), len(least))
        return found[:length] < least[:length]
    return False


def _quantity_below(found: Json, least: Json, units: Units | None) -> bool:
    value: Any = found.get("value")
    other: Any = least.get("value")
    if not _number(value) or not _number(other):
        return False
    if all(found.get(key) == least.get(key) for key in ("system", "code")):
        return bool(value < other)
    codes = [
        row.get("code") for row in (found, least) if row.get("system") == UCUM and isinstance(row.get("code"), str)
    ]
    if units is None or len(codes) < 2:
        return False
    one, two = units.canonical(Decimal(value), str(codes[0])), units.canonical(Decimal(other), str(codes[1]))
    return one is not None and two is not None and one[1] == two[1] and one[0] < two[0]


def text(value: Any) -> str:
    """Return a value as a message shows it."""
    if isinstance(value, str):
        return f"'{shown(value)}'"
    if isinstance(value, dict | list):
        plain = msgspec.json.Encoder(decimal_format="number").encode(value).decode()
        return plain if len(plain) <= MOST_SHOWN else plain[: MOST_SHOWN - 1] + "…"
    return shown(value)


def _number(value: Any) -> bool:
    return isinstance(value, int | Decimal) and not isinstance(value, bool)


def _same(found: Any, expected: Any) -> bool:
    if isinstance(found, bool) or isinstance(expected, bool):
        return found is expected
    return bool(found == expected)
