"""What is wrong with an Organization, Location or OrganizationAffiliation by itself, or beside another one (docs/hierarchy.md).

The rules that need more than two of them are put together in `repository.hierarchy`.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from fhir_server.facilities import agreement, nodes
from fhir_server.facilities.agreement import NOTHING_AGREED
from fhir_server.facilities.nodes import LEVELS, MEMBER, ORG_LEVEL, Affiliation

Code = Literal[
    "affiliation-incomplete",
    "agreement-invalid",
    "agreement-overlap",
    "location-cycle",
    "location-level",
    "org-cycle",
    "org-has-records",
    "org-level",
    "org-level-unknown",
    "residency-conflict",
    "self-affiliation",
    "use-accept",
    "use-leave",
]
"""Stable codes of what is refused, for programs."""

STATUS: Mapping[Code, Literal[403, 409]] = {
    "agreement-overlap": 409,
    "org-has-records": 409,
    "residency-conflict": 409,
    "use-accept": 403,
    "use-leave": 403,
}
"""Answers to what is refused; 422 to all that is not listed."""

PHYSICAL = {"jdn": 0, "area": 0, "si": 0, "bu": 1, "wi": 2, "lvl": 2, "wa": 2, "co": 2, "ro": 3, "bd": 4}
"""Ranks of places by their physical type (location-physical-type); what is not listed may stand anywhere."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong.

    Attributes:
        code: Which.
        text: What was found and what to change.
        place: Element of the resource, empty for all of it.
    """

    code: Code
    text: str
    place: str = ""


def organization(resource: Mapping[str, Any]) -> Iterator[Finding]:
    """Yield what is wrong with the level of an Organization by itself."""
    found = nodes.levels(resource)
    for code in found:
        if code not in LEVELS:
            known = ", ".join(LEVELS)
            yield Finding(
                "org-level-unknown", f"'{code[:40]}' is no level of {ORG_LEVEL}. It is one of {known}.", "type"
            )
    if len(found) > 1:
        yield Finding("org-level", "An Organization stands at one level. Keep one code of the levels.", "type")


def stands_below(
    lower: str, lower_level: str, upper: str, upper_level: str, place: str = "partOf"
) -> Iterator[Finding]:
    """Yield a finding where what is to stand below something has the higher level of the two."""
    if lower_level and upper_level and LEVELS.index(lower_level) < LEVELS.index(upper_level):
        yield Finding(
            "org-level",
            f"Organization/{lower} is a {lower_level}, and cannot stand below Organization/{upper}, which is a {upper_level}. "
            f"From the top: {', '.join(LEVELS)}.",
            place,
        )


def affiliation(resource: Mapping[str, Any], one: Affiliation) -> Iterator[Finding]:
    """Yield what is wrong with an OrganizationAffiliation by itself."""
    for wrong in agreement.read(resource)[1]:
        yield Finding("agreement-invalid", wrong.text, wrong.place)
    if one.member and one.member == one.network:
        text = "An organization is no member of itself. `organization` is the network, `participatingOrganization` the member."
        yield Finding("self-affiliation", text, "participatingOrganization")
    # Without an agreement it is for the directory only, and may speak of organizations that are known elsewhere.
    if one.active and MEMBER in one.codes and one.agreement != NOTHING_AGREED:
        for name, value in (("organization", one.network), ("participatingOrganization", one.member)):
            if not value:
                text = f"A membership has two sides. Let {name} refer to an Organization of this server."
                yield Finding("affiliation-incomplete", text, name)


def beside(one: Affiliation, other: Affiliation) -> Iterator[Finding]:
    """Yield what forbids that an affiliation of the same member holds at the same time as another one."""
    if one.id == other.id or one.member != other.member or not one.overlaps(other):
        return
    theirs = f"OrganizationAffiliation/{other.id}"
    if one.network == other.network and one.codes & other.codes and one.agreement != other.agreement:
        yield Finding(
            "agreement-overlap",
            f"{theirs} joins the same two organizations at the same time by another agreement. End it first, or change it.",
            "period",
        )
    zones = {one.agreement.residency, other.agreement.residency} - {""}
    if len(zones) > 1:
        yield Finding(
            "residency-conflict",
            f"{theirs} has the records stay in {other.agreement.residency}, this agreement in {one.agreement.residency}.",
            "extension",
        )


def resides(one: Affiliation, zone: str) -> Iterator[Finding]:
    """Yield a finding where an agreement has the records of a member stay elsewhere than they have to."""
    stated = one.agreement.residency
    if stated and zone and stated != zone:
        text = f"The records of Organization/{one.member} have to stay in {zone}, and the agreement has them stay in {stated}."
        yield Finding("residency-conflict", text, "extension")


def place_below(lower: Mapping[str, Any], upper: Mapping[str, Any]) -> Iterator[Finding]:
    """Yield a finding where a place is to be part of a smaller one."""
    mine, above = rank(lower), rank(upper)
    if mine is not None and above is not None and mine < above:
        text = f"Location/{lower['id']} cannot be part of Location/{upper['id']}: by their physicalType it is the larger one."
        yield Finding("location-level", text, "partOf")


def changed_by_hand(before: Affiliation | None, after: Affiliation | None) -> Finding | None:
    """Return why a plain write may not make an affiliation another one that is in force, `None` where it may."""
    began = before if before and before.active and MEMBER in before.codes else None
    holds = after if after and after.active and MEMBER in after.codes else None
    if began == holds:
        return None
    if holds and not (began and _terms(began) == _terms(holds)):
        text = (
            "A membership comes into force when somebody of each side has accepted it. Write it with `active` false, or ask with "
            "Organization/[network]/$invite, and accept with OrganizationAffiliation/[id]/$accept."
        )
        return Finding("use-accept", text, "active")
    text = "A membership ends with Organization/[id]/$leave, which tells what it leaves behind."
    return Finding("use-leave", text, "period" if holds else "active")


def _terms(one: Affiliation) -> tuple[Any, ...]:
    return one.network, one.member, one.codes, one.start, one.agreement


def rank(place: Mapping[str, Any]) -> int | None:
    """Return how small a place is by its physicalType, `None` where that does not say."""
    concept = place.get("physicalType")
    codings = concept.get("coding", []) if isinstance(concept, Mapping) else []
    return next((PHYSICAL[one["code"]] for one in codings if one.get("code") in PHYSICAL), None)
