"""What makes somebody reach a patient of another facility, and what forbids it: relationships, consent, broken glass (product.md 9).

| of another facility's patient | reached |
|---|---|
| with a relationship: open Encounter, Appointment, accepted referral, CareTeam, granted by Consent | as the agreement says |
| who denies sharing (Consent) | neither by network nor by relationship |
| for whom this user broke the glass, in this role | until it ends, as long as an agreement allows emergencies |
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from fhir_server.access.links import linked
from fhir_server.access.principal import Principal
from fhir_server.store import Store

TREATMENT = "TREAT"
"""Purpose of what staff ask for (v3 ActReason), as long as no glass is broken."""

NOBODY: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Place:
    """Where somebody acts, and whose records agreements open there; ids of Organizations.

    Attributes:
        facilities: The acting facility and what is below it.
        networks: Networks that it is a member of, which a Consent may deny as a whole.
        members: Facilities whose records agreements open, by network or by relationship.
        emergency: Those that allow to break the glass.
    """

    facilities: frozenset[str]
    networks: frozenset[str] = NOBODY
    members: frozenset[str] = NOBODY
    emergency: frozenset[str] = NOBODY


@dataclass(frozen=True, slots=True)
class Care:
    """What holds for somebody now.

    Attributes:
        patients: Patients with a relationship to the place, the role or the person; `related` tells of those at each moment.
        objecting: Patients of members who deny that their records are shared with this place.
        glass: Patients for whom the glass was broken, each with the end of it.
        changes_at: When the clock changes the objections or the glass; `None` where it does not. Whatever else changes them
            raises the epoch.
    """

    patients: frozenset[str] = NOBODY
    objecting: frozenset[str] = NOBODY
    glass: Mapping[str, datetime] = field(default_factory=dict)
    changes_at: datetime | None = None


NONE = Care()


async def care(store: Store, principal: Principal, place: Place, now: datetime) -> Care:
    """Return what makes a principal reach patients of other facilities, and what forbids it.

    Args:
        store: The record.
        principal: Staff, or a system.
        place: Where the principal acts.
        now: The time.

    Raises:
        Unavailable: The database cannot be reached.
    """
    patients = await related(store, principal, place, now)
    who = _who(principal, place) | {f"Organization/{one}" for one in place.networks}
    denials = [
        one
        for one in await store.relations.objections(who, place.members, now)
        if not one.purposes or TREATMENT in one.purposes
    ]
    objecting = frozenset(one.patient for one in denials if one.start <= now)
    broken = await broken_by(store, principal, place, now)
    moments = [each for one in denials for each in (one.start, one.end)]
    return Care(
        patients,
        await linked(store, objecting),
        broken,
        min((each for each in (*moments, *broken.values()) if each > now), default=None),
    )


async def related(store: Store, principal: Principal, place: Place, now: datetime) -> frozenset[str]:
    """Return the patients of other facilities with whom there is a relationship at this moment, and who is the same person.

    To be asked for each request: an appointment that is booked or a referral that ends raises no epoch.

    Raises:
        Unavailable: The database cannot be reached.
    """
    if not place.members:
        return NOBODY
    return await linked(store, await store.relations.related(_who(principal, place), TREATMENT, now))


async def broken_by(store: Store, principal: Principal, place: Place | None, now: datetime) -> Mapping[str, datetime]:
    """Return the patients for whom this user broke the glass in this role, as long as agreements allow it.

    Args:
        store: The record.
        principal: Who.
        place: Where the principal acts; `None` where everything is in custody, and only labels restrict.
        now: The time.

    Raises:
        Unavailable: The database cannot be reached.
    """
    if principal.audience != "staff" or not principal.acting_as:
        return {}
    rows = await store.glass.of(principal.user_id, principal.acting_as, now)
    ends: dict[str, datetime] = {}
    for one in rows:
        if place is None or (one.custodian in place.emergency | place.facilities and one.facility in place.facilities):
            ends[one.patient] = max(one.until, ends.get(one.patient, one.until))
    return ends


def _who(principal: Principal, place: Place) -> frozenset[str]:
    named = {principal.acting_as, principal.fhir_user} if principal.audience == "staff" else NOBODY
    return frozenset([*(f"Organization/{one}" for one in place.facilities), *(named - {""})])
