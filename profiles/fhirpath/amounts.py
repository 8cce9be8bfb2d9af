"""Amounts with units: UCUM, and words of the calendar, of which a year and a month have no length (FHIRPath N1, 4.1.8 and 6.1)."""

from collections.abc import Mapping
from decimal import Context, Decimal
from fractions import Fraction

from profiles.fhirpath.errors import FhirPathError, shown
from profiles.fhirpath.scope import Scope, Units
from profiles.fhirpath.syntax import Amount

NUMBERS = Context(prec=40, Emax=6144, Emin=-6143, traps=[])
"""Forty digits, so that 34 are right; what is no number is tested for and becomes empty."""

_CODES: Mapping[str, str] = {"week": "wk", "day": "d", "hour": "h", "minute": "min", "second": "s", "millisecond": "ms"}
_WORDS: Mapping[str, str] = {code: word for word, code in _CODES.items()}
_MONTHS: Mapping[str, int] = {"year": 12, "month": 1}
_SECONDS: Mapping[str, Fraction] = {
    "week": Fraction(604_800),
    "day": Fraction(86_400),
    "hour": Fraction(3_600),
    "minute": Fraction(60),
    "second": Fraction(1),
    "millisecond": Fraction(1, 1000),
}
_MOST_EXPONENT = 400

Measure = tuple[Fraction, str]


def measure(amount: Amount, units: Units | None) -> Measure | None:
    """Return how much an amount is, in a unit that all comparable ones share; `None` where its unit is not known."""
    if abs(amount.value.adjusted()) > _MOST_EXPONENT:
        return None
    if amount.calendar:
        months = _MONTHS.get(amount.unit)
        return (
            (Fraction(amount.value) * months, "calendar month")
            if months
            else (Fraction(amount.value) * _SECONDS[amount.unit], "s")
        )
    return units.canonical(amount.value, amount.unit) if units else (Fraction(amount.value), amount.unit)


def compare(one: Amount, other: Amount, units: Units | None) -> int | None:
    """Return -1, 0 or 1 as an amount is less, equal or more; `None` where they cannot be compared."""
    if one.unit == other.unit and one.calendar == other.calendar:
        return (one.value > other.value) - (one.value < other.value)
    first, second = measure(one, units), measure(other, units)
    if first is None or second is None or first[1] != second[1]:
        return None
    left, right = first[0], second[0]
    return (left > right) - (left < right)


def equivalent(one: Amount, other: Amount, units: Units | None) -> bool:
    """Return whether amounts are equal in the larger of their units, to the digits of the one that has fewer."""
    if _month_like(one) and _month_like(other) and one.calendar != other.calendar:
        return one.value == other.value and _month_like(one) == _month_like(other)
    first, second = (
        measure(Amount(Decimal(1), one.unit, one.calendar), units),
        measure(Amount(Decimal(1), other.unit, other.calendar), units),
    )
    if first is None or second is None or first[1] != second[1]:
        return one.unit == other.unit and near(one.value, other.value)
    large, small = (one, other) if first[0] >= second[0] else (other, one)
    converted = converted_to(small, large, units)
    return converted is not None and near(large.value, converted)


def _month_like(amount: Amount) -> str:
    """Return `year` or `month` for it and for its code in UCUM, which is equivalent but not equal; else nothing."""
    if amount.calendar:
        return amount.unit if amount.unit in _MONTHS else ""
    return {"a": "year", "mo": "month"}.get(amount.unit, "")


def near(one: Decimal, other: Decimal) -> bool:
    """Return whether numbers are equal to the digits after the point of the one that has fewer."""
    places = min(_places(one), _places(other))
    return rounded(one, places) == rounded(other, places)


def rounded(number: Decimal, places: int) -> Decimal:
    """Return a number with so many digits after the point; one that is too long for them as it is."""
    found = number.quantize(Decimal(1).scaleb(-places), context=NUMBERS)
    return found if found.is_finite() else number


def _places(number: Decimal) -> int:
    exponent = number.normalize(NUMBERS).as_tuple().exponent
    return max(-exponent, 0) if isinstance(exponent, int) else 0


def converted_to(amount: Amount, target: Amount, units: Units | None) -> Decimal | None:
    """Return the value of an amount in the unit of another; `None` where that is not possible."""
    if (amount.unit, amount.calendar) == (target.unit, target.calendar):
        return amount.value
    whole = measure(amount, units)
    one = measure(Amount(Decimal(1), target.unit, target.calendar), units)
    if whole is None or one is None or whole[1] != one[1]:
        return None
    if units and not (amount.calendar or target.calendar):
        found = units.convert(amount.value, amount.unit, target.unit)
    else:
        found = whole[0] / one[0] if one[0] else None
    return None if found is None else decimal(found)


def decimal(fraction: Fraction) -> Decimal | None:
    """Return a fraction as a decimal, `None` where it is out of range."""
    found = NUMBERS.divide(Decimal(fraction.numerator), Decimal(fraction.denominator))
    return found if found.is_finite() else None


def calendar_unit(amount: Amount) -> str:
    """Return the word of the calendar that an amount added to a date has.

    Raises:
        FhirPathError: It has none.
    """
    if amount.calendar:
        return amount.unit
    word = _WORDS.get(amount.unit) or amount.unit.removesuffix("s")
    if word in _CODES or word in _MONTHS:
        return word
    if amount.unit in {"a", "mo"}:
        raise FhirPathError(
            "execution",
            f"'{amount.unit}' is a definite length in UCUM, which a calendar does not have. Write {_month_like(amount)}s without quotes.",
        )
    raise FhirPathError(
        "execution",
        f"'{shown(amount.unit)}' is no unit of time. Add years, months, weeks, days, hours, minutes or seconds.",
    )


def product(one: Amount, other: Amount, scope: Scope, *, divide: bool) -> Amount | None:
    """Return the product or quotient of amounts; `None` where a number is out of range or divided by zero."""
    if divide and not other.value:
        return None
    value = NUMBERS.divide(one.value, other.value) if divide else NUMBERS.multiply(one.value, other.value)
    left, right = _code(one), _code(other)
    if right == "1":
        code = left
    elif divide:
        code = "1" if left == right else f"{left}/({right})" if set(right) & set("./") else f"{left}/{right}"
    else:
        code = right if left == "1" else f"{left}.({right})" if "/" in right else f"{left}.{right}"
    scope.fits(len(code))
    if len(code) > 200:
        raise FhirPathError("limit", "The unit of a product would have more than 200 characters.")
    return Amount(value, code) if value.is_finite() else None


def _code(amount: Amount) -> str:
    return _CODES.get(amount.unit, amount.unit) if amount.calendar else amount.unit
