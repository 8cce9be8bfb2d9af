"""What a unit is: an exact factor times a product of base units, possibly on a scale of its own."""

from dataclasses import dataclass, field
from decimal import Decimal
from fractions import Fraction
from typing import Self

from terminology.ucum.parser import InvalidUnit
from terminology.ucum.scales import Scale

MOST_BITS = 16_384
"""Numerators and denominators beyond it are refused; [pi] to the 70th power has that many."""

MOST_DIGITS = 2_000
"""Values of more digits, written out, are not converted."""

Dimension = tuple[tuple[str, int], ...]
"""Base units with their exponents, none of them 0, in the order of their codes."""


@dataclass(frozen=True, slots=True)
class Unit:
    """A unit.

    Attributes:
        factor: How many of the canonical unit it is; of a special unit, how many the argument of its scale is.
        dimension: What it measures: units of equal dimension can be compared. An arbitrary unit is a dimension of its own.
        scale: The scale of a special unit, `None` for all others.
        step: How many units of the scale one is: the prefix of a special unit (`dB`).
        canonical: The product of base units that it converts to, as a UCUM code; `1` for a pure number.
    """

    factor: Fraction
    dimension: Dimension = ()
    scale: Scale | None = None
    step: Fraction = Fraction(1)
    canonical: str = field(init=False)

    def __post_init__(self) -> None:
        parts = (code if exponent == 1 else f"{code}{exponent}" for code, exponent in self.dimension)
        object.__setattr__(self, "canonical", ".".join(parts) or "1")

    @property
    def rising(self) -> bool:
        """Whether a greater value is a greater amount of the canonical unit."""
        return self.scale is None or self.scale.rising

    def canonical_value(self, value: Decimal) -> Fraction | None:
        """Return a value of this unit in its canonical unit; `None` where it is beyond what is computed."""
        _, digits, exponent = value.as_tuple()
        if not isinstance(exponent, int):
            return None
        if len(digits) + abs(exponent) > MOST_DIGITS:
            return None if value else self.amount(Fraction(0))
        number, divisor = value.as_integer_ratio()
        if self.scale is None:
            return Fraction(number * self.factor.numerator, divisor * self.factor.denominator)
        return self.amount(Fraction(number, divisor))

    def amount(self, value: Fraction) -> Fraction | None:
        """Return a value of this unit in its canonical unit; `None` where it is beyond what is computed."""
        if self.scale is None:
            return value * self.factor
        found = self.scale.amount(value * self.step)
        return None if found is None else found * self.factor

    def value(self, amount: Fraction) -> Fraction | None:
        """Return the value of an amount of the canonical unit; `None` where this unit has none for it."""
        if self.scale is None:
            return amount / self.factor
        found = self.scale.value(amount / self.factor)
        return None if found is None else found / self.step

    def times(self, other: Self, sign: int = 1) -> "Unit":
        """Return the product with another unit, or with sign -1 the quotient.

        Raises:
            InvalidUnit: One of them is special and the other not a pure number, or the factor is beyond `MOST_BITS`.
        """
        if self.scale or other.scale:
            return _stretched(self, other, sign)
        factor = _bounded(self.factor * other.factor if sign > 0 else self.factor / other.factor)
        exponents = dict(self.dimension)
        for code, exponent in other.dimension:
            exponents[code] = exponents.get(code, 0) + sign * exponent
        return Unit(factor, _dimension(exponents))

    def power(self, exponent: int) -> "Unit":
        """Return the unit to a power.

        Raises:
            InvalidUnit: It is special, or the factor is beyond `MOST_BITS`.
        """
        if exponent == 1:
            return self
        if self.scale:
            raise InvalidUnit("A unit on a scale that is no ratio (such as Cel or dB) has no powers.")
        if _bits(self.factor) * abs(exponent) > 2 * MOST_BITS:
            raise InvalidUnit(f"The exponent {exponent} makes a number that is too large to compute with.")
        return Unit(
            _bounded(self.factor**exponent), _dimension({code: power * exponent for code, power in self.dimension})
        )


def _stretched(left: Unit, right: Unit, sign: int) -> Unit:
    """Return a special unit times a pure number, which acts like a prefix."""
    special, number = (left, right) if left.scale else (right, left)
    if number.scale or number.dimension or (sign < 0 and special is right):
        raise InvalidUnit(
            "A unit on a scale that is no ratio (such as Cel or dB) cannot be multiplied with or divided by another."
        )
    step = special.step * number.factor if sign > 0 else special.step / number.factor
    return Unit(special.factor, special.dimension, special.scale, _bounded(step))


def _dimension(exponents: dict[str, int]) -> Dimension:
    return tuple(sorted((code, exponent) for code, exponent in exponents.items() if exponent))


def _bounded(factor: Fraction) -> Fraction:
    if _bits(factor) > MOST_BITS:
        raise InvalidUnit(
            "The factors of the unit make a number that is too large to compute with. Write it with fewer."
        )
    return factor


def _bits(factor: Fraction) -> int:
    return max(factor.numerator.bit_length(), factor.denominator.bit_length())
