"""Quantity parameters: number, system and unit (R4 3.1.1.4.11).

A stored entry is `{u, s, n, lo, hi}`: unit code, its system, the human unit where it differs from the code, and the range
as doubles. A comparator opens the range (`<5` reaches from minus infinity to just below 5).
"""

from collections.abc import Iterator, Sequence
from decimal import Decimal, InvalidOperation
from math import inf, nextafter
from typing import Any

from fhir_server.search.params import Param
from fhir_server.search.reading import PLAIN, Reading

CURRENCIES = "urn:iso:std:iso:4217"


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
            bounds = _bounds(value) if "value" in value else None
            yield {**_unit(value), **({"lo": bounds[0], "hi": bounds[1]} if bounds else {})}


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
