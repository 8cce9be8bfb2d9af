"""Where profiles are looked up: structures given by the caller, installed packages, then the R4 definitions."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from profiles.definitions.registry import Definitions
from profiles.packages.library import Found, Library
from profiles.packages.package import Package

Json = dict[str, Any]

CORE = "http://hl7.org/fhir/StructureDefinition/"
STRUCTURE = "StructureDefinition"


@dataclass(frozen=True, slots=True, eq=False)
class Origin:
    """A StructureDefinition and where it is from, which decides what the canonicals in it mean.

    Attributes:
        structure: The resource. Nobody changes it.
        package: The package that it is in, or `None`.
        url: Its canonical URL without version.
        key: What tells it from every other: `url|version`, and the package.
    """

    structure: Json
    package: Package | None = None
    url: str = field(init=False)
    key: str = field(init=False)

    def __post_init__(self) -> None:
        package = self.package.key if self.package else ""
        object.__setattr__(self, "url", str(self.structure.get("url", "")))
        object.__setattr__(self, "key", f"{self.url}|{self.structure.get('version', '')}@{package}")


class Source:
    """Look-up of StructureDefinitions by canonical. Each is decoded once.

    Args:
        definitions: The definitions of R4.
        library: The packages that are installed.
        resources: Definitions that come before both, such as those that users stored: StructureDefinitions, ValueSets,
            CodeSystems.
    """

    def __init__(
        self, definitions: Definitions, library: Library | None = None, resources: Iterable[Json] = ()
    ) -> None:
        self.definitions = definitions
        self.library = library or Library()
        self._own: dict[str, list[Origin]] = {}
        self._others: dict[tuple[str, str], Json] = {}
        for resource in resources:
            kind, url = str(resource.get("resourceType", STRUCTURE)), str(resource.get("url", ""))
            if kind == STRUCTURE:
                self._own.setdefault(url, []).append(Origin(resource))
            else:
                self._others.setdefault((kind, url), resource)
        self._read: dict[str, Origin] = {}

    def find(self, canonical: str, within: Origin | None = None) -> Origin | None:
        """Return what a canonical means in a structure (`within`), or for a client, or `None` if it is not known."""
        url, _, version = canonical.partition("#")[0].partition("|")
        own = self._own.get(url, [])
        for fits in (_exactly, _begins):
            for origin in own:
                if fits(str(origin.structure.get("version", "")), version):
                    return origin
        found = self.library.find(canonical, within.package if within else None, STRUCTURE)
        if found is not None:
            key = f"{found.canonical}@{found.package.key}"
            if key not in self._read:
                self._read[key] = Origin(self._needed(found), found.package)
            return self._read[key]
        return self._core(url) if not version or version.startswith("4.0") else None

    def _needed(self, found: Found) -> Json:
        """Return a structure of a package without what nobody asks for: most of it is its narrative and published snapshot.

        The snapshot is made anew from the differential, but where the base is not installed.
        """
        structure = found.entry.read()
        base = str(structure.get("baseDefinition", ""))
        known = (
            self.library.find(base, found.package, STRUCTURE) is not None
            or self._core(base.partition("|")[0]) is not None
        )
        unread = {"text", "snapshot"} if known and "differential" in structure else {"text"}
        return {key: value for key, value in structure.items() if key not in unread}

    def given(self, kind: str, url: str) -> Json | None:
        """Return a ValueSet or CodeSystem that was given, or `None`."""
        return self._others.get((kind, url))

    def guides(self) -> Iterable[Json]:
        """Return the ImplementationGuides that were given."""
        return [resource for (kind, _), resource in self._others.items() if kind == "ImplementationGuide"]

    def type(self, name: str) -> Origin | None:
        """Return the definition of an R4 type by name, whatever is installed, or `None`."""
        return self._core(name if "/" in name else CORE + name)

    def _core(self, url: str) -> Origin | None:
        if url not in self._read:
            structure = self.definitions.structure(url)
            if structure is None:
                return None
            self._read[url] = Origin(structure)
        return self._read[url]


def _exactly(found: str, version: str) -> bool:
    return not version or found == version


def _begins(found: str, version: str) -> bool:
    """Return whether a version is one of those that a part of a version means: `0.2.1` is a `0.2`."""
    return found.startswith(f"{version}.")
