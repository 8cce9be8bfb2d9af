"""Organizations and memberships as the hierarchy knows them: plain values read from the stored resources (IHE mCSD)."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any

from fhir_server.facilities import agreement
from fhir_server.facilities.agreement import NOTHING_AGREED, OWN, Agreement
from fhir_server.model import reference
from fhir_server.search.types.date import EARLIEST, LATEST, intervals

ORG_LEVEL = f"{OWN}/CodeSystem/org-level"
"""Code system of the levels, in `Organization.type`."""

LEVELS = ("sovereign", "region", "network", "facility", "department")
"""From the highest to the lowest. An Organization without one may stand anywhere."""

ROLE = "http://hl7.org/fhir/organization-role"
MEMBER = "member"
"""Code of an affiliation that makes its participating organization a member of a network."""

FOREVER = LATEST
MILLISECOND = timedelta(milliseconds=1)


@dataclass(frozen=True, slots=True)
class Organization:
    """One Organization.

    Attributes:
        id: Its logical id.
        parent: Id of what it is part of, empty for none.
        level: One of `LEVELS`, empty for none.
        name: Its name.
        active: Whether it is in use.
        zone: Where its records have to stay, as it says itself; empty where it says nothing.
    """

    id: str
    parent: str = ""
    level: str = ""
    name: str = ""
    active: bool = True
    zone: str = ""


@dataclass(frozen=True, slots=True)
class Affiliation:
    """One OrganizationAffiliation that joins two organizations.

    Attributes:
        id: Its logical id.
        network: `organization`.
        member: `participatingOrganization`.
        codes: Codes of what the one is to the other, such as `member`.
        active: Whether it holds at all.
        start: First moment of its period.
        end: First moment after its period.
        agreement: What the member agrees to.
    """

    id: str
    network: str
    member: str
    codes: frozenset[str] = frozenset({MEMBER})
    active: bool = True
    start: datetime = EARLIEST
    end: datetime = FOREVER
    agreement: Agreement = NOTHING_AGREED

    def holds(self, at: datetime) -> bool:
        """Return whether it holds at a moment."""
        return self.active and self.start <= at < self.end

    def overlaps(self, other: "Affiliation") -> bool:
        """Return whether there is a moment at which both hold."""
        return self.active and other.active and self.start < other.end and other.start < self.end


def organization(resource: Mapping[str, Any], base: str = "") -> Organization:
    """Return what an Organization resource says.

    Args:
        resource: The resource.
        base: Our own service base; absolute references below it are local ones.
    """
    return Organization(
        resource["id"],
        target(resource.get("partOf"), base),
        next((code for code in levels(resource) if code in LEVELS), ""),
        str(resource.get("name", "")),
        resource.get("active") is not False,
        agreement.zone(resource),
    )


def affiliation(resource: Mapping[str, Any], zone: tzinfo = UTC, base: str = "") -> Affiliation:
    """Return what an OrganizationAffiliation resource says; one that does not say whether it is active is (R4 8.8).

    Args:
        resource: The resource.
        zone: Time zone of dates that have none.
        base: Our own service base; absolute references below it are local ones.
    """
    start, end = span(resource.get("period"), zone)
    return Affiliation(
        resource["id"],
        target(resource.get("organization"), base),
        target(resource.get("participatingOrganization"), base),
        frozenset(code for concept in resource.get("code", []) for _, code in _codings(concept)),
        resource.get("active") is not False,
        start,
        end,
        agreement.read(resource)[0],
    )


def levels(resource: Mapping[str, Any]) -> list[str]:
    """Return all codes of the code system of levels that an Organization has, known or not."""
    return [code for concept in resource.get("type", []) for system, code in _codings(concept) if system == ORG_LEVEL]


def span(period: Any, zone: tzinfo = UTC) -> tuple[datetime, datetime]:
    """Return the first moment of a Period and the first one after it; a bound that is not stated is open."""
    found = next(iter(intervals([("Period", period)], zone)), None) if period else None
    if found is None:
        return EARLIEST, FOREVER
    return found.low, found.high if found.high >= FOREVER else found.high + MILLISECOND


def target(holder: Any, base: str = "", resource_type: str = "Organization") -> str:
    """Return the id of the instance that a Reference names, empty where it names none of this type on this server."""
    text = holder.get("reference", "") if isinstance(holder, Mapping) else ""
    found = reference.local(text, base) if isinstance(text, str) else None
    return found.id if found and found.resource_type == resource_type else ""


def _codings(concept: Any) -> Iterator[tuple[str, str]]:
    for coding in concept.get("coding", []) if isinstance(concept, Mapping) else []:
        yield str(coding.get("system", "")), str(coding.get("code", ""))
