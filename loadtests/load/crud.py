"""The CRUD mix of the public FHIR server benchmark, for Locust.

Nine types that refer to each other are created, read, updated, and deleted in reverse order, round after round.
"""

import copy
from typing import Any

from locust import task

from loadtests.load.client import Client

Json = dict[str, Any]

CODE = {"coding": [{"system": "http://loinc.org", "code": "8867-4", "display": "Heart rate"}]}
MONEY = {"value": 80, "currency": "EUR"}
DAY = "2026-05-04"

# In the order of creation; `{Type}` stands for the reference to the resource of that type in this round.
RESOURCES: tuple[Json, ...] = (
    {"resourceType": "Organization", "active": True, "name": "Load test clinic"},
    {"resourceType": "Location", "status": "active", "name": "Room 1", "managingOrganization": "{Organization}"},
    {"resourceType": "Practitioner", "active": True, "name": [{"family": "Marsh", "given": ["Ruth"]}]},
    {
        "resourceType": "Patient",
        "name": [{"family": "Lind"}],
        "birthDate": "1984-07-09",
        "generalPractitioner": ["{Practitioner}"],
    },
    {
        "resourceType": "Encounter",
        "status": "finished",
        "class": {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "AMB"},
        "subject": "{Patient}",
        "participant": [{"individual": "{Practitioner}"}],
        "location": [{"location": "{Location}"}],
        "serviceProvider": "{Organization}",
        "period": {"start": f"{DAY}T08:00:00Z", "end": f"{DAY}T08:30:00Z"},
    },
    {
        "resourceType": "Observation",
        "status": "final",
        "code": CODE,
        "subject": "{Patient}",
        "encounter": "{Encounter}",
        "effectiveDateTime": f"{DAY}T08:10:00Z",
        "valueQuantity": {"value": 72, "unit": "beats/minute", "system": "http://unitsofmeasure.org", "code": "/min"},
    },
    {
        "resourceType": "MedicationRequest",
        "status": "active",
        "intent": "order",
        "medicationCodeableConcept": {"coding": [{"system": "http://www.whocc.no/atc", "code": "C09AA03"}]},
        "subject": "{Patient}",
        "encounter": "{Encounter}",
        "requester": "{Practitioner}",
    },
    {
        "resourceType": "Claim",
        "status": "active",
        "type": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/claim-type", "code": "professional"}]},
        "use": "claim",
        "patient": "{Patient}",
        "created": DAY,
        "provider": "{Organization}",
        "priority": {"coding": [{"code": "normal"}]},
        "insurance": [{"sequence": 1, "focal": True, "coverage": {"display": "none"}}],
        "total": MONEY,
    },
    {
        "resourceType": "ExplanationOfBenefit",
        "status": "active",
        "type": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/claim-type", "code": "professional"}]},
        "use": "claim",
        "patient": "{Patient}",
        "created": DAY,
        "insurer": "{Organization}",
        "provider": "{Organization}",
        "claim": "{Claim}",
        "outcome": "complete",
        "insurance": [{"focal": True, "coverage": {"display": "none"}}],
    },
)


class Clinic(Client):
    """One client that does rounds without a pause."""

    @task
    def crud(self) -> None:
        """Create, read, update and delete one resource of each type."""
        made: list[Json] = []
        names: dict[str, str] = {}
        for template in RESOURCES:
            kind = template["resourceType"]
            status, resource = self.sent("POST", kind, f"create {kind}", filled(template, names))
            if status != 201:
                return
            made.append(resource)
            names[kind] = f"{kind}/{resource['id']}"
        for kind, path in names.items():
            self.sent("GET", path, f"read {kind}")
        for resource in made:
            kind = resource["resourceType"]
            self.sent("PUT", names[kind], f"update {kind}", {**resource, "language": "en"})
        for kind, path in reversed(names.items()):
            self.sent("DELETE", path, f"delete {kind}")


def filled(template: Json, names: dict[str, str]) -> Json:
    """Return the template with `{Type}` replaced by references."""

    def fill(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: fill(item) for key, item in value.items()}
        if isinstance(value, list):
            return [fill(item) for item in value]
        if isinstance(value, str) and value.startswith("{"):
            return {"reference": names[value.strip("{}")]}
        return copy.copy(value)

    result: Json = fill(template)
    return result
