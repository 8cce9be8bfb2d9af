"""`Definitions`: one immutable object that answers what the FHIR definitions say, loaded once and passed along."""

from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property, lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

import msgspec

from profiles.definitions import artifact
from profiles.definitions.artifact import Core, Structures, Terminology, Wording
from profiles.definitions.model import Compartment, OperationDefinition, RequiredSet, SearchParameter, TypeDefinition

DATA = Path(__file__).parent.parent / "data"
COMMON = frozenset({"Resource", "DomainResource"})
EXAMPLES = "http://hl7.org/fhir/SearchParameter/example"
"""The specification's three examples, two of which claim the code of a real parameter."""


def load(path: Path | None = None) -> "Definitions":
    """Return the definitions of an artifact folder, by default the one that is shipped, which a process reads once.

    Raises:
        ValueError: The artifact is damaged or of another format.
        OSError: It is missing or cannot be read.
    """
    return _read(path) if path else _shipped()


def _read(folder: Path) -> "Definitions":
    return Definitions(artifact.read_core(folder), folder)


@lru_cache(maxsize=1)
def _shipped() -> "Definitions":
    """Nobody changes them, and much is worked out from them once for each (`search.params`): all servers of a process share them."""
    return _read(DATA)


class Definitions:
    """Look-ups over the compiled definitions. Terminology is read from disk at its first use.

    Attributes:
        version: The FHIR version, `4.0.1`.
        types: Every type by name: resources, complex types, backbones (`Observation.component`) and primitives.
        resource_types: Names of the resource types that instances may have.
        compartments: By the type that a compartment is about.
        operations: By canonical URL.
        not_enumerable: Required value sets whose members cannot be listed.
        added: Search parameters that are laid over those of the artifact (`extended`).
        own: The definitions without them.
    """

    def __init__(
        self,
        core: Core,
        folder: Path,
        added: tuple[SearchParameter, ...] = (),
        own: "Definitions | None" = None,
    ) -> None:
        self.version = core.fhir_version
        self.types: Mapping[str, TypeDefinition] = own.types if own else _Types(core.types)
        self.added = added
        self.own = own or self
        self.resource_types = frozenset(core.resource_types)
        self.compartments: Mapping[str, Compartment] = MappingProxyType({row.code: row for row in core.compartments})
        self.operations: Mapping[str, OperationDefinition] = MappingProxyType({row.url: row for row in core.operations})
        self.not_enumerable = frozenset(core.not_enumerable)
        self._core = core
        self._folder = folder
        self._terminology: _Terms = own._terminology if own else _Terms(folder)  # noqa: SLF001 - its own kind
        self._parameters = {row.url: row for row in (*reversed(added), *core.search_parameters)}
        self._by_base = _by_base(row for row in core.search_parameters if not row.url.startswith(EXAMPLES))
        for base, rows in _by_base(added).items():
            self._by_base[base] = rows | self._by_base.get(base, {})
        self._required = {row.url: row for row in core.required_sets}
        self._by_type: dict[str, Mapping[str, SearchParameter]] = {}

    def extended(self, parameters: Iterable[SearchParameter]) -> "Definitions":
        """Return these definitions with more search parameters; they share everything else.

        Args:
            parameters: In place of those that were added before. Where one has the code of a parameter of the artifact, that
                of the artifact stays; where two have the canonical URL of one, the first.
        """
        added = tuple(parameters)
        if not added:
            return self.own
        return Definitions(self._core, self._folder, added, self.own)

    def added_codes(self, resource_type: str) -> frozenset[str]:
        """Return the codes of the added search parameters of a resource type, those of its base types included."""
        if not self.added:
            return frozenset()
        lineage = set(self._lineage(resource_type))
        return frozenset(row.code for row in self.added if not lineage.isdisjoint(row.base))

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

    @property
    def terminology(self) -> Terminology:
        """All code systems and value sets, read from disk when they are first asked for."""
        return self._terminology.read

    def code_system(self, url: str) -> dict[str, Any] | None:
        """Return a CodeSystem resource (facts only) by canonical URL, or `None`. Callers do not change it."""
        return self._terminology.read.code_systems.get(url.partition("|")[0])

    def value_set(self, url: str) -> dict[str, Any] | None:
        """Return a ValueSet resource (facts only) by canonical URL, or `None`. Callers do not change it."""
        return self._terminology.read.value_sets.get(url.partition("|")[0])

    def structure(self, url: str) -> dict[str, Any] | None:
        """Return a StructureDefinition resource of R4 by canonical URL, or `None`: a new value each time, without prose.

        Types have a snapshot; profiles and extensions a differential, of which `profiles.snapshot` makes one.
        """
        row = self._terminology.structures.structures.get(url.partition("|")[0])
        return None if row is None else artifact.decode_structure(row)

    @property
    def structures(self) -> tuple[str, ...]:
        """Canonical URLs of all StructureDefinitions of R4, in order."""
        return tuple(self._terminology.structures.structures)

    def wording(self, path: str) -> tuple[str, str, str] | None:
        """Return what an element is in words, by the path that states it first (`base.path`), or `None`.

        Returns:
            In short, in full, and why it is a modifier; each empty where nothing is said.
        """
        return self._terminology.wording.elements.get(path)

    def _lineage(self, name: str) -> list[str]:
        found: list[str] = []
        definition = self.types.get(name)
        while definition is not None:
            found.append(definition.name)
            definition = self.types.get(definition.base)
        return found


class _Terms:
    """The lazy parts, each read when it is first asked for."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @cached_property
    def read(self) -> Terminology:
        return artifact.read_terminology(self._folder)

    @cached_property
    def wording(self) -> Wording:
        return artifact.read_wording(self._folder)

    @cached_property
    def structures(self) -> Structures:
        return artifact.read_structures(self._folder)


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


def _by_base(parameters: Iterable[SearchParameter]) -> dict[str, dict[str, SearchParameter]]:
    """Parameters by base type and code, without those of a resource type that have no expression and select nothing."""
    found: dict[str, dict[str, SearchParameter]] = {}
    for parameter in parameters:
        for base in parameter.base:
            if parameter.expression or base in COMMON:
                found.setdefault(base, {})[parameter.code] = parameter
    return found
