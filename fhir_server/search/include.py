"""`_include` and `_revinclude`: which further resources a page needs (R4 3.1.1.5.4).

Here is only what to ask for; the repository asks, with the access filter of each type joined before any limit, so that an
include never shows what a search would not. A reference is followed by the entries of the page's documents, which hold the
local references of a parameter without versions; only literal references to this server can be included.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from fhir_server.model.reference import local
from fhir_server.search.expression import Criterion, Expression, Nothing, any_of
from fhir_server.search.match import entries
from fhir_server.search.params import params
from fhir_server.search.types.conditions import Is
from profiles.definitions.registry import Definitions

WILDCARD = "*"
FIELDS = ("s", "p")
"""Envelope fields of a page's documents that includes are read from."""


@dataclass(frozen=True, slots=True)
class Include:
    """One `_include` or `_revinclude`.

    Attributes:
        source_type: Type that holds the reference.
        param: Code of the reference parameter, or `*` for all of the type.
        target_type: Type that the reference must lead to; empty for any.
        iterate: Whether it also applies to what other includes brought.
    """

    source_type: str
    param: str
    target_type: str = ""
    iterate: bool = False


def targets(
    includes: Iterable[Include], resource_type: str, envelope: Mapping[str, Any], definitions: Definitions
) -> list[str]:
    """Return the distinct `Type/id` that the includes follow from one document, in the order of the includes.

    Args:
        includes: All of the request; those of other source types are passed over.
        resource_type: Type of the document.
        envelope: Its fields `s` and `p`.
        definitions: Parameters of the type.
    """
    known = params(resource_type, definitions)
    found: dict[str, None] = {}
    for include in includes:
        if include.source_type != resource_type:
            continue
        codes = (
            [include.param]
            if include.param != WILDCARD
            else [code for code, row in known.items() if row.type == "reference"]
        )
        for code in codes:
            for text in entries(known[code], envelope):
                instance = local(text)
                if instance and include.target_type in {"", instance.resource_type}:
                    found[text] = None
    return list(found)


def sources(include: Include, resource_type: str, instances: Iterable[str], definitions: Definitions) -> Expression:
    """Return which resources of `include.source_type` a `_revinclude` brings for instances of a type.

    Args:
        include: The `_revinclude`.
        resource_type: Type of the instances.
        instances: Their logical ids.
        definitions: Parameters of the source type.
    """
    if include.target_type not in {"", resource_type}:
        return Nothing()
    known = params(include.source_type, definitions)
    wanted = tuple(Is(f"{resource_type}/{instance}") for instance in instances)
    if not wanted:
        return Nothing()
    rows = [row for code, row in known.items() if row.type == "reference" and include.param in {code, WILDCARD}]
    return any_of(Criterion(row, wanted) for row in rows)
