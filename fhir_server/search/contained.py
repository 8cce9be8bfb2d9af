"""`_contained`: what the resources that others contain are asked, and which of them fulfil it (R4 3.1.1.5.6).

A contained resource is stored within the document of its container in the form of a document of its own type, so that the
same expressions hold of it. What it was last updated at is that of its container; ids are the local ones.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import msgspec

from fhir_server.model.errors import InvalidParameter
from fhir_server.search.expression import (
    And,
    Chain,
    Concepts,
    Contains,
    Criterion,
    Expression,
    Hierarchy,
    InText,
    Missing,
    Not,
    Nothing,
    Or,
    ReverseChain,
    all_of,
    any_of,
)
from fhir_server.search.index import REFERRED_BY
from fhir_server.search.match import matches
from fhir_server.search.params import Param, params
from fhir_server.search.parse import SearchRequest
from fhir_server.search.types.conditions import Is
from fhir_server.search.types.date import UPDATED
from profiles.definitions.registry import Definitions

ByType = Mapping[str, Expression]
"""What resources must fulfil, resolved, by their type."""

OF_PARAMETERS = (Chain, Concepts, Criterion, Hierarchy, Missing)
"""Nodes with a parameter of the resource itself."""

FIELDS = ("c",)
"""Envelope fields of containers that `places` reads."""

OWN_FIELDS = ("s", "p", "ps", "d", "dh", "rf", "lu")
"""Those that it reads besides of a resource that may be found itself."""


def refuse_unasked(request: SearchRequest) -> None:
    """Refuse criteria that contained resources cannot be asked.

    Raises:
        InvalidParameter: `_has` or `_list`, or `_lastUpdated` other than beside all other criteria.
    """
    for node in _nodes(halves(request.expression)[1]):
        if isinstance(node, ReverseChain):
            raise _refusal(
                "_contained",
                "_has and _list ask what refers to a resource, but nothing except its container can refer to a contained one. "
                "Leave them out of a search with _contained, or search for the containers.",
            )
        param = node.param if isinstance(node, OF_PARAMETERS) else None
        if param is not None and param.field == UPDATED:
            raise _refusal(
                "_lastUpdated",
                "With _contained, _lastUpdated is that of the container, which cannot be an alternative of what is contained or "
                "be negated. Write it as a parameter of its own.",
            )


def can_be_asked(expression: Expression) -> bool:
    """Return whether all criteria are such as contained resources are indexed for."""
    own = [node.param for node in _nodes(halves(expression)[1]) if isinstance(node, OF_PARAMETERS)]
    return not any(one.field == UPDATED for one in own)


def referred(link: Param, target: str, item: Expression, definitions: Definitions) -> Expression:
    """Return which resources refer by a parameter to one that they contain.

    Args:
        link: The reference parameter of the container.
        target: Type of the contained resource.
        item: What it must fulfil, resolved.
        definitions: Parameters of the type.
    """
    of = params(target, definitions)["_id"]
    by = replace(of, code=REFERRED_BY, type="token", array=True, field=f"s.{REFERRED_BY}")
    containers, inside = halves(item)
    return all_of([containers, Contains(target, all_of([Criterion(by, (Is(link.code),)), inside]))])


def halves(expression: Expression) -> tuple[Expression, Expression]:
    """Return what an expression asks of containers, which is when they were last updated, and what of the contained."""
    items = expression.items if isinstance(expression, And) else (expression,)
    of_containers = [item for item in items if isinstance(item, Criterion) and item.param.field == UPDATED]
    return all_of(of_containers), all_of(item for item in items if item not in of_containers)


def parts(request: SearchRequest, asked: ByType, own: ByType, types: Iterable[str]) -> tuple[SearchRequest, ...]:
    """Return the search of each type for containers, or with `both` also for the resources themselves; at least one.

    Args:
        request: The search.
        asked: What is asked of contained resources.
        own: With `both` what is asked of resources that stand alone; else empty.
        types: The types that may contain something.
    """
    both = {name: halves(expression) for name, expression in asked.items()}
    containers = next((containers for containers, _ in both.values()), Nothing())
    containing = all_of([containers, any_of(Contains(name, item) for name, (_, item) in both.items())])
    found = dict.fromkeys(types, containing) if both else {}
    for name, expression in own.items():
        found[name] = any_of([expression, found.get(name, Nothing())])
    return tuple(
        msgspec.structs.replace(request, resource_type=name, expression=found.get(name, Nothing()))
        for name in sorted(found or {request.resource_type})
    )


def places(asked: ByType, document: Mapping[str, Any]) -> Iterator[int]:
    """Yield the places, from 1, of the resources within a document that fulfil what is asked.

    Args:
        asked: What contained resources must fulfil.
        document: The container, as the database gives it back.
    """
    for number, one in enumerate(document.get("c", ()), 1):
        if one["t"] in asked and matches(asked[one["t"]], restored(one)):
            yield number


def restored(value: Any) -> Any:
    """Return a part of a document as it was before it was stored: instants say that they are in UTC."""
    if isinstance(value, Mapping):
        return {name: restored(member) for name, member in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        return [restored(member) for member in value]
    return value.replace(tzinfo=UTC) if isinstance(value, datetime) else value


def _nodes(expression: Expression) -> Iterator[Expression]:
    """Yield the nodes of an expression that speak of the resource itself."""
    yield expression
    match expression:
        case And(items) | Or(items):
            for item in items:
                yield from _nodes(item)
        case Not(item) | InText(item):
            yield from _nodes(item)


def _refusal(name: str, text: str) -> InvalidParameter:
    return InvalidParameter(text, expression=f"http.{name}")
