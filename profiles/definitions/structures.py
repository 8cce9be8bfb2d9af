"""StructureDefinition snapshots → type definitions (R4 ElementDefinition).

Only types are compiled: primitives, complex types and resources, with every backbone as a type named by its path.
Profiles (derivation `constraint`) and logical models are not types.
"""

from collections.abc import Iterable
from typing import Any

from profiles.definitions.model import Element, Invariant, TypeDefinition, TypeKind

Json = dict[str, Any]

CORE = "http://hl7.org/fhir/StructureDefinition/"
FHIR_TYPE = "http://hl7.org/fhir/StructureDefinition/structuredefinition-fhir-type"
REGEX = "http://hl7.org/fhir/StructureDefinition/regex"
KINDS: dict[str, TypeKind] = {"primitive-type": "primitive", "complex-type": "complex", "resource": "resource"}
SYSTEM_STRING = "http://hl7.org/fhirpath/System.String"
BINDABLE = frozenset({"code", "Coding", "CodeableConcept", "Quantity", "string", "uri"})


def types(structures: Iterable[Json]) -> dict[str, TypeDefinition]:
    """Return the definition of every type by name, sorted, from all StructureDefinitions of a package."""
    known = {structure["url"]: structure for structure in structures}
    found: dict[str, TypeDefinition] = {}
    for structure in known.values():
        if structure["kind"] in KINDS and structure.get("derivation", "specialization") == "specialization":
            for definition in _Structure(structure, known).definitions():
                found[definition.name] = definition
    return dict(sorted(found.items()))


class _Structure:
    """One snapshot on its way to one type definition for its root and one for each backbone in it."""

    def __init__(self, structure: Json, known: dict[str, Json]) -> None:
        self.structure = structure
        self.known = known
        self.kind = KINDS[structure["kind"]]
        self.rows: list[Json] = structure["snapshot"]["element"]
        self.children: dict[str, list[Json]] = {}
        for row in self.rows[1:]:
            self.children.setdefault(row["path"].rpartition(".")[0], []).append(row)

    def definitions(self) -> Iterable[TypeDefinition]:
        root = self.rows[0]
        base = self.structure.get("baseDefinition", "").removeprefix(CORE)
        yield self._definition(root, self.kind, base)
        for row in self.rows[1:]:
            if row["path"] in self.children:
                yield self._definition(row, "backbone", row["type"][0]["code"])

    def _definition(self, row: Json, kind: TypeKind, base: str) -> TypeDefinition:
        elements: dict[str, Element] = {}
        pattern = ""
        for child in self.children.get(row["path"], ()):
            if self.kind == "primitive" and child["path"].endswith(".value"):
                pattern = _extension(child["type"][0], REGEX, "valueString")
            elif child["max"] != "0":
                elements.update((element.name, element) for element in self._elements(child))
        abstract = bool(self.structure["abstract"]) and kind != "backbone"
        return TypeDefinition(row["path"], kind, base, abstract, elements, _invariants(row), pattern)

    def _elements(self, row: Json) -> Iterable[Element]:
        name = row["path"].rpartition(".")[2]
        if not name.endswith("[x]"):
            yield self._element(row, name, "", self._types(row)[0])
            return
        stem = name.removesuffix("[x]")
        for option in self._types(row):
            yield self._element(row, stem + option["code"][0].upper() + option["code"][1:], stem, option)

    def _types(self, row: Json) -> list[Json]:
        if "contentReference" in row:
            return [{"code": row["contentReference"].partition("#")[2]}]
        if row["path"] in self.children:
            return [{"code": row["path"]}]
        if row.get("base", {}).get("path") == "Resource.id":
            # The published snapshots type it as string; R4 Resource.id is of type id.
            return [{"code": "id"}]
        return [{**option, "code": _type_name(option)} for option in row["type"]]

    def _element(self, row: Json, name: str, choice: str, option: Json) -> Element:
        binding = row.get("binding", {})
        required = binding.get("strength") == "required" and option["code"] in BINDABLE
        inherited = {rule.key for rule in self._type_invariants(option["code"])}
        stated = [rule for rule in _invariants(row) if rule.key not in inherited]
        for profile in option.get("profile", ()):
            rules = _invariants(self.known[profile]["snapshot"]["element"][0])
            stated += [rule for rule in rules if rule.key not in inherited | {known.key for known in stated}]
        return Element(
            name=name,
            path=row["path"],
            type=option["code"],
            min=row["min"],
            max=None if row["max"] == "*" else int(row["max"]),
            array=row["base"]["max"] not in {"0", "1"},
            choice=choice,
            targets=self._targets(option),
            binding=binding["valueSet"].partition("|")[0] if required else "",
            summary=row.get("isSummary", False),
            modifier=row.get("isModifier", False),
            invariants=tuple(stated),
        )

    def _type_invariants(self, name: str) -> tuple[Invariant, ...]:
        rows = self.known[CORE + name]["snapshot"]["element"] if CORE + name in self.known else self.rows
        return next((_invariants(row) for row in rows if row["path"] == name), ())

    def _targets(self, option: Json) -> tuple[str, ...]:
        names = {
            self.known[url]["type"] if url in self.known else url.removeprefix(CORE)
            for url in option.get("targetProfile", ())
        }
        return () if "Resource" in names else tuple(sorted(names))


def _invariants(row: Json) -> tuple[Invariant, ...]:
    rules = row.get("constraint", ())
    return tuple(
        Invariant(rule["key"], rule["severity"], rule["human"], rule["expression"])
        for rule in rules
        if "expression" in rule
    )


def _type_name(option: Json) -> str:
    """The FHIR type behind a FHIRPath system type; `xhtml.id` alone does not say it, and is a string like every id."""
    code = str(option["code"])
    return _extension(option, FHIR_TYPE, "valueUrl") or ("string" if code == SYSTEM_STRING else code)


def _extension(value: Json, url: str, member: str) -> str:
    return next((str(item[member]) for item in value.get("extension", ()) if item["url"] == url), "")
