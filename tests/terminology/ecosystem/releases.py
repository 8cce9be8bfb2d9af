"""From R5, in which the official cases are written, to R4, which the server speaks, and back."""

from collections.abc import Callable
from typing import Any

Json = dict[str, Any]

R5 = "http://hl7.org/fhir/5.0/StructureDefinition/extension-"
OPERATORS = frozenset({"child-of", "descendent-leaf"})
EQUIVALENCE = {
    "related-to": "relatedto",
    "equivalent": "equivalent",
    "source-is-narrower-than-target": "wider",
    "source-is-broader-than-target": "narrower",
    "not-related-to": "disjoint",
}


def down(resource: Json) -> Json:
    """Return a resource of R5 as one of R4: what R4 does not have becomes an extension."""
    found = _map(resource, lambda one: {key: value for key, value in one.items() if ":" not in key})
    change = {"CodeSystem": _code_system, "ValueSet": _value_set, "ConceptMap": _concept_map}
    return change.get(found.get("resourceType", ""), lambda one: one)(found)


def down_parameters(request: Json) -> Json:
    """Return Parameters with the resources in it as of R4."""
    return {**request, "parameter": [_parameter(row) for row in request.get("parameter", ())]}


def up(resource: Json) -> Json:
    """Return an answer of R4 as R5 words it: extensions that stand for elements become the elements."""
    found: Json = _map(resource, _risen)
    return found


def _parameter(row: Json) -> Json:
    resource = row.get("resource")
    if not isinstance(resource, dict):
        return row
    of = down_parameters if resource.get("resourceType") == "Parameters" else down
    return {**row, "resource": of(resource)}


def _map(value: Any, change: Callable[[Json], Json]) -> Any:
    if isinstance(value, dict):
        return change({key: _map(one, change) for key, one in value.items()})
    return [_map(one, change) for one in value] if isinstance(value, list) else value


def _extended(element: Json, *extensions: Json) -> Json:
    return {**element, "extension": [*element.get("extension", ()), *extensions]} if extensions else element


def _algorithm(resource: Json, kind: str) -> Json:
    names = [key for key in resource if key.startswith("versionAlgorithm")]
    rest = {key: value for key, value in resource.items() if key not in names}
    return _extended(
        rest,
        *(
            {"url": f"{R5}{kind}.versionAlgorithm", f"value{key.removeprefix('versionAlgorithm')}": resource[key]}
            for key in names
        ),
    )


def _code_system(resource: Json) -> Json:
    return _algorithm(resource, "CodeSystem")


def _value_set(resource: Json) -> Json:
    compose = resource.get("compose")
    found = _algorithm(resource, "ValueSet")
    if not isinstance(compose, dict):
        return found
    wanted = compose.get("property", ())
    kept = {key: value for key, value in compose.items() if key != "property"}
    for part in ("include", "exclude"):
        if part in kept:
            kept[part] = [_include(row) for row in kept[part]]
    rows = ({"url": f"{R5}ValueSet.compose.property", "valueString": one} for one in wanted)
    return {**found, "compose": _extended(kept, *rows)}


def _include(row: Json) -> Json:
    if "filter" not in row:
        return row
    return {**row, "filter": [_filter(one) for one in row["filter"]]}


def _filter(row: Json) -> Json:
    if row.get("op") not in OPERATORS:
        return row
    rest = {key: value for key, value in row.items() if key != "op"}
    return {
        **rest,
        "_op": {"extension": [{"url": f"{R5}ValueSet.compose.include.filter.op", "valueCode": row["op"]}]},
    }


def _concept_map(resource: Json) -> Json:
    renamed = {key.replace("Scope", ""): value for key, value in resource.items()}

    def target(element: Json) -> Json:
        if "relationship" not in element:
            return element
        rest = {key: value for key, value in element.items() if key != "relationship"}
        return rest if "mode" in rest else {**rest, "equivalence": EQUIVALENCE[element["relationship"]]}

    found: Json = _map(renamed, target)
    return found


def _risen(element: Json) -> Json:
    kept, rows = [], []
    for one in element.get("extension", ()):
        name = one.get("url", "").removeprefix(R5)
        if name in {"ValueSet.expansion.property", "ValueSet.expansion.contains.property"}:
            rows.append(_complex(one))
        else:
            kept.append(one)
    if not rows:
        return element
    rest = {key: value for key, value in element.items() if key != "extension"}
    return {**rest, **({"extension": kept} if kept else {}), "property": rows}


def _complex(extension: Json) -> Json:
    found = {}
    for part in extension["extension"]:
        key = next(one for one in part if one.startswith("value"))
        found[key if part["url"] == "value" else part["url"]] = part[key]
    return found
