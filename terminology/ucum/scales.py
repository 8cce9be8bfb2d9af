"""Scales of special units: what is measured on them is a function of an amount, not a multiple of it.

UCUM (https://ucum.org/ucum#section-Special-Units-on-non-ratio-Scales) names a function for each: `Cel` of `1 K`, `lg` of
`1 W`. A row of the table says how a value on the scale is turned into an amount of that argument, and back.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Context, Decimal
from fractions import Fraction

MOST_POWER = 400
"""Amounts beyond ten to this power are not computed: a double holds 308."""

# Twice the digits of a double, so that rounding to one is right.
_DIGITS = Context(prec=40)

Function = Callable[[Fraction], Fraction | None]


@dataclass(frozen=True, slots=True)
class Scale:
    """A scale.

    Attributes:
        amount: The amount that a value on the scale stands for, `None` where it cannot be computed.
        value: The value on the scale that stands for an amount, `None` where no value does.
        rising: Whether a greater value stands for a greater amount; of a pH it stands for a smaller one.
    """

    amount: Function
    value: Function
    rising: bool = True


def _shifted(by: str) -> Scale:
    zero = Fraction(by)
    return Scale(lambda value: value + zero, lambda amount: amount - zero)


def _logarithm(base: int, factor: int = 1) -> Scale:
    """Return the scale `factor * log(amount)` to a base; `factor` is negative where more is written as less."""
    step = _DIGITS.log10(Decimal(base)) / factor

    def amount(value: Fraction) -> Fraction | None:
        power = _DIGITS.multiply(_decimal(value), step)
        return Fraction(_DIGITS.power(Decimal(10), power)) if abs(power) <= MOST_POWER else None

    def value(amount: Fraction) -> Fraction | None:
        return Fraction(_DIGITS.divide(_DIGITS.log10(_decimal(amount)), step)) if amount > 0 else None

    return Scale(amount, value, rising=factor > 0)


def _natural() -> Scale:
    def amount(value: Fraction) -> Fraction | None:
        return Fraction(_DIGITS.exp(_decimal(value))) if abs(value) <= 2 * MOST_POWER else None

    def value(amount: Fraction) -> Fraction | None:
        return Fraction(_DIGITS.ln(_decimal(amount))) if amount > 0 else None

    return Scale(amount, value)


def _root() -> Scale:
    def value(amount: Fraction) -> Fraction | None:
        return Fraction(_DIGITS.sqrt(_decimal(amount))) if amount >= 0 else None

    return Scale(lambda value: value * value, value)


def _slope(full: float) -> Scale:
    """Return the scale "a hundred times the tangent of an angle", the angle in a unit of which a circle has `full`."""
    unit = full / math.tau

    def amount(value: Fraction) -> Fraction | None:
        return Fraction(math.atan(value / 100) * unit)

    def value(amount: Fraction) -> Fraction | None:
        return Fraction(100 * math.tan(amount / unit)) if abs(amount) < full / 4 else None

    return Scale(amount, value)


def _decimal(value: Fraction) -> Decimal:
    return _DIGITS.divide(Decimal(value.numerator), Decimal(value.denominator))


def scales() -> Mapping[str, Scale]:
    """Return the scales by the name of their function in the essence."""
    return {
        "Cel": _shifted("273.15"),
        "degF": _shifted("459.67"),
        "degRe": _shifted("218.52"),
        "tanTimes100": _slope(math.tau),
        "100tan": _slope(360),
        "hpX": _logarithm(10, -1),
        "hpC": _logarithm(100, -1),
        "hpM": _logarithm(1_000, -1),
        "hpQ": _logarithm(50_000, -1),
        "pH": _logarithm(10, -1),
        "ln": _natural(),
        "lg": _logarithm(10),
        "lgTimes2": _logarithm(10, 2),
        "ld": _logarithm(2),
        "sqrt": _root(),
    }
