"""Search parameters whose expression is more than a path: the FHIRPath engine says what they select (R4 3.1.1.4).

Paths are walked by the trie of `paths`, at a microsecond each. What is beyond them (`where(use = 'official' and period.empty())`,
`iif(…)`, `a & b`) is evaluated, within a budget that no write notices.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from functools import lru_cache
from typing import Any

from fhir_server.search.fhirpath import Uncompilable
from profiles.definitions.registry import Definitions
from profiles.fhirpath.engine import Compiled, Engine
from profiles.fhirpath.errors import FhirPathError
from profiles.fhirpath.moments import Moment
from profiles.fhirpath.scope import Limits
from profiles.fhirpath.shapes import SEARCH
from profiles.fhirpath.syntax import Amount, Call, Expression, parts
from profiles.fhirpath.values import Item, Node, outside
from terminology.ucum.ucum import Ucum

BUDGET = Limits(steps=20_000, seconds=0.5, items=2_000, characters=100_000)
"""What one parameter may take of a write. The time is never reached first but where the machine stands still."""

MOST_TYPES = 8
"""Types of values of one expression; it is evaluated for each."""

CHANGING = frozenset({"now", "today", "timeOfDay"})
"""Functions that give another result tomorrow, when nothing is written."""

_OF_SYSTEM: Mapping[str, str] = {
    "Boolean": "boolean",
    "String": "string",
    "Integer": "integer",
    "Decimal": "decimal",
    "Date": "date",
    "DateTime": "dateTime",
    "Time": "time",
    "Quantity": "Quantity",
}
"""Types of FHIR as which values that an expression computes are read."""

_KINDS: Mapping[type, str] = {bool: "boolean", str: "string", int: "integer", Decimal: "decimal", Amount: "Quantity"}


@lru_cache(maxsize=2)
def engine(definitions: Definitions) -> Engine:
    """Return the engine of FHIR's own definitions: one serves a process, also its invariants and patches."""
    return Engine(definitions, units=Ucum.load())


@dataclass(frozen=True, slots=True)
class Evaluated:
    """The only step of an expression that is evaluated: the values of one type that it gives for a resource.

    Attributes:
        text: The expression.
        resource_type: Type of the resource.
        type: FHIR type of the values.
        compiled: The expression, ready to be evaluated.
    """

    text: str
    resource_type: str
    type: str
    compiled: Compiled = field(compare=False, repr=False)

    def __call__(self, value: Any, resource: Mapping[str, Any]) -> Iterable[Any]:
        """Return the values. Where the expression fails on the resource, or takes more than the budget, there are none."""
        try:
            found = self.compiled.nodes(resource, limits=BUDGET)
        except FhirPathError:
            return ()
        return [outside(item) for item in found if _kind(item) == self.type and outside(item) is not None]


def evaluated(resource_type: str, expression: str, definitions: Definitions) -> Iterator[Evaluated]:
    """Yield a step for each type of values that an expression may give; none where it gives nothing for the type.

    Raises:
        Uncompilable: It cannot be read, makes no sense for the type, or nobody can say of what type its values will be.
    """
    try:
        compiled = engine(definitions.own).compile(expression, resource_type, SEARCH)
    except FhirPathError as error:
        raise Uncompilable(str(error).replace(". (", " (").rstrip(".")) from None
    changing = CHANGING & set(_functions(compiled.expression))
    if changing:
        name = min(changing)
        raise Uncompilable(
            f"{name}() is another moment each time, and what is indexed stays; compare with a date in the query"
        )
    types = compiled.shape.types
    if types == frozenset({"FHIR.Extension"}):
        yield from evaluated(resource_type, f"({expression}).value", definitions)
        return
    if types is None:
        raise Uncompilable("it does not say of what type its values are; end it with ofType(), such as ofType(string)")
    if len(types) > MOST_TYPES:
        raise Uncompilable(
            f"its values may be of {len(types)} types; name the one that is meant with ofType(), such as ofType(string)"
        )
    for name in sorted(types):
        space, _, own = name.partition(".")
        yield Evaluated(expression, resource_type, own if space == "FHIR" else _OF_SYSTEM.get(own, own), compiled)


def _functions(expression: Expression) -> Iterator[str]:
    if isinstance(expression, Call):
        yield expression.name
    for part in parts(expression):
        yield from _functions(part)


def _kind(item: Item) -> str:
    if type(item) is Node:
        return item.type.name
    if type(item) is Moment:
        return _OF_SYSTEM.get(item.kind, "")
    return _KINDS.get(type(item), "")
