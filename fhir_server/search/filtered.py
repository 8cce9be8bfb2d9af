"""`_filter` as an expression: what its tests mean for the parameters of a type (R4 3.1.3.2).

Each test holds where one value at its path fulfils it; only `ni` and `pr false` speak of all values. Paths through
references are chains: they are resolved with the caller's filter joined, like any other.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from fhir_server.model.errors import InvalidParameter
from fhir_server.search.chained import HAS, Chained
from fhir_server.search.escapes import shown, split
from fhir_server.search.expression import (
    Criterion,
    Expression,
    Missing,
    Not,
    Nothing,
    all_of,
    any_of,
    missing,
    none_of,
)
from fhir_server.search.filter import FILTER, Comparison, Filter, Joined, Negated, read, refusal
from fhir_server.search.params import Param, params
from fhir_server.search.reading import Reading
from fhir_server.search.types import TYPES, conditions, string
from fhir_server.search.types.conditions import Between, Condition, Like
from fhir_server.search.types.refusal import refusal as malformed
from fhir_server.search.unknown import unknown
from profiles.definitions.registry import Definitions
from terminology.words import fold

FLAGS = {"true": True, "false": False}

SYSTEMS: Mapping[str, str] = {
    "loinc": "http://loinc.org",
    "snomed": "http://snomed.info/sct",
    "rxnorm": "http://www.nlm.nih.gov/research/umls/rxnorm",
    "ucum": "http://unitsofmeasure.org",
}
"""Names that stand for code systems in a filter (R4 3.1.3.2)."""


@dataclass(frozen=True, slots=True)
class Filtered:
    """Reads the filters of one search.

    Attributes:
        definitions: Parameters of all types.
        reading: How values are read.
        chained: Reads the links of paths.
    """

    definitions: Definitions
    reading: Reading
    chained: Chained

    def expression(self, resource_type: str, name: str, text: str, depth: int) -> Expression:
        """Return the expression of a filter.

        Args:
            resource_type: The type that is filtered.
            name: `_filter`.
            text: The filter.
            depth: Links that led here.

        Raises:
            InvalidParameter: It cannot be read; the message says where.
        """
        if name != FILTER:
            raise InvalidParameter(
                f"The parameter '{FILTER}' has no modifiers. Leave ':{shown(name.partition(':')[2])}' out.",
                expression=f"http.{FILTER}",
            )
        return self._filter(resource_type, read(text), depth)

    def _filter(self, resource_type: str, item: Filter, depth: int) -> Expression:
        match item:
            case Joined(logic, first, second):
                both = [self._filter(resource_type, each, depth) for each in (first, second)]
                return all_of(both) if logic == "and" else any_of(both)
            case Negated(inner):
                return none_of(self._filter(resource_type, inner, depth))
            case Comparison():
                try:
                    return self._test(resource_type, item, depth)
                except InvalidParameter as error:
                    # Passing over a part of a filter would find what was not asked for: not even lenient handling does.
                    raise (
                        error if error.issues[0].expression == f"http.{FILTER}" else refusal(item.at, str(error))
                    ) from None

    def _test(self, resource_type: str, test: Comparison, depth: int) -> Expression:
        if test.operator == "ni":
            return none_of(self._at(resource_type, replace(test, operator="in"), depth))
        if test.operator == "pr":
            if test.value not in FLAGS:
                raise InvalidParameter(
                    f"'{shown(test.value)}' is not a valid value of the operator pr. Write true or false."
                )
            there = self._at(resource_type, replace(test, value="true"), depth)
            return there if FLAGS[test.value] else none_of(there)
        return self._at(resource_type, test, depth)

    def _at(self, resource_type: str, test: Comparison, depth: int) -> Expression:
        """Return "a value at the path fulfils it", link by link."""
        first, *rest = test.path
        onwards = replace(test, path=tuple(rest))
        if first.name.partition(":")[0] == HAS:
            parts = first.name.split(":", 3)
            last = replace(test, path=(replace(first, name=parts[-1]), *rest))
            return self.chained.backwards(
                resource_type, first.name, depth, lambda source, _: self._at(source, last, depth + 1)
            )
        if not rest:
            return self._leaf(resource_type, first.name, test)

        def end(target: str, _: str) -> Expression:
            found = self._at(target, onwards, depth + 1)
            return all_of([self._filter(target, first.where, depth + 1), found]) if first.where else found

        path = ".".join([first.name, *(step.name for step in rest)])
        return self.chained.forwards(resource_type, path, depth, end)

    def _leaf(self, resource_type: str, code: str, test: Comparison) -> Expression:
        if ":" in code:
            raise InvalidParameter(
                f"'{shown(code)}' has a modifier, which no name at the end of a path takes. The operator says what is meant."
            )
        known = params(resource_type, self.definitions)
        if code not in known or known[code].type not in TYPES:
            raise unknown(resource_type, code, [row.code for row in known.values() if row.type in TYPES])
        param = known[code]
        if test.operator == "pr":
            return any_of(Not(missing(known[part])) for part in param.parts or (code,))
        offered = OPERATORS[param.type]
        if test.operator not in offered:
            raise InvalidParameter(
                f"The {param.type} parameter '{code}' has no operator '{test.operator}' in a filter. "
                f"It takes {', '.join([*offered, 'pr'])}."
            )
        build = offered[test.operator]
        return any_of(build(known[part], test.operator, test.value, self.reading) for part in param.parts or (code,))


Build = Callable[[Param, str, str, Reading], Expression]
"""Makes the expression of one test: (parameter, operator, value, reading)."""


def _same(param: Param, operator: str, value: str, reading: Reading) -> Expression:
    """`eq` and `re` of what is compared whole: as in a search without a filter."""
    return TYPES[param.type].parse(param, "", [_named(value)], reading)


def _other(param: Param, operator: str, value: str, reading: Reading) -> Expression:
    """`ne`: there is a value that is another one."""
    found = _same(param, "eq", value, reading)
    if isinstance(found, Nothing):
        return Not(Missing(param))
    if not isinstance(found, Criterion):
        raise malformed(param, value, "one value")
    return Criterion(param, (conditions.none_of(found.values),))


def _modified(modifier: str) -> Build:
    """What a modifier of a token says, and of a URI."""

    def build(param: Param, operator: str, value: str, reading: Reading) -> Expression:
        if not param.value_types & {"Coding", "CodeableConcept", "code"}:
            raise InvalidParameter(
                f"The parameter '{param.code}' reads no concepts, so '{operator}' says nothing of it. Use eq or ne."
            )
        return TYPES[param.type].parse(param, modifier, [_named(value)], reading)

    return build


def _compared(param: Param, operator: str, value: str, reading: Reading) -> Expression:
    """Numbers, dates and quantities: the operators are the prefixes of a search."""
    if value[:1].isalpha():
        raise malformed(param, value, f"{operator} and the value without a prefix")
    return TYPES[param.type].parse(param, "", [operator + _named(value)], reading)


def _spanning(prefix: str) -> Build:
    """`po` and `co` of dates: the interval of a value overlaps with that of the filter, or covers it."""

    def build(param: Param, operator: str, value: str, reading: Reading) -> Expression:
        found = _compared(param, "eq", value, reading)
        if not isinstance(found, Criterion):
            raise malformed(param, value, "a date")
        return Criterion(param, tuple(replace(one, prefix=prefix) for one in found.values))

    return build


def _text(make: Callable[[str], Condition]) -> Build:
    """Texts, without regard to case and accents."""

    def build(param: Param, operator: str, value: str, reading: Reading) -> Expression:
        folded = fold(value)
        if not folded:
            raise malformed(param, value, string.EXAMPLE)
        return Criterion(param, (make(folded),))

    return build


def _address(make: Callable[[str], Condition]) -> Build:
    """URIs, letter by letter."""

    def build(param: Param, operator: str, value: str, reading: Reading) -> Expression:
        return Criterion(param, (make(value),))

    return build


def _named(value: str) -> str:
    """Return the value with a code system in place of its short name."""
    parts = split(value, "|")
    place = len(parts) - 2
    if place < 0 or parts[place] not in SYSTEMS:
        return value
    return "|".join([*parts[:place], SYSTEMS[parts[place]], *parts[place + 1 :]])


_NUMERIC: Mapping[str, Build] = dict.fromkeys(("eq", "ne", "gt", "lt", "ge", "le", "ap", "sa", "eb"), _compared)

OPERATORS: Mapping[str, Mapping[str, Build]] = {
    "composite": {"eq": _same},
    "date": {**_NUMERIC, "co": _spanning("co"), "po": _spanning("ap")},
    "number": _NUMERIC,
    "quantity": _NUMERIC,
    "reference": {"re": _same, "eq": _same},
    "special": {"eq": _same},
    "string": {
        "eq": _text(string.equal),
        "ne": _text(string.other),
        "co": _text(string.containing),
        "sw": _text(conditions.Starts),
        "ew": _text(string.ending),
        "gt": _text(lambda text: Between(string.behind(text), None)),
        "ge": _text(lambda text: Between(text, None)),
        "lt": _text(lambda text: Between(string.LEAST, text)),
        "le": _text(lambda text: Between(string.LEAST, string.behind(text))),
    },
    "token": {
        "eq": _same,
        "ne": _other,
        "in": _modified("in"),
        "ni": _modified("in"),
        "ss": _modified("below"),
        "sb": _modified("above"),
    },
    "uri": {
        "eq": _same,
        "ne": _other,
        "sw": _address(conditions.Starts),
        "co": _address(lambda text: Like(conditions.literal(text))),
        "ew": _address(lambda text: Like(conditions.literal(text) + conditions.END)),
    },
}
"""What each operator makes of a parameter of each type; `pr` is for all."""
