"""Two patients' records that touch each other in every way that R4 allows."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from tests.access.house import House, Json, observation, opened

ORGANIZATION = "Organization/clinic"


@asynccontextmanager
async def recorded(data_dir: Path) -> AsyncIterator[House]:
    """Yield a house with everything."""
    async with opened(data_dir) as house:
        for one in everything():
            await house.service.repository.update(one["resourceType"], one["id"], one)
        yield house


def reference(text: str) -> Json:
    """Return a Reference."""
    return {"reference": text}


def resource(resource_type: str, name: str, /, **elements: Any) -> Json:
    """Return a resource."""
    return {"resourceType": resource_type, "id": name, **elements}


def code(text: str) -> Json:
    """Return a CodeableConcept."""
    return {"text": text, "coding": [{"system": "urn:example", "code": text}]}


def shared() -> list[Json]:
    """Return what stands in nobody's record."""
    return [
        resource("Organization", "clinic", name="Clinic", active=True),
        resource("Practitioner", "pat", name=[{"family": "Practice"}]),
        resource("PractitionerRole", "role", practitioner=reference("Practitioner/pat")),
        resource("Location", "ward", name="Ward"),
        resource("Location", "room", name="Room", partOf=reference("Location/ward")),
        resource("Medication", "pill", code=code("pill")),
        resource("ValueSet", "set", url="urn:example:set", status="active"),
    ]


def of(patient: str, other: str) -> list[Json]:
    """Return the record of a patient, in which another one takes part."""
    me, them = reference(f"Patient/{patient}"), reference(f"Patient/{other}")

    def mine(resource_type: str, /, **elements: Any) -> Json:
        return resource(resource_type, f"{patient}-{resource_type.lower()}", **elements)

    return [
        observation(f"{patient}-lab", patient, performer=[them, reference("Practitioner/pat")]),
        observation(f"{patient}-vital", patient, "vital-signs", status="amended"),
        mine(
            "Condition",
            subject=me,
            code=code(f"illness-of-{patient}"),
            asserter=them,
            contained=[resource("Practitioner", "inside", name=[{"family": f"inside-{patient}"}])],
            recorder=reference("#inside"),
        ),
        mine(
            "Encounter",
            status="finished",
            **{"class": {"code": "AMB"}},
            subject=me,
            location=[{"location": reference("Location/room")}],
            serviceProvider=reference(ORGANIZATION),
        ),
        mine(
            "MedicationRequest",
            status="active",
            intent="order",
            subject=me,
            medicationReference=reference("Medication/pill"),
            encounter=reference(f"Encounter/{patient}-encounter"),
        ),
        mine(
            "Provenance",
            target=[reference(f"Observation/{patient}-lab"), me],
            recorded="2026-01-01T00:00:00Z",
            agent=[{"who": reference("Practitioner/pat")}],
        ),
        mine("Device", patient=me, deviceName=[{"name": "Pump", "type": "user-friendly-name"}]),
        mine("Task", status="requested", intent="order", **{"for": me}, requester=them),
        mine(
            "Appointment",
            status="proposed",
            participant=[{"actor": me, "status": "accepted"}],
        ),
        mine(
            "Coverage", status="active", beneficiary=me, policyHolder=them, subscriber=them, payor=[them]
        ),
        mine("QuestionnaireResponse", status="completed", subject=me, author=them),
        mine("List", status="current", mode="working", subject=me, source=them, entry=[{"item": me}]),
        mine("RelatedPerson", patient=me),
        mine("CareTeam", subject=me, participant=[{"member": them}]),
        mine("Communication", status="completed", subject=me, sender=them, recipient=[me]),
        mine("Schedule", actor=[me]),
        mine("Account", status="active", subject=[me]),
        mine("AuditEvent", type={"code": "rest"}, recorded="2026-01-01T00:00:00Z",
             agent=[{"who": me, "requestor": True}], source={"observer": reference("Practitioner/pat")}),
        mine(
            "DocumentReference",
            status="current",
            subject=me,
            author=[them],
            content=[{"attachment": {"url": f"Binary/{patient}-binary"}}],
        ),
    ]  # fmt: skip


def binaries(patient: str) -> list[Json]:
    """Return content that belongs to a record in its own way."""
    return [
        resource("Binary", f"{patient}-binary", contentType="text/plain", data="YQ==",
                 securityContext=reference(f"DocumentReference/{patient}-documentreference")),
        resource("Binary", f"{patient}-letter", contentType="text/plain", data="Yg==",
                 securityContext=reference(f"Patient/{patient}")),
    ]  # fmt: skip


def everything() -> list[Json]:
    """Return all, in an order in which nothing refers to what comes later."""
    return [
        *(resource("Patient", name, name=[{"family": name}], active=True) for name in ("ann", "bo")),
        resource("Patient", "ann-linked", link=[{"other": reference("Patient/ann"), "type": "seealso"}]),
        *shared(),
        *of("ann", "bo"),
        *of("bo", "ann"),
        resource(
            "Group", "both", type="person", actual=True,
            member=[{"entity": reference("Patient/ann")}, {"entity": reference("Patient/bo")}],
        ),
        *binaries("ann"),
        *binaries("bo"),
        resource("Binary", "free", contentType="text/plain", data="Yw=="),
    ]  # fmt: skip


MINE = (
    "Account", "Appointment", "AuditEvent", "CareTeam", "Communication", "Condition", "Coverage", "Device",
    "DocumentReference", "Encounter", "List", "MedicationRequest", "Provenance", "QuestionnaireResponse", "RelatedPerson",
    "Task",
)  # fmt: skip
"""Types of which each has one of her own, and takes part in the other one's."""
