"""Who asks, as far as access is concerned (SMART App Launch 2.2; architecture: one place for access control)."""

from dataclasses import dataclass
from typing import Literal

from smart_auth.records import NOBODY
from smart_auth.scopes.grammar import ResourceScope
from smart_auth.tokens import Bearer

Audience = Literal["patient", "staff", "administrator", "system", "server"]
"""Who holds a token; `server` is this program itself, and everybody in open mode."""


@dataclass(frozen=True, slots=True)
class Principal:
    """The holder of a token.

    Attributes:
        audience: patient (or a proxy), staff, an administrator of the house, or a system without a person.
        client_id: The app or service.
        user_id: The person, empty for a system.
        scopes: What the token reaches.
        patient: Patient of the launch, empty without one.
        own: Patients that a patient user is or acts for.
        fhir_user: Who the person is in the record, as `Type/id`; readable with any token that says who that is.
        facility: Organization that keeps what is created, empty for the configured one.
        grant_id: The grant, for the audit trail.
        acting_as: Who the person works as, `PractitionerRole/id` where there is such a role; empty for none.
        facilities: Organizations whose records, with what is below them, a system is registered for; empty for all.
        types: Resource types that a system is registered for, which its scopes are narrowed to already; empty for all.
        purpose: Purpose of use that a client is registered with, a code such as `TREAT`; empty where nothing was said.
        advisory: Whether this is a reasoning service, whose advice never changes the record by itself (product.md 12).
    """

    audience: Audience
    client_id: str
    user_id: str
    scopes: tuple[ResourceScope, ...]
    patient: str = ""
    own: frozenset[str] = frozenset()
    fhir_user: str = ""
    facility: str = ""
    grant_id: str = ""
    acting_as: str = ""
    advisory: bool = False
    facilities: frozenset[str] = frozenset()
    types: frozenset[str] = frozenset()
    purpose: str = ""


SERVER = Principal("server", "", NOBODY, ())
"""This program, at its own work; and everybody where nobody is asked for a token."""


def owner(who: Principal) -> str:
    """Return what resources that belong to somebody say of that one; empty for this program itself."""
    return f"{who.client_id}|{who.user_id}" if who.audience != "server" else ""


def of(bearer: Bearer, facility: str = "") -> Principal:
    """Return who shows a token."""
    user = bearer.user
    audience: Audience = "system" if user is None else user.kind
    client = bearer.client
    return Principal(
        audience=audience,
        client_id=bearer.token.client_id,
        user_id=user.id if user else NOBODY,
        scopes=bearer.scopes.resources,
        patient=bearer.context.patient,
        own=frozenset(link.patient for link in user.links if link.patient) if user else frozenset(),
        fhir_user=bearer.grant.fhir_user,
        facility=facility or (client.facility if client and user is None else ""),
        grant_id=bearer.grant.id,
        acting_as=bearer.acting_as,
        advisory=client is not None and client.advisory,
        facilities=frozenset(client.facilities if client else ()),
        types=frozenset(client.types if client else ()),
        purpose=client.purpose if client else "",
    )
