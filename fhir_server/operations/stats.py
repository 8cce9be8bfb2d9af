"""Observation/$stats: statistics of a patient's observations of some kinds (R4 Observation-stats)."""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import Any

from fhir_server.context import Context
from fhir_server.model import instant, json
from fhir_server.model.errors import BadRequest, TooCostly, Unprocessable
from fhir_server.model.request import FhirResponse
from fhir_server.operations import Operation, parameters
from profiles.definitions.model import OperationDefinition, OperationParameter
from terminology.ucum.ucum import Ucum

TYPE = "Observation"
SYSTEM = "http://terminology.hl7.org/CodeSystem/observation-statistics"
UCUM = "http://unitsofmeasure.org"
MOST = 10_000
DIGITS = 6
"""Significant digits that a statistic has more than the measurements."""

Json = dict[str, Any]
Values = Sequence[float]

DEFINITION = OperationDefinition(
    url="http://hl7.org/fhir/OperationDefinition/Observation-stats",
    code="stats",
    resource=(TYPE,),
    system=False,
    type=True,
    instance=False,
    affects_state=False,
    parameters=(
        OperationParameter("subject", "in", 1, 1, "uri"),
        OperationParameter("code", "in", 0, None, "string"),
        OperationParameter("system", "in", 0, 1, "uri"),
        OperationParameter("coding", "in", 0, None, "Coding"),
        OperationParameter("duration", "in", 0, 1, "decimal"),
        OperationParameter("period", "in", 0, 1, "Period"),
        OperationParameter("statistic", "in", 1, None, "code"),
        OperationParameter("include", "in", 0, 1, "boolean"),
        OperationParameter("limit", "in", 0, 1, "positiveInt"),
        OperationParameter("statistics", "out", 1, None, TYPE),
        OperationParameter("source", "out", 0, None, TYPE),
    ),
)


async def stats(ctx: Context) -> FhirResponse:
    """Return 200 with an Observation of statistics for each code, and where asked for those that they are of.

    Raises:
        BadRequest: It is not said of which codes, or a statistic that there is not.
        Forbidden: Observations may not be searched.
        TooCostly: There are too many.
        Unprocessable: Their units do not convert into one another.
    """
    asked = parameters.read(ctx, DEFINITION)
    wanted = _statistics(asked["statistic"])
    subject = str(asked["subject"][0]).removeprefix(f"{ctx.base}/")
    when, period = _when(ctx, asked)
    rows: list[tuple[str, str, Json]] = []
    sources: dict[str, Json] = {}
    for system, code in _codes(asked):
        token = f"{_literal(system)}|{_literal(code)}"
        pairs = (("subject", _literal(subject)), ("combo-code", token), ("status", "final,amended,corrected"), *when)
        found = await ctx.repository.matches(TYPE, pairs, MOST + 1)
        if len(found) > MOST:
            text = f"There are more than {MOST:,} observations of {code[:60]}. Ask for a shorter time, with period or duration."
            raise TooCostly(text, expression="http.period")
        observations: list[Json] = [json.decode(one.body) for one in found]
        rows.append(
            ("statistics", TYPE, _answer(observations, {"system": system, "code": code}, subject, period, wanted))
        )
        sources |= {one["id"]: one for one in observations}
    if asked["include"] == (True,):
        most = asked["limit"][0] if asked["limit"] else MOST
        rows += [("source", TYPE, one) for one in list(sources.values())[:most]]
    return FhirResponse(200, {}, json.encode(parameters.resource(rows)))


def _statistics(given: Sequence[str]) -> list[str]:
    found = list(dict.fromkeys(text.strip() for value in given for text in value.split(",")))
    for name in found:
        if name not in STATISTICS:
            raise BadRequest(
                f"'{name[:60]}' is not a statistic that is calculated here. There are {', '.join(STATISTICS)}.",
                expression="http.statistic",
            )
    return found


def _codes(asked: parameters.Values) -> list[tuple[str, str]]:
    """Return the system and code of each kind that is asked for."""
    system = asked["system"][0] if asked["system"] else "http://loinc.org"
    found = [(system, text.strip()) for value in asked["code"] for text in value.split(",") if text.strip()]
    for coding in asked["coding"]:
        if not isinstance(coding.get("code"), str) or not isinstance(coding.get("system"), str):
            raise BadRequest("A 'coding' has a system and a code.", expression="http.coding")
        found.append((coding["system"], coding["code"]))
    if not found:
        raise BadRequest("Say of which observations: 'code' with 'system', or 'coding'.", expression="http.code")
    return list(dict.fromkeys(found))


