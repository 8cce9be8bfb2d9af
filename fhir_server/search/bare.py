"""Codes of things and of their parts without their system (`code=8867-4`), and how they are spelt out.

The index of these codes holds `code|system`. One such entry leads to documents in the order of their date; a code
without system is a range of entries, of which all documents would have to be read and sorted. A code has few systems. So
those that are stored are looked up first, each by one place in the index, and the search is by these entries.
"""

from collections.abc import Iterable, Sequence

from msgspec.structs import replace

from fhir_server.model.query import Where
from fhir_server.search.chosen import PART_CODES
from fhir_server.search.expression import And, Criterion, Expression, Or, all_of, any_of
from fhir_server.search.parse import SearchRequest
from fhir_server.search.types.conditions import Condition, Is, Starts, successor

MOST_CODES = 10
"""Codes without system in one criterion that are spelt out: each is a question to the database."""

MOST_SYSTEMS = 20
"""Systems of one code; with more of them its range is read."""


def bare(request: SearchRequest) -> list[Criterion]:
    """Return the criteria of a search, alternatives of each other, that name codes without their system; empty for none."""
    expression = request.expression
    for item in expression.items if isinstance(expression, And) else (expression,):
        alternatives = item.items if isinstance(item, Or) else (item,)
        found = [each for each in alternatives if isinstance(each, Criterion) and _leads(each)]
        if len(found) == len(alternatives) and any(_codes(each) for each in found):
            return found
    return []


def others(criterion: Criterion, code: Starts, known: Iterable[str]) -> Where:
    """Return the filter "there is an entry of this code that is not known": no more of the index than is not known."""
    bounds = {"$gte": code.text, "$lt": successor(code.text), "$nin": [*known]}
    return Where("clause", {criterion.param.field: {"$elemMatch": bounds}})


def spelt(request: SearchRequest, found: Sequence[tuple[Criterion, Iterable[Condition]]]) -> SearchRequest:
    """Return the search with entries in place of each of the criteria; one without any finds nothing."""
    values = [(criterion, tuple(dict.fromkeys(entries))) for criterion, entries in found]
    instead = any_of(Criterion(criterion.param, each) for criterion, each in values if each)
    first, _ = found[0]
    expression = request.expression
    items = expression.items if isinstance(expression, And) else (expression,)
    return replace(request, expression=all_of(instead if _holds(item, first) else item for item in items))


def _holds(item: Expression, criterion: Criterion) -> bool:
    return item is criterion or (isinstance(item, Or) and any(each is criterion for each in item.items))


def _leads(criterion: Criterion) -> bool:
    """Return whether an index leads from its codes to the order of time, few enough to be spelt out."""
    param = criterion.param
    if not (param.primary_code or param.code in PART_CODES.get(param.resource_type, ())):
        return False
    return all(isinstance(each, Starts | Is) for each in criterion.values) and len(_codes(criterion)) <= MOST_CODES


def _codes(criterion: Criterion) -> list[Starts]:
    return [value for value in criterion.values if isinstance(value, Starts)]
