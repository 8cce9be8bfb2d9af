"""What staff may do by the role that they work in (product.md 2.2): role codes to areas of work, areas to resource types.

A role is a code of `PractitionerRole.code`: those of HL7's example code system, or our own for the work that has no code there. A
role whose code is not known gives the directory and nothing else; `access.roles` says what local codes mean. Several roles add up.
Privileges narrow what scopes give, and custody narrows it further (`granted`).
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from fhir_server.search.params import params
from profiles.definitions.registry import Definitions

HL7_ROLE = "http://terminology.hl7.org/CodeSystem/practitioner-role"
OWN_ROLE = "https://aquifer.example/fhir/CodeSystem/staff-role"

DIRECTORY = "directory"
DEFINITIONS = "definitions"
REGISTRATION = "registration"
VISITS = "visits"
SCHEDULING = "scheduling"
CONSENT = "consent"
WORK = "work"
MESSAGES = "messages"
FINANCE = "finance"
TRAIL = "trail"
CLINICAL = "clinical"

AREAS: Mapping[str, frozenset[str]] = MappingProxyType(
    {
        DIRECTORY: frozenset(
            [
                "Organization",
                "OrganizationAffiliation",
                "Practitioner",
                "PractitionerRole",
                "Location",
                "HealthcareService",
                "Endpoint",
            ]
        ),
        REGISTRATION: frozenset(["Patient", "RelatedPerson", "Person", "Coverage"]),
        VISITS: frozenset(["Encounter", "EpisodeOfCare"]),
        SCHEDULING: frozenset(["Appointment", "AppointmentResponse", "Schedule", "Slot"]),
        CONSENT: frozenset(["Consent"]),
        WORK: frozenset(["Task"]),
        MESSAGES: frozenset(["Communication", "CommunicationRequest"]),
        FINANCE: frozenset(
            [
                "Account",
                "ChargeItem",
                "Claim",
                "ClaimResponse",
                "Contract",
                "CoverageEligibilityRequest",
                "CoverageEligibilityResponse",
                "EnrollmentRequest",
                "EnrollmentResponse",
                "ExplanationOfBenefit",
                "InsurancePlan",
                "Invoice",
                "PaymentNotice",
                "PaymentReconciliation",
            ]
        ),
        TRAIL: frozenset(["AuditEvent"]),
    }
)
"""Areas of work by their types. What a publisher publishes is `definitions`; everything else is `clinical`."""

SEE, WRITE, ALL = "rs", "crus", "cruds"


@dataclass(frozen=True, slots=True)
class Role:
    """What one kind of work brings with it.

    Attributes:
        title: What people call it.
        areas: Area to the letters that it gives; an area that is not named gives nothing.
        clearance: Labels that restrict others and not this role.
        duties: What it may do beyond letters: `audit` (read the trail of others), `identity` (link and merge patients),
            `release` (hold and release), `network` (invite and accept members).
    """

    title: str
    areas: Mapping[str, str]
    clearance: frozenset[str] = frozenset()
    duties: frozenset[str] = frozenset()


SENSITIVE = frozenset({"PSY", "ETH", "HIV", "SDV", "R"})
"""Labels that clinicians of the own facility are cleared for; `V` (very restricted) is nobody's without breaking the glass."""

_SHARED = {DIRECTORY: SEE, DEFINITIONS: SEE, WORK: WRITE}
_CARE = {**_SHARED, MESSAGES: WRITE, REGISTRATION: WRITE, VISITS: WRITE, SCHEDULING: ALL, CONSENT: WRITE, FINANCE: SEE}

ROLES: Mapping[str, Role] = MappingProxyType(
    {
        "doctor": Role("Doctor", {**_CARE, CLINICAL: ALL}, SENSITIVE, frozenset({"identity", "release"})),
        "nurse": Role("Nurse", {**_CARE, CLINICAL: WRITE}, SENSITIVE, frozenset({"identity"})),
        "pharmacist": Role("Pharmacist", {**_SHARED, MESSAGES: WRITE, REGISTRATION: SEE, VISITS: SEE, CLINICAL: WRITE}),
        "front-desk": Role(
            "Front desk",
            _CARE,
            duties=frozenset({"identity"}),
        ),
        "billing": Role("Billing", {**_SHARED, REGISTRATION: SEE, VISITS: SEE, SCHEDULING: SEE, FINANCE: ALL}),
        "administrator": Role(
            "Facility administrator",
            {**_SHARED, DIRECTORY: ALL, SCHEDULING: WRITE},
            duties=frozenset({"network"}),
        ),
        "privacy-officer": Role(
            "Privacy officer",
            {**_SHARED, REGISTRATION: "rus", CONSENT: ALL, TRAIL: SEE},
            duties=frozenset({"audit", "identity"}),
        ),
        "ict": Role("ICT", {**_SHARED, DIRECTORY: WRITE}),
    }
)
"""Roles by code: `doctor`, `nurse`, `pharmacist` and `ict` are HL7's, the others are of our own code system."""


@dataclass(frozen=True, slots=True)
class Privileges:
    """What somebody may do by all roles together.

    Attributes:
        areas: Area to letters.
        clearance: Labels that do not restrict.
        duties: See `Role`.
        unbounded: Whether no role bounds it: systems, this program itself, and a practice in which nobody has roles.
    """

    areas: Mapping[str, str]
    clearance: frozenset[str] = frozenset()
    duties: frozenset[str] = frozenset()
    unbounded: bool = False

    def allow(self, area: str, letter: str) -> bool:
        """Return whether the letter is given for an area."""
        return self.unbounded or letter in self.areas.get(area, "")

    def has_duty(self, duty: str) -> bool:
        """Return whether this may be done."""
        return self.unbounded or duty in self.duties


EVERYTHING = Privileges({}, frozenset({*SENSITIVE, "V"}), unbounded=True)
NOTHING = Privileges(MappingProxyType({DIRECTORY: SEE, DEFINITIONS: SEE}))
"""Of a role whose code says nothing here."""


def of(codes: Iterable[str], local: Mapping[str, str]) -> Privileges:
    """Return the privileges of role codes together.

    Args:
        codes: `system|code`, as a PractitionerRole has them.
        local: What codes of other systems mean, as `system|code` or a bare code to a key of `ROLES`.
    """
    found = [role for code in codes if (role := ROLES.get(_key(code, local)))]
    areas = dict(NOTHING.areas)
    for role in found:
        for area, letters in role.areas.items():
            areas[area] = "".join(sorted({*areas.get(area, ""), *letters}))
    clearance = frozenset[str]().union(*(role.clearance for role in found))
    duties = frozenset[str]().union(*(role.duties for role in found))
    return Privileges(areas, clearance, duties)


def area_of(resource_type: str, definitions: Definitions) -> str:
    """Return the area that a type belongs to."""
    for area, types in AREAS.items():
        if resource_type in types:
            return area
    return DEFINITIONS if {"url", "publisher"} <= params(resource_type, definitions).keys() else CLINICAL


def _key(code: str, local: Mapping[str, str]) -> str:
    system, _, bare = code.rpartition("|")
    if code in local or bare in local:
        return local.get(code) or local[bare]
    return bare if system in {HL7_ROLE, OWN_ROLE} else ""
