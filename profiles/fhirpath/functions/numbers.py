"""Mathematics (FHIRPath N1, 5.7), boundaries and precision. A result that is no number, or out of range, is empty."""

from collections.abc import Callable, Mapping
from decimal import ROUND_CEILING, ROUND_DOWN, ROUND_FLOOR, ROUND_HALF_UP, Decimal

from profiles.fhirpath import moments
from profiles.fhirpath.amounts import NUMBERS, measure
from profiles.fhirpath.arithmetic import number as bounded
from profiles.fhirpath.errors import FhirPathError
from profiles.fhirpath.functions.row import EMPTY, Function, boolean, named, number, whole
from profiles.fhirpath.moments import Moment
from profiles.fhirpath.scope import Scope, single
from profiles.fhirpath.syntax import Amount
from profiles.fhirpath.values import Item, Items, system

_MOST_PLACES = 28
_MOST_POWER = 6_000


def _one(items: Items, what: str) -> Item | None:
    item = single(items, what)
    return None if item is None else system(item)


def _decimal(name: str, work: Callable[[Decimal], Decimal]) -> Function:
    """Return a function of a number that gives a decimal."""

    def run(items: Items, scope: Scope) -> Items:
        value = number(items, f"{name}()")
        found = None if value is None else bounded(work(Decimal(value)))
        return EMPTY if found is None else [found]

    return Function(run, takes="Number", gives="Decimal")


def _integer(name: str, rounding: str) -> Function:
    """Return a function that rounds a number to an integer."""

    def run(items: Items, scope: Scope) -> Items:
        value = number(items, f"{name}()")
        if value is None or abs(Decimal(value)) >= 2**31:
            return EMPTY
        return [int(Decimal(value).to_integral_value(rounding))]

    return Function(run, takes="Number", gives="Integer")


def _abs(items: Items, scope: Scope) -> Items:
    match _one(items, "abs()"):
        case None:
            return EMPTY
        case Amount(value, unit, calendar):
            return [Amount(abs(value), unit, calendar)]
        case _:
            found = number(items, "abs()")
            return EMPTY if found is None else [-found if found < 0 else found]


def _log(items: Items, scope: Scope, base: Items) -> Items:
    value, root = number(items, "log()"), number(base, "The base of log()")
    if value is None or root is None or value <= 0 or root <= 0 or root == 1:
        return EMPTY
    found: Decimal = NUMBERS.divide(NUMBERS.ln(Decimal(value)), NUMBERS.ln(Decimal(root)))
    # A logarithm that is a whole number has an error in the last digits only.
    near = found.quantize(Decimal("1e-30"), context=NUMBERS) if abs(found) < 10**8 else found
    return [near.normalize(NUMBERS) if near.is_finite() else found]


def _power(items: Items, scope: Scope, exponent: Items) -> Items:
    value, power = number(items, "power()"), number(exponent, "The exponent of power()")
    if value is None or power is None or not -_MOST_POWER <= power <= _MOST_POWER:
        return EMPTY
    found: Decimal = NUMBERS.power(Decimal(value), Decimal(power))
    if not found.is_finite():
        return EMPTY
    if type(value) is int and type(power) is int and power >= 0:
        return [int(found)] if abs(found) < 2**31 else EMPTY
    return [found]


def _round(items: Items, scope: Scope, places: Items | None = None) -> Items:
    value = number(items, "round()")
    digits = 0 if places is None else whole(places, "The precision of round()")
    if value is None or digits is None:
        return EMPTY
    if not 0 <= digits <= _MOST_PLACES:
        raise FhirPathError(
            "execution", f"round() takes 0 to {_MOST_PLACES} digits after the point, but found {digits}."
        )
    if isinstance(value, int):
        return [value if places is None else Decimal(value)]
    rounding = NUMBERS.copy()
    rounding.rounding = ROUND_HALF_UP
    found = value.quantize(Decimal(1).scaleb(-digits), context=rounding)
    return [found if found.is_finite() else value]


