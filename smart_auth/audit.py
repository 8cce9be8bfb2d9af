"""Security events: what happened, in the compact row of the audit trail (IHE BALP, DICOM PS3.15 A.5; product.md 11).

A row holds ids and codes only, never names, secrets or whole tokens: displays are resolved when somebody reads it, and the
AuditEvent is rendered then. `KINDS` is the vocabulary; a kind that is not in it cannot be recorded.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType
from typing import Literal

Action = Literal["C", "R", "U", "D", "E"]
Outcome = Literal["0", "4", "8", "12"]

SUCCESS: Outcome = "0"
MINOR: Outcome = "4"
SERIOUS: Outcome = "8"

AUTHENTICATION = "110114"  # DICOM "User Authentication"
SECURITY_ALERT = "110113"
SECURITY_ADMINISTRATION = "110129"  # "Use of a restricted function" is 110132; accounts and keys are administration
LOGIN, LOGOUT = "110122", "110123"


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of event.

    Attributes:
        type: DICOM code of the AuditEvent's type.
        subtype: Its subtype: a DICOM code, or one of ours.
        action: FHIR action.
        outcome: FHIR outcome: 0 success, 4 a refusal, 8 an attack or misuse.
    """

    type: str
    subtype: str
    action: Action
    outcome: Outcome


KINDS: Mapping[str, Kind] = MappingProxyType(
    {
        "sign-in": Kind(AUTHENTICATION, LOGIN, "E", SUCCESS),
        "sign-in-failed": Kind(AUTHENTICATION, LOGIN, "E", MINOR),
        "second-factor-failed": Kind(AUTHENTICATION, LOGIN, "E", MINOR),
        "locked-out": Kind(SECURITY_ALERT, "locked-out", "E", SERIOUS),
        "sign-out": Kind(AUTHENTICATION, LOGOUT, "E", SUCCESS),
        "role-chosen": Kind(AUTHENTICATION, "role-chosen", "E", SUCCESS),
        "password-set": Kind(SECURITY_ADMINISTRATION, "password-set", "U", SUCCESS),
        "second-factor-set": Kind(SECURITY_ADMINISTRATION, "second-factor-set", "U", SUCCESS),
        "invited": Kind(SECURITY_ADMINISTRATION, "invited", "C", SUCCESS),
        "reset-asked": Kind(SECURITY_ADMINISTRATION, "reset-asked", "E", SUCCESS),
        "message-failed": Kind(SECURITY_ADMINISTRATION, "message-failed", "E", MINOR),
        "user-added": Kind(SECURITY_ADMINISTRATION, "user-added", "C", SUCCESS),
        "user-changed": Kind(SECURITY_ADMINISTRATION, "user-changed", "U", SUCCESS),
        "launch-made": Kind(AUTHENTICATION, "launch-made", "C", SUCCESS),
        "consent-given": Kind(SECURITY_ALERT, "consent-given", "E", SUCCESS),
        "consent-refused": Kind(SECURITY_ALERT, "consent-refused", "E", MINOR),
        "token-issued": Kind(AUTHENTICATION, "ITI-71", "E", SUCCESS),
        "token-refused": Kind(AUTHENTICATION, "ITI-71", "E", MINOR),
        "code-replayed": Kind(SECURITY_ALERT, "code-replayed", "E", SERIOUS),
        "refresh-reused": Kind(SECURITY_ALERT, "refresh-reused", "E", SERIOUS),
        "assertion-replayed": Kind(SECURITY_ALERT, "assertion-replayed", "E", SERIOUS),
        "client-refused": Kind(SECURITY_ALERT, "client-refused", "E", MINOR),
        "grant-revoked": Kind(SECURITY_ALERT, "grant-revoked", "D", SUCCESS),
        "token-revoked": Kind(SECURITY_ALERT, "token-revoked", "D", SUCCESS),
        "introspection-refused": Kind(SECURITY_ALERT, "introspection-refused", "R", MINOR),
        "client-registered": Kind(SECURITY_ADMINISTRATION, "client-registered", "C", SUCCESS),
        "client-changed": Kind(SECURITY_ADMINISTRATION, "client-changed", "U", SUCCESS),
        "keys-rotated": Kind(SECURITY_ADMINISTRATION, "keys-rotated", "U", SUCCESS),
    }
)


@dataclass(frozen=True, slots=True)
class SecurityEvent:
    """One event.

    Attributes:
        at: When.
        kind: A key of `KINDS`.
        client_id: The client, or empty.
        user_id: The person, or empty.
        grant_id: The grant, or empty.
        patient: Id of the patient in context, or empty.
        address: Network address of whoever asked, or empty.
        request_id: The X-Request-Id, or empty.
        acting_as: The link to the record that the person acts as, or empty.
        facility: Id of the organization that the person acts for, or empty.
        detail: A few more facts, in codes and ids.
    """

    at: datetime
    kind: str
    client_id: str = ""
    user_id: str = ""
    grant_id: str = ""
    patient: str = ""
    address: str = ""
    request_id: str = ""
    acting_as: str = ""
    facility: str = ""
    detail: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"'{self.kind}' is not a kind of security event")

    def row(self) -> dict[str, object]:
        """Return the compact row: short names, empty fields left out."""
        kind = KINDS[self.kind]
        named: dict[str, object] = {
            "t": self.at,
            "k": self.kind,
            "a": kind.action,
            "oc": kind.outcome,
            "c": self.client_id,
            "u": self.user_id,
            "g": self.grant_id,
            "w": self.acting_as,
            "f": self.facility,
            "p": self.patient,
            "ip": self.address,
            "rq": self.request_id,
            "x": dict(self.detail),
        }
        return {name: value for name, value in named.items() if value}
