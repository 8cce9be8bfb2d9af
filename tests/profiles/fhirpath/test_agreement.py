"""The engine and the extraction of search values, which were written apart, find the same in the official examples."""

from decimal import Decimal
from typing import Any

from fhir_server.search.paths import COMPUTED, Extractor, selections
from profiles.definitions.model import SearchParameter
from profiles.definitions.registry import Definitions
from profiles.fhirpath.engine import Engine
from profiles.fhirpath.shapes import SEARCH
from profiles.fhirpath.values import Node

Json = dict[str, Any]


def test_search_parameters_select_what_the_extraction_selects(
    examples: dict[str, Json], definitions: Definitions, engine: Engine
) -> None:
    extractors: dict[str, tuple[Extractor, dict[str, SearchParameter]]] = {}
    compared = 0
    differences: list[tuple[str, str, Any, Any]] = []
    for name, resource in examples.items():
        kind = resource["resourceType"]
        if kind not in extractors:
            extractors[kind] = _extractor(kind, definitions)
        extractor, parameters = extractors[kind]
        values = extractor.values(resource)
        for code, parameter in parameters.items():
            expected = {(type_name, _frozen(value)) for type_name, value in values.get(code, ())}
            found = _selected(parameter, resource, engine)
            compared += len(expected)
            if found != expected:
                differences.append((name, code, found - expected, expected - found))
    assert differences == []
    assert compared > 7_000


def _extractor(kind: str, definitions: Definitions) -> tuple[Extractor, dict[str, SearchParameter]]:
    known = {
        code: parameter
        for code, parameter in definitions.search_parameters(kind).items()
        if parameter.expression and parameter.expression not in COMPUTED
    }
    return Extractor({code: selections(kind, one, definitions) for code, one in known.items()}, {}), known


def _selected(parameter: SearchParameter, resource: Json, engine: Engine) -> set[tuple[str, Any]]:
    """Return what the expression selects, as search reads it: an extension is its value, a resource one of the targets."""
    found: set[tuple[str, Any]] = set()
    for item in engine.compile(parameter.expression, resource["resourceType"], SEARCH).nodes(resource):
        items = engine.compile("value", "Extension").nodes(item) if _is(item, "Extension") else [item]
        found |= {
            (one.type.name, _frozen(one.value)) for one in items if isinstance(one, Node) and _counts(one, parameter)
        }
    return found


def _counts(node: Node, parameter: SearchParameter) -> bool:
    foreign = parameter.type == "reference" and node.type.resource and node.type.name not in parameter.targets
    return node.value is not None and not foreign


def _is(item: object, name: str) -> bool:
    return isinstance(item, Node) and item.type.name == name


def _frozen(value: Any) -> Any:
    """Return a value that can be in a set; decimals are numbers there: `|` takes 1.0 and 1.00 for one."""
    if isinstance(value, dict):
        return frozenset((key, _frozen(one)) for key, one in value.items())
    if isinstance(value, list):
        return tuple(_frozen(one) for one in value)
    return value.normalize() if isinstance(value, Decimal) else value
