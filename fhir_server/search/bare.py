"""Primary codes without their system (`code=8867-4`), and how they are spelt out.

The index of the primary code holds `code|system`. One such entry leads to documents in the order of their date; a code
without system is a range of entries, of which all documents would have to be read and sorted. A code has few systems. So
those that are stored are looked up first, each by one place in the index, and the search is by these entries.
"""

from collections.abc import Iterable
from dataclasses import replace

from fhir_server.model.query import Where
from fhir_server.search.expression import And, Criterion, Expression, Nothing, all_of
from fhir_server.search.parse import SearchRequest
from fhir_server.search.types.conditions import Condition, Is, Starts, successor

MOST_CODES = 10
"""Codes without system in one criterion that are spelt out: each is a question to the database."""

MOST_SYSTEMS = 20
"""Systems of one code; with more of them its range is read."""


def bare(request: SearchRequest) -> Criterion | None:
    """Return the criterion of a search that names primary codes without their system, `None` where there is none."""
    expression = request.expression
    for item in expression.items if isinstance(expression, And) else (expression,):
        if isinstance(item, Criterion) and item.param.primary_code:
            codes = [value for value in item.values if isinstance(value, Starts)]
            others = [value for value in item.values if not isinstance(value, Starts | Is)]
            if codes and not others and len(codes) <= MOST_CODES:
                return item
    return None


def others(criterion: Criterion, code: Starts, known: Iterable[str]) -> Where:
    """Return the filter "there is an entry of this code that is not known": no more of the index than is not known."""
    bounds = {"$gte": code.text, "$lt": successor(code.text), "$nin": [*known]}
    return Where("clause", {criterion.param.field: {"$elemMatch": bounds}})


def spelt(request: SearchRequest, criterion: Criterion, entries: Iterable[Condition]) -> SearchRequest:
    """Return the search with these entries in place of the criterion; without any it finds nothing."""
    values = tuple(dict.fromkeys(entries))
    instead: Expression = Criterion(criterion.param, values) if values else Nothing()
    expression = request.expression
    items = expression.items if isinstance(expression, And) else (expression,)
    return replace(request, expression=all_of(instead if item is criterion else item for item in items))
