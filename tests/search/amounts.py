"""The units that Synthea writes, told by hand: of what kind each is, and how many of UCUM's base units of its kind."""

from decimal import Decimal
from fractions import Fraction
from math import inf
from typing import Any

UCUM = "http://unitsofmeasure.org"
CURRENCIES = "urn:iso:std:iso:4217"
BESIDE = {"<": -Fraction(1, 10**40), ">": Fraction(1, 10**40)}
"""How far from the number that is stated a value is at least."""
MOLE = Fraction("6.02214076e23")

UNITS: dict[str, tuple[str, Fraction]] = {
    "mg/dL": ("g/m3", Fraction(10)),
    "g/dL": ("g/m3", Fraction(10**4)),
    "g/L": ("g/m3", Fraction(1000)),
    "ng/mL": ("g/m3", Fraction(1, 1000)),
    "pg/mL": ("g/m3", Fraction(1, 10**6)),
    "mmol/L": ("1/m3", MOLE),
    "10*3/uL": ("1/m3", Fraction(10**12)),
    "10*6/uL": ("1/m3", Fraction(10**15)),
    "U/L": ("1/m3/s", MOLE / 60 / 1000),
    "kU/L": ("1/m3/s", MOLE / 60),
    "mL/min": ("m3/s", Fraction(1, 60 * 10**6)),
    "mL/min/{1.73_m2}": ("m3/s", Fraction(1, 60 * 10**6)),
    "fL": ("m3", Fraction(1, 10**18)),
    "cm": ("m", Fraction(1, 100)),
    "mm": ("m", Fraction(1, 1000)),
    "kg": ("g", Fraction(1000)),
    "pg": ("g", Fraction(1, 10**12)),
    "kg/m2": ("g/m2", Fraction(1000)),
    "mm[Hg]": ("g/m/s2", Fraction("133322")),
    "%": ("1", Fraction(1, 100)),
    "1": ("1", Fraction(1)),
    "{score}": ("1", Fraction(1)),
    "{T-score}": ("1", Fraction(1)),
    "{count}": ("1", Fraction(1)),
}

SCALES = {"Cel": ("K", Fraction("273.15"))}
"""Of degrees what is added."""


def amount(quantity: dict[str, object]) -> tuple[str, Fraction]:
    """Return the kind and the amount of a quantity in UCUM's base units; the kind is empty where its unit converts to no other."""
    value, code = Fraction(str(quantity["value"])), str(quantity.get("code"))
    if quantity.get("system") != UCUM:
        return "", value
    if code in SCALES:
        kind, zero = SCALES[code]
        return kind, value + zero
    kind, factor = UNITS.get(code, ("", Fraction(1)))
    return kind, value * factor


def within(quantity: dict[str, object], code: str) -> Fraction | None:
    """Return the value of a quantity in a unit of UCUM, `None` where it does not convert to it."""
    if quantity.get("system") != UCUM or "value" not in quantity:
        return None
    if quantity.get("code") == code:
        return Fraction(str(quantity["value"]))
    kind, found = amount(quantity)
    return found / UNITS[code][1] if kind and UNITS.get(code, ("none",))[0] == kind else None


def others(code: str) -> list[str]:
    """Return the units of the same kind."""
    kind, _ = UNITS.get(code, ("", None))
    return [other for other, (of, _) in UNITS.items() if of == kind and other != code]


def ends(value: dict[str, Any]) -> tuple[dict[str, Any] | None, dict[str, Any] | None]:
    """Return the lower and the upper end of a quantity, an amount of money, a range or a row of samples, `None` where it is open."""
    if "origin" in value:
        return _extremes(value)
    if "low" in value or "high" in value:
        return value.get("low"), value.get("high")
    if "currency" in value:
        value = {**value, "system": CURRENCIES, "code": value["currency"]}
    if "value" not in value:
        return None, None
    comparator = value.get("comparator", "")
    return None if "<" in comparator else value, None if ">" in comparator else value


def least(value: dict[str, Any]) -> Fraction | float | None:
    """Return what a value is sorted by: the amount at its lower end, `None` where it has none."""
    low, high = ends(value)
    if low is None:
        return None if high is None else -inf
    return amount(low)[1] + BESIDE.get(low.get("comparator", ""), 0)


def _extremes(value: dict[str, Any]) -> tuple[dict[str, Any] | None, dict[str, Any] | None]:
    """Return the least and the greatest of a row of samples, counted from its origin; errors are none."""
    limits = {"L": value.get("lowerLimit"), "U": value.get("upperLimit")}
    row = [limits.get(text, text) for text in value.get("data", "").split() if text != "E"]
    origin, factor = (Decimal(str(one)) for one in (value["origin"]["value"], value.get("factor", 1)))
    found = [origin + Decimal(str(one)) * factor for one in row if one is not None]
    if not found:
        return None, None
    low, high = ({**value["origin"], "value": f"{end:f}"} for end in (min(found), max(found)))
    return low, high


def reach(value: dict[str, Any], code: str = "") -> tuple[Fraction | None, Fraction | None] | None:
    """Return the numbers at both ends, at will in a unit of UCUM; `None` where there is none, or it does not convert."""
    found: list[Fraction | None] = []
    for end in ends(value):
        number = None
        if end is not None:
            number = within(end, code) if code else Fraction(str(end["value"]))
            if number is None:
                return None
            number += BESIDE.get(end.get("comparator", ""), 0)
        found.append(number)
    return (found[0], found[1]) if any(number is not None for number in found) else None
