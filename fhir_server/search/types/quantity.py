"""Quantity parameters: number, system and unit (R4 3.1.1.4.11).

A stored entry is `{u, s, n, lo, hi}`: unit code, its system, the human unit where it differs from the code, and the range
as doubles. A comparator opens the range (`<5` reaches from minus infinity to just below 5). Where the unit is one that
converts (UCUM), the entry also has `{cu, clo, chi}`: the canonical unit, and the range in it. Conversion is exact and
rounded once, on both sides alike, so that equal amounts have equal doubles whatever unit they were written in.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from fractions import Fraction
from functools import lru_cache
from math import inf, nextafter
from typing import Any

from fhir_server.search.escapes import plain, split
from fhir_server.search.expression import Criterion, Expression
from fhir_server.search.params import Param
from fhir_server.search.reading import PLAIN, Reading, Unit, Units
from fhir_server.search.types import number, ranges
from fhir_server.search.types.number import Stated
from fhir_server.search.types.ranges import Within
from fhir_server.search.types.refusal import refusal

MODIFIERS: frozenset[str] = frozenset()
EXAMPLE = (
    "number, number|system|code or number||unit, such as 5.4|http://unitsofmeasure.org|mg; "
    f"prefixes are {', '.join(ranges.PREFIXES)}"
)

CURRENCIES = "urn:iso:std:iso:4217"
LONGEST_KEPT = 40
"""Values of more characters are not kept in memory."""
MIRRORED: Mapping[str, str] = {"<": ">", "<=": ">=", ">=": "<=", ">": "<"}
"""What a comparator means where a greater value is a smaller amount."""


@dataclass(frozen=True, slots=True)
class Canonical:
    """A range in a canonical unit."""

    unit: str
    within: Within


@dataclass(frozen=True, slots=True)
class Amount:
    """A range with what the unit must be.

    Attributes:
        within: Prefix and range.
        system: System of the unit code; empty for any, `unit` is then the code or the human unit.
        unit: Unit; empty for any.
        canonical: The same in the canonical unit, `None` where the unit does not convert.
    """

    within: Within
    system: str = ""
    unit: str = ""
    canonical: Canonical | None = None


def entries(values: Sequence[tuple[str, Any]], param: Param, reading: Reading = PLAIN) -> list[dict[str, Any]]:
    """Return the entry of each quantity, money, range or sampled data; without bounds where it has no value."""
    return [_entry(type_name, value, reading) for type_name, value in values]


def _entry(type_name: str, value: dict[str, Any], reading: Reading) -> dict[str, Any]:
    named, ends = _ends(type_name, value)
    found: dict[str, Any] = _unit(named)
    if ends:
        found["lo"], found["hi"] = _bounds(ends[0])[0], _bounds(ends[-1])[1]
        found |= _canonical(ends, reading)
    return found


def _ends(type_name: str, value: dict[str, Any]) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Return the quantity that names the unit, and the least and the greatest, or the only one, that have values."""
    match type_name:
        case "Range":
            low, high = value.get("low", {}), value.get("high", {})
            if "value" in low and "value" in high:
                return {**high, **low}, [low, high]
            sides = ((low, ">="), (high, "<="))
            return {**high, **low}, [{**side, "comparator": reach} for side, reach in sides if "value" in side]
        case "SampledData":
            origin, samples = value.get("origin", {}), _samples(value)
            return origin, [{**origin, "value": end(samples)} for end in (min, max)] if samples else []
        case "Money":
            named = {"code": value["currency"], "system": CURRENCIES} if "currency" in value else {}
            return named, [value] if "value" in value else []
        case _:
            return value, [value] if "value" in value else []


def _unit(value: dict[str, Any]) -> dict[str, str]:
    named = {"u": value.get("code"), "s": value.get("system"), "n": value.get("unit")}
    if named["n"] == named["u"]:
        del named["n"]
    return {key: text for key, text in named.items() if isinstance(text, str)}


def _bounds(value: Mapping[str, Any]) -> tuple[float, float]:
    return _reach(float(value["value"]), value.get("comparator"))


def _reach(point: float, comparator: str | None) -> tuple[float, float]:
    match comparator:
        case "<":
            return -inf, nextafter(point, -inf)
        case "<=":
            return -inf, point
        case ">=":
            return point, inf
        case ">":
            return nextafter(point, inf), inf
        case _:
            return point, point


def _canonical(ends: Sequence[Mapping[str, Any]], reading: Reading) -> dict[str, Any]:
    """Return `cu`, `clo` and `chi`; nothing where an end does not convert, or to another unit than the other."""
    first = _span(ends[0], reading)
    if first is None or len(ends) == 1:
        return {"cu": first[0], "clo": first[1], "chi": first[2]} if first else {}
    last = _span(ends[-1], reading)
    if last is None or last[0] != first[0]:
        return {}
    # The lower end comes last on a scale where more is less.
    return {"cu": first[0], "clo": min(first[1], last[1]), "chi": max(first[2], last[2])}


