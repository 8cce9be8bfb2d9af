"""Whose index entries the answer of a search rests on: the types of which none may have entries of an older extraction.

Ids and moments of last updates are no entries: who searches or sorts by nothing else rests on none.
"""

from collections.abc import Callable, Iterable, Iterator

from fhir_server.search.chain import grouped
from fhir_server.search.expression import (
    And,
    Chain,
    Concepts,
    Contains,
    Criterion,
    Expression,
    Hierarchy,
    InCompartment,
    InText,
    Missing,
    Not,
    Or,
    ReverseChain,
)
from fhir_server.search.include import WILDCARD, Include
from fhir_server.search.params import FIELDS, params
from fhir_server.search.parse import SearchRequest
from profiles.definitions.registry import Definitions

STORED_APART = frozenset(FIELDS.values())
"""What a parameter may read that is no entry."""


def relied_on(
    parts: Iterable[SearchRequest], definitions: Definitions, is_restricted: Callable[[str], bool]
) -> frozenset[str]:
    """Return the types whose entries a search rests on.

    Args:
        parts: The same search of each of its types.
        definitions: Parameters of all types.
        is_restricted: Whether the caller may see only what has certain entries of a type.
    """
    found: set[str] = set()
    for part in parts:
        own = part.resource_type
        if part.contained != "false":  # entries of contained resources stand in what contains them
            return definitions.resource_types
        found |= {name for name, rests in _asked(part.expression, own) if rests or is_restricted(name)}
        if is_restricted(own) or any(key.param.field not in STORED_APART for key in part.sort):
            found.add(own)
        for each in (*part.includes, *part.revincludes):
            found.add(each.source_type)
            found |= {name for name in _led_to(each, definitions) if is_restricted(name)}
    return frozenset(found)


def _asked(expression: Expression, resource_type: str) -> Iterator[tuple[str, bool]]:
    """Yield the types that are asked, each with whether by its entries."""
    match expression:
        case And(items) | Or(items):
            for item in items:
                yield from _asked(item, resource_type)
        case Not(item):
            yield from _asked(item, resource_type)
        case Missing(param) | Criterion(param):
            yield resource_type, param.field not in STORED_APART
        case InCompartment() | Contains() | Concepts() | InText():
            yield resource_type, True
        case Chain() | ReverseChain() | Hierarchy():
            yield from _elsewhere(expression, resource_type)


def _elsewhere(expression: Chain | ReverseChain | Hierarchy, resource_type: str) -> Iterator[tuple[str, bool]]:
    match expression:
        case Chain(_, targets):
            yield resource_type, True
            for target, item in targets:
                yield target, False
                yield from _asked(item, target)
        case ReverseChain(param, _, item):
            yield param.resource_type, True
            yield from _asked(item, param.resource_type)
        case Hierarchy(_, roots):
            yield resource_type, True
            for name in grouped(roots):
                yield name, True


def _led_to(include: Include, definitions: Definitions) -> frozenset[str]:
    """Return the types that an include may lead to."""
    if include.target_type:
        return frozenset({include.target_type})
    rows = params(include.source_type, definitions).values()
    followed = [row for row in rows if row.type == "reference" and include.param in {WILDCARD, row.code}]
    targets = frozenset(target for row in followed for target in row.targets)
    return targets if all(row.targets for row in followed) else definitions.resource_types
