"""An event in plain words: who did what with a record, when and why, for people who do not read AuditEvents."""

import re
from collections.abc import Mapping
from typing import Any

import msgspec

from fhir_server.audit.codes import OWN_SUBTYPE, PURPOSE

Json = Mapping[str, Any]

VERBS: Mapping[str, str] = {
    "read": "looked at",
    "vread": "looked at an earlier version of",
    "history-instance": "looked at earlier versions of",
    "search-type": "searched",
    "search-system": "searched",
    "search": "searched",
    "create": "added",
    "update": "changed",
    "patch": "changed",
    "delete": "deleted",
    "disclose": "disclosed",
    "ITI-71": "asked for access to",
    "consent-given": "allowed an app to use",
    "consent-refused": "did not allow an app to use",
    "grant-revoked": "took from an app the access to",
    "token-revoked": "ended an app's access to",
    "launch-made": "opened an app with",
    "batch": "sent",
    "transaction": "sent",
}

WHY: Mapping[str, str] = {
    "TREAT": "for treatment",
    "ETREAT": "for emergency treatment",
    "BTG": "in an emergency, by breaking the glass",
    "PATRQT": "at the request of the patient",
    "HPAYMT": "for payment",
    "HOPERAT": "for the running of the house",
    "HRESCH": "for research",
    "PUBHLTH": "for public health",
    "HLEGAL": "for legal reasons",
    "HSYSADMIN": "for administration of the system",
}
EMERGENCY = "BTG"
REQUESTOR, FACILITY = "requestor", "PROV"
PEOPLE = frozenset({"IRCP", "AUT"})
"""Codes of the agents that are people."""
WORDS = re.compile(r"(?<=[a-z])(?=[A-Z])")


class Told(msgspec.Struct, frozen=True):
    """What an event comes to.

    Attributes:
        when: Instant.
        who: Who did it.
        what: What was done with what.
        why: For what purpose; empty where that is not known.
        purpose: Its code, or empty.
        own: Whether the reader did it.
        emergency: Whether the glass was broken.
        refused: Whether it was refused or failed.
    """

    when: str
    who: str
    what: str
    why: str
    purpose: str
    own: bool
    emergency: bool
    refused: bool

    @property
    def sentence(self) -> str:
        """The whole of it in one sentence."""
        why = f", {self.why}" if self.why else ""
        refused = " That was refused or failed." if self.refused else ""
        return f"{self.who} {self.what}{why}.{refused}"


def told(event: Json, user_id: str) -> Told:
    """Return what an event comes to.

    Args:
        event: An AuditEvent as this server renders it for the reader.
        user_id: The reader, empty for a system.
    """
    person = next((one for one in event["agent"] if one.get(REQUESTOR)), event["agent"][0])
    own = bool(user_id) and person.get("who", {}).get("identifier", {}).get("value") == user_id
    purpose = next((one["code"] for concept in event.get("purposeOfEvent", ()) for one in concept["coding"]), "")
    return Told(
        when=event["recorded"],
        who="You" if own else _who(event, person),
        what=_what(event),
        why="" if own and purpose == "PATRQT" else WHY.get(purpose, ""),
        purpose=purpose,
        own=own,
        emergency=purpose == EMERGENCY,
        refused=event.get("outcome", "0") != "0",
    )


def purpose_of(code: str) -> dict[str, Any]:
    """Return the Coding of a purpose."""
    return {"system": PURPOSE, "code": code}


def _who(event: Json, person: Json) -> str:
    who = person.get("who", {})
    identifier = who.get("identifier", {}).get("value", "")
    name = who.get("display", "")
    if not name:
        is_app = _code(person) not in PEOPLE
        name = (
            f"The app {identifier or 'of an unknown client'}" if is_app else f"Somebody with the account {identifier}"
        )
    place = next((one["who"] for one in event["agent"] if _code(one) == FACILITY), None)
    if place is None:
        return str(name)
    return f"{name} of {place.get('display') or place['reference']}"


def _code(agent: Json) -> str:
    codings = agent.get("type", {}).get("coding", ())
    return codings[0]["code"] if codings else ""


def _what(event: Json) -> str:
    subtypes = [(one.get("system"), one["code"]) for one in event.get("subtype", ())]
    own = next((code for system, code in subtypes if system == OWN_SUBTYPE), "")
    verb = (
        f"asked for {own} of"
        if own.startswith("$")
        else next((VERBS[code] for _, code in subtypes if code in VERBS), "")
    )
    verb = verb or (f"caused '{own or subtypes[0][1]}' about" if subtypes else "did something with")
    touched = list(dict.fromkeys(_named(one["what"]["reference"]) for one in event.get("entity", ()) if _is_data(one)))
    asked = next((one["description"] for one in event.get("entity", ()) if "query" in one and "description" in one), "")
    kind = asked.partition(" ")[2].partition("?")[0].partition("/")[0]
    return f"{verb} {', '.join(touched) or _spaced(kind) or 'the record'}"


def _is_data(entity: Json) -> bool:
    return entity.get("role", {}).get("code") == "4" and "reference" in entity.get("what", {})


def _named(reference: str) -> str:
    parts = reference.split("/")
    return f"{_spaced(parts[0])} {parts[1]}" if len(parts) > 1 else reference


def _spaced(kind: str) -> str:
    return WORDS.sub(" ", kind).lower()
