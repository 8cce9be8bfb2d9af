"""What a Consent says of sharing, in the basic form that is enforced: who, for what purpose, when (R4 Consent, IHE PCF).

A Consent of the scope `patient-privacy` that is active either permits recipients that it names, which makes a relationship with
each, or denies sharing, with recipients that it names or with everybody outside of the patient's own facility. Whatever more it
says would be kept and not be done, so it is refused: a patient who reads "stored" must be able to rely on it.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from typing import Any

from fhir_server.access.relationship import span
from fhir_server.model import reference
from fhir_server.search.types.date import EARLIEST, LATEST
from profiles.issue import Issue

PRIVACY = "patient-privacy"
CONSENT_SCOPE = "http://terminology.hl7.org/CodeSystem/consentscope"
ACT_REASON = "http://terminology.hl7.org/CodeSystem/v3-ActReason"
PARTICIPATION = "http://terminology.hl7.org/CodeSystem/v3-ParticipationType"
RECIPIENTS = frozenset({"IRCP", "PRCP"})
"""Roles of an actor who receives: information recipient, primary information recipient."""

CODE = "consent-not-enforceable"

PERMITTED = frozenset({"Organization", "PractitionerRole", "Practitioner"})
DENIED = frozenset({"Organization"})

CONDITIONS: Mapping[str, str] = {
    "action": "actions",
    "securityLabel": "security labels",
    "class": "classes of resources",
    "code": "codes",
    "dataPeriod": "the time of the data",
    "data": "single resources",
    "provision": "exceptions to it",
    "modifierExtension": "extensions that change its meaning",
}
"""Elements of a provision that are not enforced, with what they would limit it to."""


@dataclass(frozen=True, slots=True)
class Provision:
    """What an active Consent says.

    Attributes:
        permits: Whether it permits, else denies.
        recipients: `Organization/id`, and of a permit `PractitionerRole/id` and `Practitioner/id`; empty: everybody.
        purposes: Codes of purposes, empty for any.
        start: First moment.
        end: First moment after it.
    """

    permits: bool
    recipients: tuple[str, ...] = ()
    purposes: tuple[str, ...] = ()
    start: datetime = EARLIEST
    end: datetime = LATEST


def provision(resource: Mapping[str, Any], zone: tzinfo = UTC) -> Provision | None:
    """Return what a Consent that passed `findings` says, `None` where nothing of it is to be enforced.

    Args:
        resource: The Consent.
        zone: Time zone of dates that have none.
    """
    stated = resource.get("provision")
    if not is_enforced(resource) or not stated or stated.get("type") not in {"permit", "deny"}:
        return None
    actors = (_recipient(one) for one in stated.get("actor", ()))
    purposes = tuple(dict.fromkeys(one.get("code", "") for one in stated.get("purpose", ())))
    permits = stated["type"] == "permit"
    return Provision(permits, tuple(dict.fromkeys(actors)), purposes, *span(stated.get("period"), zone))


def strictest(resource: Mapping[str, Any]) -> Provision | None:
    """Return what to make of a Consent that cannot be enforced as it says: of a denial one to everybody, of a permit nothing."""
    denies = resource.get("provision", {}).get("type") == "deny"
    return Provision(permits=False) if denies and is_enforced(resource) else None


def is_enforced(resource: Mapping[str, Any]) -> bool:
    """Return whether a Consent is one on privacy that is active; others are records of something that was agreed."""
    codings = resource.get("scope", {}).get("coding", ())
    return resource.get("status") == "active" and any(
        one.get("code") == PRIVACY and one.get("system", CONSENT_SCOPE) == CONSENT_SCOPE for one in codings
    )


def findings(resource: Mapping[str, Any], place: str = "Consent") -> list[Issue]:
    """Return what of a Consent could not be enforced; of one that is not to be enforced, nothing.

    Args:
        resource: The Consent.
        place: Its FHIRPath location.
    """
    return [refusal(text, at) for text, at in _findings(resource, place)] if is_enforced(resource) else []


def _findings(resource: Mapping[str, Any], place: str) -> Iterator[tuple[str, str]]:
    stated, at = resource.get("provision"), f"{place}.provision"
    if reference.plain(resource.get("patient", {}).get("reference", "")).partition("/")[0] != "Patient":
        yield (
            "An active Consent on privacy names its patient by a reference to a Patient of this server.",
            f"{place}.patient",
        )
    if not stated:
        yield (
            "An active Consent on privacy has a provision that permits or denies; without one nothing could be enforced.",
            at,
        )
        return
    for name, what in CONDITIONS.items():
        if name in stated:
            yield f"A provision cannot be limited to {what} here. Leave {name} out.", f"{at}.{name}"
    if stated.get("type") not in {"permit", "deny"}:
        yield "A provision permits or denies. Give it a type.", f"{at}.type"
        return
    permits = stated["type"] == "permit"
    actors = stated.get("actor", [])
    if permits and not actors:
        yield "A provision that permits says whom: name at least one actor.", f"{at}.actor"
    for number, actor in enumerate(actors):
        yield from _of_actor(actor, PERMITTED if permits else DENIED, f"{at}.actor[{number}]")
    yield from _of_limits(stated, at)


def _of_limits(stated: Mapping[str, Any], at: str) -> Iterator[tuple[str, str]]:
    for number, purpose in enumerate(stated.get("purpose", [])):
        if purpose.get("system") != ACT_REASON or not purpose.get("code"):
            yield f"A purpose is a code of {ACT_REASON}.", f"{at}.purpose[{number}]"
    start, end = span(stated.get("period"))
    if start >= end:
        yield "The period ends before it begins.", f"{at}.period"


def _of_actor(actor: Mapping[str, Any], types: frozenset[str], at: str) -> Iterator[tuple[str, str]]:
    roles = {(one.get("system"), one.get("code")) for one in actor.get("role", {}).get("coding", ())}
    if not roles & {(PARTICIPATION, code) for code in RECIPIENTS}:
        yield (
            f"The role of an actor can be that of a recipient: {' or '.join(sorted(RECIPIENTS))} of {PARTICIPATION}.",
            f"{at}.role",
        )
    if _recipient(actor).partition("/")[0] not in types:
        yield (
            f"The actor of this provision is a reference to one of {', '.join(sorted(types))} of this server.",
            f"{at}.reference",
        )


def _recipient(actor: Mapping[str, Any]) -> str:
    return reference.plain(str(actor.get("reference", {}).get("reference", "")))


def refusal(text: str, at: str) -> Issue:
    """Return the finding that something of a Consent could not be enforced."""
    return Issue("error", "business-rule", text, at, CODE)