def _when(ctx: Context, asked: parameters.Values) -> tuple[list[tuple[str, str]], Json]:
    """Return the criteria for the time that is meant, and the time as a Period."""
    duration, period = asked["duration"], asked["period"]
    if duration and period:
        raise BadRequest("Give either 'duration' or 'period'.", expression="http.period")
    if duration:
        if not 0 < duration[0] < 10**7:
            raise BadRequest("'duration' is a number of hours above 0.", expression="http.duration")
        now = ctx.repository.store.clock.now()
        given: Json = {"start": instant.text(now - timedelta(hours=float(duration[0]))), "end": instant.text(now)}
    else:
        given = {name: text for name, text in (period[0] if period else {}).items() if name in {"start", "end"}}
    pairs = [("date", f"{prefix}{given[name]}") for name, prefix in (("start", "ge"), ("end", "le")) if name in given]
    return pairs, given


def _answer(
    observations: Iterable[Json], coding: dict[str, str], subject: str, period: Json, wanted: Iterable[str]
) -> Json:
    """Return the Observation with the statistics of one code."""
    system, code = coding["system"], coding["code"]
    parts = [part for one in observations for part in _parts(one, system, code)]
    quantities = [part["valueQuantity"] for part in parts if _is_measured(part)]
    unit, values = _of_one_unit(quantities, code)
    numbers = [float(value) for value in values]
    digits = max((-int(value.as_tuple().exponent) for value in values), default=0)
    display = next((known.get("display") for part in parts for known in _codings(part, system, code)), None)
    components: list[Json] = []
    for name in wanted:
        statistic = STATISTICS[name]
        component: Json = {"code": {"coding": [{"system": SYSTEM, "code": name}]}}
        if name in COUNTS:
            count = len(parts) if name == "total-count" else len(numbers)
            component["valueQuantity"] = {"value": count, "system": UCUM, "code": "1"}
        elif len(numbers) < statistic.least:
            component["dataAbsentReason"] = {"coding": [{"system": ABSENT, "code": "not-applicable"}]}
        else:
            value = _rounded(statistic.of(sorted(numbers)), digits)
            component["valueQuantity"] = {"value": value, **statistic.unit(unit)}
        components.append(component)
    effective = {"effectivePeriod": period} if period else {}
    return {
        "resourceType": TYPE,
        "status": "final",
        "code": {"coding": [{**coding, "display": display} if display else coding]},
        "subject": {"reference": subject},
        **effective,
        "component": components,
    }


def _codings(part: Mapping[str, Any], system: str, code: str) -> Iterator[Json]:
    for coding in part.get("code", {}).get("coding", []):
        if coding.get("code") == code and coding.get("system") == system:
            yield coding


def _parts(observation: Json, system: str, code: str) -> Iterator[Json]:
    """Yield the observation, or those of its components, that are of a code."""
    for part in (observation, *observation.get("component", [])):
        if any(True for _ in _codings(part, system, code)):
            yield part


def _is_measured(part: Json) -> bool:
    quantity = part.get("valueQuantity", {})
    return isinstance(quantity.get("value"), (int, Decimal)) and "comparator" not in quantity


def _of_one_unit(quantities: Sequence[Json], code: str) -> tuple[Json, list[Decimal]]:
    """Return the unit of the first (the latest) and all values in it."""
    if not quantities:
        return {}, []
    unit = {name: text for name, text in quantities[0].items() if name in {"unit", "system", "code"}}
    values: list[Decimal] = []
    ucum: Ucum | None = None
    for one in quantities:
        value = Decimal(one["value"])
        if (one.get("system"), one.get("code"), not one.get("code") and one.get("unit")) != (
            unit.get("system"),
            unit.get("code"),
            not unit.get("code") and unit.get("unit"),
        ):
            ucum = ucum or Ucum.load()
            both = one.get("system") == unit.get("system") == UCUM and one.get("code") and unit.get("code")
            converted = ucum.convert(value, one["code"], unit["code"]) if both else None
            if converted is None:
                raise Unprocessable(
                    f"The observations of {code[:60]} have units that do not convert into one another: "
                    f"'{one.get('code', one.get('unit', ''))}' and '{unit.get('code', unit.get('unit', ''))}'.",
                    expression="Observation.value",
                )
            value = Decimal(converted.numerator) / Decimal(converted.denominator)
            value = value.quantize(Decimal(1).scaleb(-DIGITS))
        values.append(value)
    return unit, values


