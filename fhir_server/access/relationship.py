"""Which resources make a treatment relationship between a facility and a patient, and for how long (product.md 9).

| resource | holds while | with |
|---|---|---|
| Encounter | arrived, triaged, in progress or on leave, within its period | the facility that keeps it |
| Appointment | booked, arrived or checked in, until a day after its end | facilities of its PractitionerRoles, Locations and HealthcareServices |
| Task | accepted or in progress, and the ServiceRequest that is its focus is active | the facility of its owner: an accepted referral |
| CareTeam | active, within its period | managing organizations, and facilities of members |

A Consent that permits makes one, too (`consent`). What is said here follows from one resource; whom a reference leads to, and
whether the patient is another facility's at all, is found out when it is written (`repository.relating`).
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from types import MappingProxyType
from typing import Any

from fhir_server.model import reference
from fhir_server.search.types.date import DAY, EARLIEST, LATEST, intervals

Document = Mapping[str, Any]

PLACES = frozenset({"PractitionerRole", "Location", "HealthcareService"})
"""Types that belong to a facility, which is found out by reading them."""

OPEN_ENCOUNTER = frozenset({"arrived", "triaged", "in-progress", "onleave"})
KEPT_APPOINTMENT = frozenset({"booked", "arrived", "checked-in"})
ACCEPTED = frozenset({"accepted", "in-progress"})
MILLISECOND = timedelta(milliseconds=1)


@dataclass(frozen=True, slots=True)
class Claim:
    """What a resource says of a relationship.

    Attributes:
        patients: Ids of Patients; empty where what `via` names says whom it is about.
        actors: References to Organizations and to places (`PLACES`).
        start: First moment.
        end: First moment after it.
        via: Another resource that must hold besides, `Type/id`.
    """

    patients: tuple[str, ...]
    actors: tuple[str, ...]
    start: datetime = EARLIEST
    end: datetime = LATEST
    via: str = ""


def claim(resource_type: str, document: Document, zone: tzinfo = UTC) -> Claim | None:
    """Return what a stored document says of a relationship, `None` where it says nothing.

    Args:
        resource_type: Its type.
        document: Live or superseded, with `p`, `ps`, `f` and `r`.
        zone: Time zone of dates that have none.
    """
    reader = CLAIMS.get(resource_type)
    found = reader(document, zone) if reader else None
    return found if found and found.actors and (found.patients or found.via) else None


def _encounter(document: Document, zone: tzinfo) -> Claim | None:
    resource = document["r"]
    if resource.get("status") not in OPEN_ENCOUNTER or not document.get("f"):
        return None
    start, end = span(resource.get("period"), zone)
    return Claim(patients(document), (f"Organization/{document['f']}",), start, end)


def _appointment(document: Document, zone: tzinfo) -> Claim | None:
    resource = document["r"]
    if resource.get("status") not in KEPT_APPOINTMENT:
        return None
    actors = (one.get("actor") for one in resource.get("participant", ()) if one.get("status") != "declined")
    last = resource.get("end") or resource.get("start")
    end = next((one.high + DAY for one in intervals([("instant", last)], zone)), LATEST) if last else LATEST
    return Claim(patients(document), tuple(_of_types(actors, PLACES)), EARLIEST, end)


def _referral(document: Document, zone: tzinfo) -> Claim | None:
    resource = document["r"]
    focus = next(_of_types([resource.get("focus")], {"ServiceRequest"}), "")
    if resource.get("status") not in ACCEPTED or not focus:
        return None
    start, end = span(resource.get("restriction", {}).get("period"), zone)
    return Claim((), tuple(_of_types([resource.get("owner")], {"Organization", *PLACES})), start, end, focus)


def _care_team(document: Document, zone: tzinfo) -> Claim | None:
    resource = document["r"]
    if resource.get("status") != "active":
        return None
    members = [
        one.get(name)
        for one in resource.get("participant", ())
        for name in ("member", "onBehalfOf")
        if span(one.get("period"), zone) == (EARLIEST, LATEST)
    ]
    actors = _of_types([*resource.get("managingOrganization", ()), *members], {"Organization", *PLACES})
    return Claim(patients(document), tuple(actors), *span(resource.get("period"), zone))


CLAIMS: Mapping[str, Callable[[Document, tzinfo], Claim | None]] = MappingProxyType(
    {"Encounter": _encounter, "Appointment": _appointment, "Task": _referral, "CareTeam": _care_team}
)
"""Types that make relationships."""


def patients(document: Document) -> tuple[str, ...]:
    """Return the patients in whose compartment a stored document is."""
    return tuple(document.get("ps", ())) or ((document["p"],) if document.get("p") else ())


def span(period: Any, zone: tzinfo = UTC) -> tuple[datetime, datetime]:
    """Return the first moment of a Period and the first one after it; a bound that is not stated is open."""
    found = next(iter(intervals([("Period", period)], zone)), None) if period else None
    if found is None:
        return EARLIEST, LATEST
    return found.low, found.high if found.high >= LATEST else found.high + MILLISECOND


def _of_types(holders: Iterable[Any], types: Iterable[str]) -> Iterator[str]:
    """Yield the local references among some that lead to these types, each once."""
    texts = dict.fromkeys(reference.plain(str(one.get("reference", ""))) for one in holders if one)
    for text in texts:
        if text.partition("/")[0] in types:
            yield text