def _boundary(name: str, *, high: bool) -> Function:
    def run(items: Items, scope: Scope, digits: Items | None = None) -> Items:
        value = _one(items, f"{name}()")
        wanted = None if digits is None else whole(digits, f"The precision of {name}()")
        match value:
            case None:
                return EMPTY
            case Moment():
                found: Item | None = moments.boundary(value, wanted, high=high)
            case Amount(number, unit, calendar):
                bound = _bound(number, wanted, high=high)
                found = None if bound is None else Amount(bound, unit, calendar)
            case int() | Decimal() if not isinstance(value, bool):
                found = _bound(Decimal(value), wanted, high=high)
            case _:
                raise FhirPathError(
                    "execution", f"{name}() takes a number, quantity, date or time, but found {named(value)}."
                )
        return EMPTY if found is None else [found]

    return Function(run, 0, 1)


def _bound(value: Decimal, wanted: int | None, *, high: bool) -> Decimal | None:
    """Return the least or greatest number that is written as the value when it is rounded, to so many digits after the point."""
    places = 8 if wanted is None else wanted
    exponent = value.as_tuple().exponent
    if not 0 <= places <= _MOST_PLACES or not isinstance(exponent, int) or abs(value.adjusted()) > _MOST_PLACES:
        return None
    half = Decimal(5).scaleb(min(exponent, 0) - 1)
    bound = NUMBERS.add(value, half if high else -half)
    step = Decimal(1).scaleb(-places)
    if bound and bound.adjusted() < -places - 1:
        # Too small for a digit at that precision: the official tests want 0 there, not the next step away from it.
        return Decimal(0).quantize(step)
    rounding = NUMBERS.copy()
    rounding.rounding = ROUND_CEILING if high else ROUND_FLOOR
    found = bound.quantize(step, context=rounding)
    return found if found.is_finite() else None


def _precision(items: Items, scope: Scope) -> Items:
    match _one(items, "precision()"):
        case None:
            return EMPTY
        case Moment() as moment:
            return [moment.digits]
        case Decimal() as value:
            return [max(-int(value.as_tuple().exponent), 0)]
        case int() as value if not isinstance(value, bool):
            return [0]
        case value:
            raise FhirPathError("execution", f"precision() takes a decimal, date or time, but found {named(value)}.")


def _comparable(items: Items, scope: Scope, other: Items) -> Items:
    one, two = _one(items, "comparable()"), _one(other, "The argument of comparable()")
    if one is None or two is None:
        return EMPTY
    if not isinstance(one, Amount) or not isinstance(two, Amount):
        raise FhirPathError("execution", f"comparable() takes quantities, but found {named(one)} and {named(two)}.")
    first, second = measure(one, scope.units), measure(two, scope.units)
    return boolean(first is not None and second is not None and first[1] == second[1])


ROWS: Mapping[str, Function] = {
    "abs": Function(_abs, takes="Sized", gives="input"),
    "ceiling": _integer("ceiling", ROUND_CEILING),
    "floor": _integer("floor", ROUND_FLOOR),
    "truncate": _integer("truncate", ROUND_DOWN),
    "exp": _decimal("exp", NUMBERS.exp),
    "ln": _decimal("ln", NUMBERS.ln),
    "sqrt": _decimal("sqrt", NUMBERS.sqrt),
    "log": Function(_log, 1, 1, takes="Number", gives="Decimal"),
    "power": Function(_power, 1, 1, takes="Number"),
    "round": Function(_round, 0, 1, takes="Number", gives="Decimal"),
    "lowBoundary": _boundary("lowBoundary", high=False),
    "highBoundary": _boundary("highBoundary", high=True),
    "precision": Function(_precision, gives="Integer"),
    "comparable": Function(_comparable, 1, 1, gives="Boolean"),
}
