"""What the capability statement says of installed guides (R4 CapabilityStatement: supportedProfile, instantiates, implementationGuide)."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from profiles.packages.library import Library

PROFILES, RULES, GUIDES = "StructureDefinition", "CapabilityStatement", "ImplementationGuide"


@dataclass(frozen=True, slots=True)
class Stated:
    """Canonicals with versions, each list in its order.

    Attributes:
        profiles: Profiles on resources, by resource type.
        guides: ImplementationGuides.
        requirements: CapabilityStatements that say what a server must do.
    """

    profiles: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    guides: tuple[str, ...] = ()
    requirements: tuple[str, ...] = ()


def stated(library: Library) -> Stated:
    """Return what is said of the packages."""
    profiles: dict[str, dict[str, None]] = {}
    for found in library.all(PROFILES):
        if found.entry.kind == "resource" and found.entry.derivation == "constraint":
            profiles.setdefault(found.entry.type, {})[found.canonical] = None
    return Stated(
        {name: tuple(canonicals) for name, canonicals in sorted(profiles.items())},
        tuple(dict.fromkeys(found.canonical for found in library.all(GUIDES))),
        tuple(dict.fromkeys(_requirements(library))),
    )


def _requirements(library: Library) -> Iterator[str]:
    for found in library.all(RULES):
        resource = found.entry.read()
        rest = resource.get("rest")
        modes = [_mode(row) for row in rest] if isinstance(rest, list) else []
        if resource.get("kind") == "requirements" and "server" in modes:
            yield found.canonical


def _mode(row: Any) -> Any:
    return row.get("mode") if isinstance(row, dict) else None
