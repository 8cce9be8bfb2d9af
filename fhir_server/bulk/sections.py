"""The parts of an export, one after the other: which types there are at each level, and how each is read."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal

from fhir_server.bulk.task import Level, Task
from fhir_server.search.compartment import members
from profiles.definitions.registry import Definitions

How = Literal["all", "of-patients", "referenced", "provenance", "by-patient"]

PATIENT, PROVENANCE, GROUP = "Patient", "Provenance", "Group"

SUPPORTING = frozenset(
    {
        "Device",
        "HealthcareService",
        "Location",
        "Medication",
        "Organization",
        "Practitioner",
        "PractitionerRole",
        "Substance",
    }
)
"""Types that are of no patient and that those of patients refer to: they come along."""


@dataclass(frozen=True, slots=True)
class Section:
    """A kind of files, which are made one after the other.

    Attributes:
        kind: `output`, or `deleted` for what was deleted.
        type: Resource type; empty where files are by patient.
        how: What is read: `all` of a type (at the level of patients all that is of any), what is `of-patients` or
            `by-patient` of some, what is `referenced` by that, and `provenance` of that.
    """

    kind: Literal["output", "deleted"]
    type: str
    how: How

    @property
    def name(self) -> str:
        """What the names of its files begin with."""
        name = self.type or "patients"
        return name if self.kind == "output" else f"deleted-{name}"


def offered(level: Level, definitions: Definitions) -> Collection[str]:
    """Return the types that may be exported at a level."""
    if level == "system":
        return definitions.resource_types
    return {*members(PATIENT, definitions), *SUPPORTING}


def some(task: Task) -> bool:
    """Return whether the export is for some patients only."""
    return task.level == "group" or bool(task.patients)


def chosen(task: Task) -> bool:
    """Return whether patients are gone through one by one, for not all are exported or files are by patient."""
    return some(task) or task.by_patient or task.latest


def sections(task: Task, definitions: Definitions) -> list[Section]:
    """Return the parts of an export."""
    held = frozenset(members(PATIENT, definitions))
    found: list[Section] = []
    if task.by_patient:
        found.append(Section("output", "", "by-patient"))
    for name in task.types:
        how: How = "all"
        if chosen(task):
            how = "of-patients" if name in held else "referenced"
            how = "provenance" if name == PROVENANCE else how
        if not (task.by_patient and how == "of-patients"):
            found.append(Section("output", name, how))
    if task.since:
        for name in task.types:
            how = "of-patients" if some(task) and name in held and name != PROVENANCE else "all"
            found.append(Section("deleted", name, how))
    return found
