"""`Definitions`: one immutable object that answers what the FHIR definitions say, loaded once and passed along."""

from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import Any

import msgspec

from profiles.definitions import artifact
from profiles.definitions.artifact import Core, Terminology
from profiles.definitions.model import Compartment, OperationDefinition, RequiredSet, SearchParameter, TypeDefinition

DATA = Path(__file__).parent.parent / "data"
COMMON = frozenset({"Resource", "DomainResource"})
EXAMPLES = "http://hl7.org/fhir/SearchParameter/example"


def load(path: Path | None = None) -> "Definitions":
    """Return the definitions of an artifact folder, by default the one that is shipped.

    Raises:
        ValueError: The artifact is damaged or of another format.
        OSError: It is missing or cannot be read.
    """
    folder = path or DATA
    return Definitions(artifact.read_core(folder), folder)


class Definitions:
    """Look-ups over the compiled definitions. Terminology is read from disk at its first use.

    Attributes:
        version: The FHIR version, `4.0.1`.
        types: Every type by name: resources, complex types, backbones (`Observation.component`) and primitives.
        resource_types: Names of the resource types that instances may have.
        compartments: By the type that a compartment is about.
        operations: By canonical URL.
        not_enumerable: Required value sets whose members cannot be listed.
    """

    def __init__(self, core: Core, folder: Path) -> None:
        self.version = core.fhir_version
        self.types: Mapping[str, TypeDefinition] = _Types(core.types)
        self.resource_types = frozenset(core.resource_types)
        self.compartments: Mapping[str, Compartment] = MappingProxyType({row.code: row for row in core.compartments})
        self.operations: Mapping[str, OperationDefinition] = MappingProxyType({row.url: row for row in core.operations})
        self.not_enumerable = frozenset(core.not_enumerable)
        self._folder = folder
        self._parameters = {row.url: row for row in core.search_parameters}
        self._by_base = _by_base(core.search_parameters)
        self._required = {row.url: row for row in core.required_sets}
        self._by_type: dict[str, Mapping[str, SearchParameter]] = {}

    def type(self, name: str) -> TypeDefinition | None:
        """Return a type by name, or `None`."""
        return self.types.get(name)

    def primitive(self, name: str) -> TypeDefinition | None:
        """Return a primitive type by name, or `None` where there is none or it is not primitive."""
        found = self.types.get(name)
        return found if found is not None and found.kind == "primitive" else None

    def search_parameters(self, resource_type: str) -> Mapping[str, SearchParameter]:
        """Return the search parameters of a resource type by code, those of its base types included, in code order."""
        known = self._by_type.get(resource_type)
        if known is None:
            merged: dict[str, SearchParameter] = {}
            for base in reversed(self._lineage(resource_type)):
                merged |= self._by_base.get(base, {})
            known = self._by_type[resource_type] = MappingProxyType(dict(sorted(merged.items())))
        return known

    def search_parameter(self, url: str) -> SearchParameter | None:
        """Return a search parameter by canonical URL, or `None`."""
        return self._parameters.get(url)

    def required_codes(self, value_set_url: str) -> RequiredSet | None:
        """Return the members of a required value set, or `None` where they cannot be listed. A version is ignored."""
        return self._required.get(value_set_url.partition("|")[0])

    def code_system(self, url: str) -> dict[str, Any] | None:
        """Return a CodeSystem resource (facts only) by canonical URL, or `None`. Callers do not change it."""
        return self._terminology.code_systems.get(url.partition("|")[0])

    def value_set(self, url: str) -> dict[str, Any] | None:
        """Return a ValueSet resource (facts only) by canonical URL, or `None`. Callers do not change it."""
        return self._terminology.value_sets.get(url.partition("|")[0])

    @cached_property
    def _terminology(self) -> Terminology:
        return artifact.read_terminology(self._folder)

    def _lineage(self, name: str) -> list[str]:
        found: list[str] = []
        definition = self.types.get(name)
        while definition is not None:
            found.append(definition.name)
            definition = self.types.get(definition.base)
        return found


class _Types(Mapping[str, TypeDefinition]):
    """Types that are decoded when they are first asked for: a process touches few of the 682."""

    def __init__(self, rows: dict[str, msgspec.Raw]) -> None:
        self._rows = rows
        self._decoded: dict[str, TypeDefinition] = {}

    def __getitem__(self, name: str) -> TypeDefinition:
        found = self._decoded.get(name)
        if found is None:
            found = self._decoded[name] = artifact.decode_type(self._rows[name])
        return found

    def __contains__(self, name: object) -> bool:
        return name in self._rows

    def __iter__(self) -> Iterator[str]:
        return iter(self._rows)

    def __len__(self) -> int:
        return len(self._rows)


def _by_base(parameters: tuple[SearchParameter, ...]) -> dict[str, dict[str, SearchParameter]]:
    """Parameters by base type and code.

    Left out: the specification's three examples, two of which claim the code of a real parameter, and parameters of a
    resource type without an expression, which select nothing.
    """
    found: dict[str, dict[str, SearchParameter]] = {}
    for parameter in parameters:
        if not parameter.url.startswith(EXAMPLES):
            for base in parameter.base:
                if parameter.expression or base in COMMON:
                    found.setdefault(base, {})[parameter.code] = parameter
    return found
