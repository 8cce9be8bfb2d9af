"""Quantity parameters: number, system and unit (R4 3.1.1.4.11).

A stored entry is `{u, s, n, lo, hi}`: unit code, its system, the human unit where it differs from the code, and the range
as doubles. A comparator opens the range (`<5` reaches from minus infinity to just below 5).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from math import inf, nextafter
from typing import Any

from fhir_server.search.escapes import plain, split
from fhir_server.search.expression import Criterion, Expression
from fhir_server.search.params import Param
from fhir_server.search.reading import PLAIN, Reading
from fhir_server.search.types import number, ranges
from fhir_server.search.types.ranges import Within
from fhir_server.search.types.refusal import refusal

MODIFIERS: frozenset[str] = frozenset()
EXAMPLE = (
    "number, number|system|code or number||unit, such as 5.4|http://unitsofmeasure.org|mg; "
    f"prefixes are {', '.join(ranges.PREFIXES)}"
)

CURRENCIES = "urn:iso:std:iso:4217"


@dataclass(frozen=True, slots=True)
class Amount:
    """A range with what the unit must be.

    Attributes:
        within: Prefix and range.
        system: System of the unit code; empty for any, `unit` is then the code or the human unit.
        unit: Unit; empty for any.
    """

    within: Within
    system: str = ""
    unit: str = ""


def entries(values: Sequence[tuple[str, Any]], param: Param, reading: Reading = PLAIN) -> list[dict[str, Any]]:
    """Return the entry of each quantity, money, range or sampled data; without bounds where it has no value."""
    return [entry for type_name, value in values for entry in _entries(type_name, value)]


def _entries(type_name: str, value: dict[str, Any]) -> Iterator[dict[str, Any]]:
    match type_name:
        case "Range":
            low, high = value.get("low", {}), value.get("high", {})
            lo = _bounds(low)[0] if "value" in low else -inf
            hi = _bounds(high)[1] if "value" in high else inf
            yield {**_unit({**high, **low}), "lo": lo, "hi": hi}
        case "SampledData":
            bounds = _sampled(value)
            yield {**_unit(value.get("origin", {})), **({"lo": bounds[0], "hi": bounds[1]} if bounds else {})}
        case "Money":
            unit = {"u": value["currency"], "s": CURRENCIES} if "currency" in value else {}
            yield {**unit, **({"lo": float(value["value"]), "hi": float(value["value"])} if "value" in value else {})}
        case _:
            found: dict[str, Any] = _unit(value)
            if "value" in value:
                found["lo"], found["hi"] = _bounds(value)
            yield found


def _unit(value: dict[str, Any]) -> dict[str, str]:
    named = {"u": value.get("code"), "s": value.get("system"), "n": value.get("unit")}
    if named["n"] == named["u"]:
        del named["n"]
    return {key: text for key, text in named.items() if isinstance(text, str)}


def _bounds(value: dict[str, Any]) -> tuple[float, float]:
    point = float(value["value"])
    match value.get("comparator"):
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


def _sampled(value: dict[str, Any]) -> tuple[float, float] | None:
    """Return the least and greatest sample; `E` (error) is no sample, `L` and `U` are the limits of detection."""
    origin = Decimal(str(value.get("origin", {}).get("value", 0)))
    factor = Decimal(str(value.get("factor", 1)))
    limits = {"L": value.get("lowerLimit"), "U": value.get("upperLimit")}
    samples: list[float] = []
    for text in str(value.get("data", "")).split():
        try:
            sample = limits[text] if text in limits else Decimal(text)
        except InvalidOperation:
            continue
        if sample is not None:
            samples.append(float(origin + Decimal(str(sample)) * factor))
    return (min(samples), max(samples)) if samples else None


def parse(param: Param, modifier: str, texts: Sequence[str], reading: Reading = PLAIN) -> Expression:
    """Return the criterion "a quantity of the parameter stands to one of these as its prefix says".

    Raises:
        InvalidParameter: A text has not one or three parts, or the first is not a number.
    """
    return Criterion(param, tuple(_amount(param, text) for text in texts))


def predicate(criterion: Criterion) -> dict[str, Any]:
    """Return the filter over stored documents."""
    found = [
        {**_of_unit(amount), **bounds} for amount in criterion.values for bounds in ranges.alternatives(amount.within)
    ]
    return {criterion.param.field: {"$elemMatch": found[0] if len(found) == 1 else {"$or": found}}}


def matches(criterion: Criterion, entries: Sequence[dict[str, Any]]) -> bool:
    """Return whether an entry fulfils the criterion."""
    return any(
        _has_unit(amount, entry) and ranges.holds(amount.within, entry)
        for amount in criterion.values
        for entry in entries
    )


def _amount(param: Param, text: str) -> Amount:
    parts = [plain(part) for part in split(text, "|")]
    within = number.within(parts[0])
    if within is None or len(parts) not in {1, 3}:
        raise refusal(param, text, EXAMPLE)
    return Amount(within, *parts[1:])


def _of_unit(amount: Amount) -> dict[str, Any]:
    if amount.system:
        return {"s": amount.system, **({"u": amount.unit} if amount.unit else {})}
    return {"$or": [{"u": amount.unit}, {"n": amount.unit}]} if amount.unit else {}


def _has_unit(amount: Amount, entry: dict[str, Any]) -> bool:
    if amount.system:
        return entry.get("s") == amount.system and amount.unit in {"", entry.get("u")}
    return amount.unit in {"", entry.get("u"), entry.get("n")}