def _rounded(value: float, digits: int) -> Decimal:
    """Return a statistic with some digits more than the measurements, without zeros at the end."""
    found = Decimal(value).quantize(Decimal(1).scaleb(-min(digits + DIGITS, 12)))
    return found.normalize() if found == found.to_integral() and digits == 0 else _trimmed(found, digits)


def _trimmed(value: Decimal, digits: int) -> Decimal:
    text = f"{value:f}"
    whole, _, rest = text.partition(".")
    rest = rest.rstrip("0").ljust(digits, "0")
    return Decimal(f"{whole}.{rest}" if rest else whole)


@dataclass(frozen=True, slots=True)
class Statistic:
    """One statistic.

    Attributes:
        of: Calculates it from the values in their order.
        least: How many values it needs.
        same: Whether it is in the unit of the values; otherwise it has none.
    """

    of: Callable[[Values], float]
    least: int = 1
    same: bool = True

    def unit(self, unit: Json) -> Json:
        """Return the unit of the statistic."""
        return unit if self.same else {"system": UCUM, "code": "1"}


def _mean(values: Values) -> float:
    return math.fsum(values) / len(values)


def _moment(values: Values, power: int) -> float:
    mean = _mean(values)
    return math.fsum((value - mean) ** power for value in values) / len(values)


def _variance(values: Values) -> float:
    return _moment(values, 2) * len(values) / (len(values) - 1)


def _at(share: float) -> Callable[[Values], float]:
    """Return the value below which a share of the values lies, between two of them by proportion."""

    def of(values: Values) -> float:
        place = share * (len(values) - 1)
        low = math.floor(place)
        high = min(low + 1, len(values) - 1)
        return values[low] + (values[high] - values[low]) * (place - low)

    return of


def _skew(values: Values) -> float:
    spread = _moment(values, 2)
    return _moment(values, 3) / spread**1.5 if spread else 0.0


def _kurtosis(values: Values) -> float:
    spread = _moment(values, 2)
    return _moment(values, 4) / spread**2 if spread else 0.0


ABSENT = "http://terminology.hl7.org/CodeSystem/data-absent-reason"
COUNTS = frozenset({"count", "total-count"})
STATISTICS: Mapping[str, Statistic] = {
    "average": Statistic(_mean),
    "maximum": Statistic(max),
    "minimum": Statistic(min),
    "count": Statistic(len, 0, same=False),
    "total-count": Statistic(len, 0, same=False),
    "median": Statistic(_at(0.5)),
    "std-dev": Statistic(lambda values: math.sqrt(_variance(values)), 2),
    "sum": Statistic(math.fsum),
    "variance": Statistic(_variance, 2, same=False),
    "20-percent": Statistic(_at(0.2)),
    "80-percent": Statistic(_at(0.8)),
    "4-lower": Statistic(_at(0.25)),
    "4-upper": Statistic(_at(0.75)),
    "4-dev": Statistic(lambda values: (_at(0.75)(values) - _at(0.25)(values)) / 2),
    "5-1": Statistic(_at(0.2)),
    "5-2": Statistic(_at(0.4)),
    "5-3": Statistic(_at(0.6)),
    "5-4": Statistic(_at(0.8)),
    "skew": Statistic(_skew, 2, same=False),
    "kurtosis": Statistic(_kurtosis, 2, same=False),
}
"""The statistics of R4 but for regression, which has two numbers and no place for them."""


def _literal(value: str) -> str:
    """Return a value as a search parameter has it, in which `,`, `|` and `$` mean something."""
    return "".join(f"\\{character}" if character in "\\,|$" else character for character in value)


OPERATION = Operation(
    DEFINITION,
    stats,
    letters=("s", "s"),
    methods=("GET", "POST"),
    summary="Statistics of a patient's observations",
    success=((200, "Parameters with an Observation of statistics for each code."),),
)
