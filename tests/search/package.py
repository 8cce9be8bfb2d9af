"""What FHIR R4 publishes, read from its package file by file: hierarchies of codes, and what belongs to a compartment."""

import json
import tarfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Resource = dict[str, Any]

DEFINITIONS = Path("definitions") / "hl7.fhir.r4.core-4.0.1.tgz"
CHILD, PARENTS = "child", ("parent", "subsumedBy")
"""Properties by which a concept names another that stands directly below or above it."""


@dataclass(frozen=True, slots=True)
class Package:
    """The parts of the package that generated searches ask about.

    Attributes:
        above: System -> code -> the codes directly above it, of the code systems whose concepts are all there.
        links: Compartment -> type -> expressions of the parameters by which a resource of the type belongs to it.
    """

    above: Mapping[str, Mapping[str, set[str]]]
    links: Mapping[str, Mapping[str, list[str]]]


def read(test_data: Path) -> Package:
    """Return what the package says."""
    above: dict[str, dict[str, set[str]]] = {}
    expressions: dict[tuple[str, str], str] = {}
    compartments: list[Resource] = []
    for resource in _resources(test_data / DEFINITIONS):
        match resource["resourceType"]:
            case "CodeSystem" if (
                resource["content"] == "complete" and resource.get("hierarchyMeaning", "is-a") == "is-a"
            ):
                above[resource["url"]] = _above(resource)
            case "SearchParameter" if "expression" in resource:
                expressions |= {(base, resource["code"]): resource["expression"] for base in resource["base"]}
            case "CompartmentDefinition" if resource["id"] != "example":
                compartments.append(resource)
    links = {
        one["code"]: {
            row["code"]: [expressions[row["code"], code] for code in row["param"] if code != "{def}"]
            for row in one["resource"]
            if "param" in row
        }
        for one in compartments
    }
    return Package(above, links)


def _resources(path: Path) -> Iterator[Resource]:
    with tarfile.open(path) as archive:
        for member in archive:
            name = member.name.rpartition("/")[2]
            if name.startswith(("CodeSystem-", "SearchParameter-", "CompartmentDefinition-")):
                file = archive.extractfile(member)
                assert file is not None
                yield json.load(file)


def _above(system: Resource) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}

    def walk(concepts: list[Resource], parents: set[str]) -> None:
        for one in concepts:
            found.setdefault(one["code"], set()).update(parents)
            for stated in one.get("property", []):
                if stated["code"] == CHILD:
                    found.setdefault(stated["valueCode"], set()).add(one["code"])
                elif stated["code"] in PARENTS:
                    found[one["code"]].add(stated["valueCode"])
            walk(one.get("concept", []), {one["code"]})

    walk(system.get("concept", []), set())
    return found
