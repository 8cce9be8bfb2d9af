"""What is hidden from a patient, from staff of one facility and from services for one facility, in every way that there is; beside what both may see.

| hidden because | patient and proxy | staff (services: but for the labels) |
|---|---|---|
| of another patient, of another facility | `bo`, with a record that touches hers in every way | the same, kept elsewhere |
| label | | very restricted, nobody is cleared for it |
| gate | preliminary, in error, internal | |
| held | a report by its own label, its result with it | |
| history alone | versions that were of another patient, or preliminary | versions that were labelled |
| reached from what is seen | `bo` as performer, sender, participant … of resources of hers | the same |
| deleted | of another patient | of another facility |
"""

from typing import Any

from fhir_server.access.privileges import HL7_ROLE, OWN_ROLE
from tests.access import record
from tests.access.house import Json, observation
from tests.access.record import reference, resource
from tests.access.twins import SECRET, Step, organization

MARK: Json = {"tag": [{"system": "urn:example", "code": SECRET}]}
NOTE = {"url": "urn:example:note", "valueString": SECRET}
NO_PATIENT = {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "NOPAT"}
EAST, WEST = "east", "west"


def marked(one: Json, **meta: Any) -> Json:
    """Return a resource that has the secret word in a place that is searched and in one that is not."""
    extra = {} if one["resourceType"] in {"Binary", "Bundle"} else {"extension": [NOTE]}
    return {**one, "meta": {**MARK, **meta}, **extra}


def _ground() -> list[Step]:
    roles = [
        resource(
            "PractitionerRole", f"east-{code}", active=True, practitioner=reference("Practitioner/pat"),
            organization=reference(f"Organization/{EAST}"), code=[{"coding": [{"system": system, "code": code}]}],
        )
        for system, code in ((HL7_ROLE, "doctor"), (HL7_ROLE, "pharmacist"), (OWN_ROLE, "front-desk"))
    ]  # fmt: skip
    return [
        *(Step("", organization(name)) for name in (EAST, WEST)),
        *(Step(EAST, one) for one in record.shared()),
        *(Step(EAST, role) for role in roles),
    ]


def _theirs(facility: str) -> list[Step]:
    """Return the record of somebody else."""
    rest = [
        resource("Patient", "linked", link=[{"other": reference("Patient/ann"), "type": "seealso"}]),
        *record.of("bo", "ann"),
        *record.binaries("bo"),
        resource(
            "Group", "both", type="person", actual=True,
            member=[{"entity": reference("Patient/ann")}, {"entity": reference("Patient/bo")}],
        ),
        resource(
            "Appointment", "theirs", status="booked", start="2026-05-05T10:00:00Z", end="2026-05-05T10:15:00Z",
            participant=[{"actor": reference("Patient/bo"), "status": "accepted"}],
        ),
    ]  # fmt: skip
    patient = resource("Patient", "bo", name=[{"family": "Bo"}], active=True, birthDate="1980-01-01", gender="male")
    gone = observation("bo-gone", "bo", valueString=SECRET)
    return [
        *(Step(facility, marked(one), hidden=True) for one in (patient, *rest)),
        Step(facility, marked(gone), hidden=True, deleted=True),
    ]


def _hers() -> list[Step]:
    patient = resource("Patient", "ann", name=[{"family": "Ann"}], active=True, birthDate="1970-01-01", gender="female")
    return [Step(EAST, one) for one in (patient, *record.of("ann", "bo"), *record.binaries("ann"))]


def _versions(name: str, before: Json, instead: Json, after: Json) -> list[Step]:
    """Return an instance whose first version is hidden, and says something else in the twin."""
    return [
        Step(EAST, marked({**before, "id": name}), instead={**instead, "id": name}),
        Step(EAST, {**after, "id": name}),
    ]


def from_a_patient() -> list[Step]:
    """Return everything, of which `ann` sees her own."""
    internal = resource("Task", "internal", status="requested", intent="order", **{"for": reference("Patient/ann")})
    words = {"valueString": SECRET}
    report = resource(
        "DiagnosticReport", "held", status="final", code=record.code("report"), subject=reference("Patient/ann"),
        result=[reference("Observation/held-result")],
    )  # fmt: skip
    return [
        *_ground(),
        *_theirs(EAST),
        *_hers(),
        Step(EAST, marked(observation("not-yet", "ann", status="preliminary", **words)), hidden=True),
        Step(EAST, marked(observation("in-error", "ann", status="entered-in-error", **words)), hidden=True),
        Step(EAST, marked(internal), hidden=True),
        Step(EAST, marked(observation("held-result", "ann", **words)), hidden=True),
        Step(EAST, marked(report, security=[NO_PATIENT]), hidden=True),
        *_versions(
            "was-theirs", observation("", "bo", **words), observation("", "bo", valueString="x"), observation("", "ann")
        ),
        *_versions(
            "was-preliminary",
            observation("", "ann", status="preliminary", **words),
            observation("", "ann", status="preliminary", valueString="x"),
            observation("", "ann", status="final"),
        ),
        Step(EAST, observation("became-theirs", "ann")),
        Step(EAST, marked(observation("became-theirs", "bo", **words)), instead=observation("became-theirs", "bo")),
    ]


def from_services() -> list[Step]:
    """Return everything, of which a service that is registered for the one facility sees what is kept there, whatever its label."""
    elsewhere = observation("elsewhere", "ann", valueString=SECRET)
    return [*_ground(), *_theirs(WEST), *_hers(), Step(WEST, marked(elsewhere), hidden=True)]


def from_staff() -> list[Step]:
    """Return everything, of which a doctor of the one facility sees what is kept there."""
    very = {"security": [{"system": "http://terminology.hl7.org/CodeSystem/v3-Confidentiality", "code": "V"}]}
    illness = resource(
        "Condition", "restricted", subject=reference("Patient/ann"), code=record.code("restricted-illness")
    )
    words = {"valueString": SECRET}
    return [
        *_ground(),
        *_theirs(WEST),
        *_hers(),
        Step(EAST, marked(illness, **very), hidden=True),
        Step(EAST, marked(observation("restricted-lab", "ann", **words), **very), hidden=True),
        Step(WEST, marked(observation("elsewhere", "ann", **words)), hidden=True),
        *(
            Step(EAST, {**one, "meta": {**MARK, **very}}, instead=other)
            for one, other in [
                (
                    observation("was-restricted", "ann", **words),
                    {**observation("was-restricted", "ann", valueString="x"), "meta": very},
                )
            ]
        ),
        Step(EAST, observation("was-restricted", "ann")),
    ]
