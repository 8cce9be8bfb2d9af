"""The vocabulary of rendered events: what a kind of row is in the codes of FHIR, DICOM and IHE BALP.

A row says its kind in one word; whoever reads the trail gets type, subtype, action and the roles of the agents from the
tables here, and whoever searches it by such a code gets the kinds that have it.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import msgspec

from smart_auth.audit import KINDS

Json = dict[str, Any]
Row = Mapping[str, Any]
"""A row of the trail by its short names: `t` time, `k` kind, `a` action, `oc` outcome, `st` status, `au` audience, `c` client,
`u` user, `g` grant, `w` acting as, `f` facility, `cf` other facilities that keep what was touched, `pu` purpose, `e` instances, `p`, `ps` patients, `rt` type, `q` query,
`m` method, `ip` address, `rq` request id, `tx` transaction, `pol` policy, `x` more codes and ids."""

DCM = "http://dicom.nema.org/resources/ontology/DCM"
EVENT_TYPE = "http://terminology.hl7.org/CodeSystem/audit-event-type"
INTERACTION = "http://hl7.org/fhir/restful-interaction"
ENTITY_TYPE = "http://terminology.hl7.org/CodeSystem/audit-entity-type"
ENTITY_ROLE = "http://terminology.hl7.org/CodeSystem/object-role"
PARTICIPATION = "http://terminology.hl7.org/CodeSystem/v3-ParticipationType"
ROLE_CLASS = "http://terminology.hl7.org/CodeSystem/v3-RoleClass"
SECURITY_ROLE = "http://terminology.hl7.org/CodeSystem/extra-security-role-type"
PROVENANCE_ROLE = "http://terminology.hl7.org/CodeSystem/provenance-participant-type"
PURPOSE = "http://terminology.hl7.org/CodeSystem/v3-ActReason"
SOURCE_TYPE = "http://terminology.hl7.org/CodeSystem/security-source-type"
LIFECYCLE = "http://terminology.hl7.org/CodeSystem/iso-21089-lifecycle"
RESOURCE_TYPE = "http://hl7.org/fhir/resource-types"
IHE_EVENT = "urn:ihe:event-type-code"
BALP = "https://profiles.ihe.net/ITI/BALP"
BALP_ENTITY = f"{BALP}/CodeSystem/BasicAuditEntityType"
BALP_AGENT = f"{BALP}/CodeSystem/UserAgentTypes"
AUTHZ = f"{BALP}/CodeSystem/AuthZsubType"
OWN_SUBTYPE = "https://aquifer.example/fhir/CodeSystem/audit-subtype"
OWN_DETAIL = "https://aquifer.example/fhir/CodeSystem/audit-detail"

GRANT_URN, POLICY_URN = "urn:aquifer:grant:", "urn:aquifer:policy:"
"""Agent policies begin with these."""

POLICY_READ = "policy-read"
"""Kind of a look into the effective policy."""

NOTIFICATION = "notification"
"""Kind of what a subscriber is told."""

BACKUP, RESTORE = "backup", "restore"
"""Kinds of what an operator does to the whole record from the command line."""

Coded = tuple[str, str]
"""System and code."""

REST: Coded = (EVENT_TYPE, "rest")
AUTHENTICATION: Coded = (DCM, "110114")
ALERT: Coded = (DCM, "110113")
EXPORT: Coded = (DCM, "110106")
IMPORT: Coded = (DCM, "110107")
APPLICATION: Coded = (DCM, "110150")
DESTINATION: Coded = (DCM, "110152")
SOURCE: Coded = (DCM, "110153")
RECIPIENT: Coded = (PARTICIPATION, "IRCP")
AUTHOR: Coded = (PARTICIPATION, "AUT")
CUSTODIAN: Coded = (PROVENANCE_ROLE, "custodian")
ORGANIZATION: Coded = (ROLE_CLASS, "PROV")
AUTHORIZER: Coded = (SECURITY_ROLE, "authserver")
TOKEN_SERVICE: Coded = (BALP_AGENT, "AuthzOauthService")

DISPLAYS: Mapping[Coded, str] = MappingProxyType(
    {
        REST: "RESTful Operation",
        AUTHENTICATION: "User Authentication",
        ALERT: "Security Alert",
        EXPORT: "Export",
        IMPORT: "Import",
        APPLICATION: "Application",
        DESTINATION: "Destination Role ID",
        SOURCE: "Source Role ID",
        RECIPIENT: "information recipient",
        AUTHOR: "author (originator)",
        CUSTODIAN: "Custodian",
        ORGANIZATION: "healthcare provider",
        AUTHORIZER: "authorization server",
        (DCM, "110122"): "Login",
        (DCM, "110123"): "Logout",
        (DCM, "110129"): "Security Administration",
        (IHE_EVENT, "ITI-71"): "Get Access Token",
        (ENTITY_TYPE, "1"): "Person",
        (ENTITY_TYPE, "2"): "System Object",
        (ENTITY_ROLE, "1"): "Patient",
        (ENTITY_ROLE, "4"): "Domain Resource",
        (ENTITY_ROLE, "24"): "Query",
        (PURPOSE, "TREAT"): "treatment",
        (PURPOSE, "ETREAT"): "Emergency Treatment",
        (PURPOSE, "BTG"): "break the glass",
        (PURPOSE, "PATRQT"): "patient requested",
        (PURPOSE, "HPAYMT"): "healthcare payment",
        (PURPOSE, "HOPERAT"): "healthcare operations",
        (PURPOSE, "HRESCH"): "healthcare research",
        (PURPOSE, "PUBHLTH"): "public health",
        (PURPOSE, "HLEGAL"): "legal",
    }
)


class Shape(msgspec.Struct, frozen=True):
    """How rows of one kind are rendered.

    Attributes:
        type: Its type.
        subtype: Its subtype.
        action: FHIR action; empty where the row says it.
        client: Role of the client agent.
        server: Role of this server.
        user: Role of the person.
        profile: Name of the BALP profile that a success conforms to, without `Patient`; empty for none.
    """

    type: Coded
    subtype: Coded
    action: str = ""
    client: Coded = SOURCE
    server: Coded = DESTINATION
    user: Coded = RECIPIENT
    profile: str = ""


def _rest(code: str, action: str, **more: Any) -> Shape:
    return Shape(REST, (INTERACTION, code), action, **more)


_READS: Mapping[str, Any] = {"client": DESTINATION, "server": SOURCE}
_QUERY: Mapping[str, Any] = {"profile": "Query"}

SHAPES: Mapping[str, Shape] = MappingProxyType(
    {
        "read": _rest("read", "R", **_READS, profile="Read"),
        "vread": _rest("vread", "R", **_READS, profile="Read"),
        "history-instance": _rest("history-instance", "R", **_READS),
        "history-type": _rest("history-type", "R", **_READS),
        "history-system": _rest("history-system", "R", **_READS),
        "search-type": _rest("search-type", "E", **_QUERY),
        "search-system": _rest("search-system", "E", **_QUERY),
        "search-compartment": _rest("search", "E", **_QUERY),
        "create": _rest("create", "C", user=AUTHOR, profile="Create"),
        "update": _rest("update", "U", user=AUTHOR, profile="Update"),
        "patch": _rest("patch", "U", user=AUTHOR, profile="Update"),
        "unknown": Shape(REST, (OWN_SUBTYPE, "unknown"), "E"),
        "delete": _rest("delete", "D", client=APPLICATION, server=CUSTODIAN, user=AUTHOR, profile="Delete"),
        "batch": _rest("batch", "E", user=AUTHOR),
        "transaction": _rest("transaction", "E", user=AUTHOR),
        "disclosure": Shape(
            EXPORT, (LIFECYCLE, "disclose"), "R", DESTINATION, SOURCE, RECIPIENT, "PrivacyDisclosure.Source"
        ),
        NOTIFICATION: Shape(REST, (OWN_SUBTYPE, NOTIFICATION), "R", **_READS),
        POLICY_READ: Shape((DCM, "110129"), (OWN_SUBTYPE, POLICY_READ), "R", **_READS),
        BACKUP: Shape(EXPORT, (OWN_SUBTYPE, BACKUP), "R", **_READS),
        RESTORE: Shape(IMPORT, (OWN_SUBTYPE, RESTORE), "C", user=AUTHOR),
        "consent-decision": Shape(
            ALERT, (AUTHZ, "AuthZ-Consent"), "E", APPLICATION, AUTHORIZER, RECIPIENT, "AuthZconsent"
        ),
        **{
            name: Shape(
                (DCM, kind.type),
                (DCM, kind.subtype)
                if kind.subtype.isdigit()
                else (IHE_EVENT if kind.subtype.startswith("ITI-") else OWN_SUBTYPE, kind.subtype),
                "",
                APPLICATION,
                TOKEN_SERVICE if kind.subtype == "ITI-71" else DESTINATION,
                RECIPIENT,
                "IHE.IUA.71" if kind.subtype == "ITI-71" else "",
            )
            for name, kind in KINDS.items()
        },
    }
)
"""The shape of each kind that has one of its own."""

OPERATION = _rest("operation", "")
OTHER = Shape(ALERT, (OWN_SUBTYPE, ""), "", APPLICATION)

DENIED = (401, 403)
"""Statuses of what was refused for want of a right; such an interaction is a security alert."""


def shape(kind: str) -> Shape:
    """Return how a kind is rendered; what is not in the tables is an operation (`$name`) or an alert of its own name."""
    known = SHAPES.get(kind)
    if known:
        return known
    return OPERATION if kind.startswith("$") else msgspec.structs.replace(OTHER, subtype=(OWN_SUBTYPE, kind))


def is_denied(row: Row) -> bool:
    """Return whether an interaction was refused for want of a right."""
    return row.get("st") in DENIED


def type_of(row: Row) -> Coded:
    """Return the type of a row."""
    found = shape(row["k"]).type
    return ALERT if found == REST and is_denied(row) else found


def subtypes_of(kind: str) -> list[Coded]:
    """Return the subtypes of a kind."""
    found = shape(kind)
    return [found.subtype, *([(OWN_SUBTYPE, kind)] if kind.startswith("$") else [])]


def coding(code: Coded) -> Json:
    """Return a Coding, with its display where that is known."""
    display = DISPLAYS.get(code)
    return {"system": code[0], "code": code[1], **({"display": display} if display else {})}


def concept(code: Coded) -> Json:
    """Return a CodeableConcept."""
    return {"coding": [coding(code)]}
