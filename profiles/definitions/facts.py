"""A StructureDefinition without its prose: what snapshots and validation need of it, and nothing else."""

from typing import Any

Json = dict[str, Any]

STRUCTURE = (
    "resourceType", "id", "url", "version", "name", "title", "status", "fhirVersion", "kind", "abstract", "context",
    "contextInvariant", "type", "baseDefinition", "derivation",
)  # fmt: skip
PROSE = frozenset({
    "short", "definition", "comment", "requirements", "alias", "mapping", "example", "isModifierReason", "orderMeaning",
    "meaningWhenMissing", "label",
})  # fmt: skip


def facts(structure: Json) -> Json:
    """Return a StructureDefinition's facts: a type with its snapshot, a profile or extension with its differential."""
    found = {key: structure[key] for key in STRUCTURE if key in structure}
    form = "differential" if structure.get("derivation") == "constraint" else "snapshot"
    rows = structure.get(form, {}).get("element", ())
    return {**found, form: {"element": [_element(row) for row in rows]}}


def _element(row: Json) -> Json:
    found = {key: value for key, value in row.items() if key not in PROSE}
    if "constraint" in row:
        found["constraint"] = [_without(rule, {"xpath", "extension"}) for rule in row["constraint"]]
    if "binding" in row:
        found["binding"] = _without(row["binding"], {"extension", "description"})
    return found


def _without(row: Json, keys: set[str]) -> Json:
    return {key: value for key, value in row.items() if key not in keys}
