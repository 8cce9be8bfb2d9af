"""Counts for the reports of an Organization: of each that stands below it, by index scans, small ones kept to itself."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec

from fhir_server.access.scope_filter import insufficient
from fhir_server.facilities.rollup import Part, parts
from fhir_server.repository.door import Repository
from fhir_server.repository.sides import refuse_strangers
from smart_auth.scopes.grammar import ANY_TYPE

REPORT = "MeasureReport"
ACT = "http://terminology.hl7.org/CodeSystem/v3-ActCode"

RIGHT = {"s.status": {"$ne": "entered-in-error"}}


class Measure(msgspec.Struct, frozen=True):
    """What is counted: resources of a type, and which of them."""

    title: str
    resource_type: str
    clause: Mapping[str, Any]


MEASURES: Mapping[str, Measure] = {
    "encounters": Measure("Encounters that began", "Encounter", RIGHT),
    "admissions": Measure("Admissions as inpatient", "Encounter", {**RIGHT, "s.class": f"IMP|{ACT}"}),
    "immunizations": Measure("Immunizations given", "Immunization", {"s.status": "completed"}),
    "observations": Measure("Observations", "Observation", RIGHT),
    "procedures": Measure("Procedures that began", "Procedure", RIGHT),
}
"""What can be counted, by the last segment of the measure's canonical URL."""


class Counted(msgspec.Struct, frozen=True):
    """One row: whom, and how many; `None` where that is not told."""

    part: Part
    count: int | None


async def counted(
    repository: Repository, organization: str, measure: Measure, begin: datetime, end: datetime
) -> Sequence[Counted]:
    """Return the counts of each that stands below an Organization, while it did.

    Raises:
        NotFound: The caller sees the Organization not.
        Forbidden: The caller does not speak for it, or has no scope for reports.
        TooCostly: The time limit was reached.
    """
    await repository.read("Organization", organization)
    tree = await repository.house.now()
    refuse_strangers(repository.scope, tree, organization)
    require_scope(repository)
    found = parts(tree, organization, begin, end)
    spans: dict[tuple[datetime, datetime], list[Part]] = {}
    for one in found:
        if one.rollup != "none":
            spans.setdefault((one.begin, one.end), []).append(one)
    counts: dict[tuple[datetime, datetime], Mapping[str, int]] = {}
    there = measure.resource_type in await repository.store.types()
    for (first, last), group in spans.items():
        facilities = frozenset[str]().union(*(tree.below(one.organization) for one in group))
        asked = (measure.resource_type, facilities, first, last, measure.clause)
        counts[first, last] = await repository.store.counting.by_facility(*asked) if there else {}
    rows = []
    for one in found:
        by_facility = counts.get((one.begin, one.end), {})
        total = sum(by_facility.get(each, 0) for each in tree.below(one.organization))
        rows.append(Counted(one, one.told(total)))
    return rows


def require_scope(repository: Repository) -> None:
    """Refuse an app that was granted nothing of reports; the role alone does not hand them to every app.

    Raises:
        Forbidden: It is such an app.
    """
    if not has_scope(repository):
        raise insufficient(f"The access token has no scope for this: 'r' of {REPORT}.", f"user/{REPORT}.r")


def has_scope(repository: Repository) -> bool:
    """Return whether the caller's app was granted reports."""
    who = repository.scope.principal
    return who.audience == "server" or any(
        "r" in one.letters and one.resource_type in {ANY_TYPE, REPORT} for one in who.scopes
    )
