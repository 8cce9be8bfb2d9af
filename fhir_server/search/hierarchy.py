"""Which types form hierarchies: those whose resources say what other resource of their type they are a part of."""

from collections.abc import Iterable

from fhir_server.search.params import Param, params
from profiles.definitions.registry import Definitions

MODIFIERS = frozenset({"above", "below"})
WHOLES = ("partof", "part-of")
"""Codes of the parameters by which a resource names its whole."""


def whole(resource_type: str, definitions: Definitions) -> Param | None:
    """Return the parameter by which resources of a type name what they are part of, `None` where they form no hierarchy."""
    defined = definitions.search_parameters(resource_type)
    rows = [defined[code] for code in WHOLES if code in defined]
    code = next((row.code for row in rows if row.type == "reference" and resource_type in row.targets), "")
    # Only of the few types that form hierarchies are all parameters read: that takes milliseconds for each.
    return params(resource_type, definitions)[code] if code else None


def hierarchies(resource_types: Iterable[str], definitions: Definitions) -> list[str]:
    """Return those of the types that form hierarchies."""
    return [name for name in resource_types if name in definitions.resource_types and whole(name, definitions)]