def _span(value: Mapping[str, Any], reading: Reading) -> tuple[str, float, float] | None:
    """Return the canonical unit of a quantity and the bounds in it, `None` where it does not convert."""
    units, code = reading.units, value.get("code")
    if units is None or value.get("system") != units.system or not isinstance(code, str):
        return None
    digits = str(value["value"])
    found = (_repeated if len(digits) <= LONGEST_KEPT else _converted_point)(units, code, digits)
    if found is None:
        return None
    unit, point, rising = found
    comparator = value.get("comparator")
    if comparator is None:
        return unit, point, point
    return unit, *_reach(point, comparator if rising else MIRRORED.get(comparator))


def _converted_point(units: Units, code: str, digits: str) -> tuple[str, float, bool] | None:
    """Return the canonical unit, the value in it, and whether it rises with the value; `None` where it does not convert."""
    unit = units.unit(code)
    amount = unit.canonical_value(Decimal(digits)) if unit is not None else None
    return None if unit is None or amount is None else (unit.canonical, _double(amount), unit.rising)


# Heart rates, doses and prices repeat: converting one again costs a tenth of the 6 µs that it takes.
_repeated = lru_cache(maxsize=4096)(_converted_point)


def _convertible(system: Any, code: Any, reading: Reading) -> Unit | None:
    units = reading.units
    return units.unit(code) if units is not None and system == units.system and isinstance(code, str) else None


def _decimal(value: Any) -> Decimal:
    return value if isinstance(value, Decimal) else Decimal(str(value))


def _double(amount: Fraction) -> float:
    try:
        return float(amount)
    except OverflowError:
        return inf if amount > 0 else -inf


def _samples(value: dict[str, Any]) -> list[Decimal]:
    """Return the samples; `E` (error) is none, `L` and `U` are the limits of detection."""
    origin = _decimal(value.get("origin", {}).get("value", 0))
    factor = _decimal(value.get("factor", 1))
    limits = {"L": value.get("lowerLimit"), "U": value.get("upperLimit")}
    samples: list[Decimal] = []
    for text in str(value.get("data", "")).split():
        try:
            sample = limits[text] if text in limits else Decimal(text)
        except InvalidOperation:
            continue
        if sample is not None:
            samples.append(origin + _decimal(sample) * factor)
    return samples


def parse(param: Param, modifier: str, texts: Sequence[str], reading: Reading = PLAIN) -> Expression:
    """Return the criterion "a quantity of the parameter stands to one of these as its prefix says".

    Raises:
        InvalidParameter: A text has not one or three parts, or the first is not a number.
    """
    return Criterion(param, tuple(_amount(param, text, reading) for text in texts))


def predicate(criterion: Criterion) -> dict[str, Any]:
    """Return the filter over stored documents."""
    found = [one for amount in criterion.values for one in _alternatives(amount)]
    return {criterion.param.field: {"$elemMatch": found[0] if len(found) == 1 else {"$or": found}}}


def matches(criterion: Criterion, entries: Sequence[dict[str, Any]]) -> bool:
    """Return whether an entry fulfils the criterion."""
    return any(_holds(amount, entry) for amount in criterion.values for entry in entries)


def _amount(param: Param, text: str, reading: Reading) -> Amount:
    parts = [plain(part) for part in split(text, "|")]
    stated = number.stated(parts[0])
    if stated is None or len(parts) not in {1, 3}:
        raise refusal(param, text, EXAMPLE)
    if len(parts) == 1:
        return Amount(stated.within())
    _, system, code = parts
    return Amount(stated.within(), system, code, _converted(stated, _convertible(system, code, reading)))


def _converted(stated: Stated, unit: Unit | None) -> Canonical | None:
    """Return the range in the canonical unit: both ends of the implicit precision are converted, not the number alone."""
    if unit is None or any(unit.canonical_value(end) is None for end in (stated.low, stated.point, stated.high)):
        return None

    def double(value: Decimal) -> float:
        return _double(unit.canonical_value(value) or Fraction(0))

    return Canonical(unit.canonical, stated.within(double, rising=unit.rising))


def _alternatives(amount: Amount) -> list[dict[str, Any]]:
    """Return the filters over an entry, one of which must hold: in its own unit, or in the canonical one.

    Both are asked, so that a unit is found by its code even where a value has not been converted: because it is beyond
    what is computed, or was indexed by an earlier version.
    """
    found = [{**_of_unit(amount), **bounds} for bounds in ranges.alternatives(amount.within)]
    if amount.canonical:
        within = ranges.alternatives(amount.canonical.within)
        of_unit = {"cu": amount.canonical.unit}
        found += [{**of_unit, **{f"c{name}": bound for name, bound in bounds.items()}} for bounds in within]
    return found


def _holds(amount: Amount, entry: Mapping[str, Any]) -> bool:
    if _has_unit(amount, entry) and ranges.holds(amount.within, entry):
        return True
    canonical = amount.canonical
    if canonical is None or entry.get("cu") != canonical.unit:
        return False
    return ranges.holds(canonical.within, {"lo": entry["clo"], "hi": entry["chi"]})


def _of_unit(amount: Amount) -> dict[str, Any]:
    if amount.system:
        return {"s": amount.system, **({"u": amount.unit} if amount.unit else {})}
    return {"$or": [{"u": amount.unit}, {"n": amount.unit}]} if amount.unit else {}


def _has_unit(amount: Amount, entry: Mapping[str, Any]) -> bool:
    if amount.system:
        return entry.get("s") == amount.system and amount.unit in {"", entry.get("u")}
    return amount.unit in {"", entry.get("u"), entry.get("n")}
