"""What the measurements write and ask: patients with rows of heart rates, of about 2 KB each."""

from decimal import Decimal
from typing import Any
from urllib.parse import quote

from fhir_server.model import json

PATIENTS = 150
PER_PATIENT = 60
CODE, OTHER = "8867-4", "9279-1"
PAGE = 50

Json = dict[str, Any]


def patient(number: int) -> Json:
    """Return the n-th patient."""
    return {"resourceType": "Patient", "id": f"bench-{number}", "name": [{"family": f"Bench{number}"}]}


def observation(subject: int, number: int, code: str = CODE) -> Json:
    """Return an Observation of about 2 KB about a patient."""
    day = f"20{10 + number % 15:02d}-{1 + number % 12:02d}-{1 + number % 28:02d}"
    note = f"Taken at rest in a sitting position, reading {number}; cuff on the left arm, automatic device. " * 8
    return {
        "resourceType": "Observation",
        "meta": {"profile": ["http://hl7.org/fhir/StructureDefinition/heartrate"]},
        "identifier": [{"system": "urn:example:bench", "value": f"{subject}-{number}-{code}"}],
        "status": "final",
        "category": [
            {
                "coding": [
                    {
                        "system": "http://terminology.hl7.org/CodeSystem/observation-category",
                        "code": "vital-signs",
                        "display": "Vital Signs",
                    }
                ],
                "text": "Vital Signs",
            }
        ],
        "code": {
            "coding": [{"system": "http://loinc.org", "code": code, "display": "Heart rate"}],
            "text": "Heart rate",
        },
        "subject": {"reference": f"Patient/bench-{subject}"},
        "effectiveDateTime": f"{day}T08:{number % 60:02d}:00+01:00",
        "issued": f"{day}T09:{number % 60:02d}:00.000+01:00",
        "valueQuantity": {
            "value": Decimal(60 + number % 40),
            "unit": "beats/minute",
            "system": "http://unitsofmeasure.org",
            "code": "/min",
        },
        "note": [{"text": note}],
    }


def seed(subject: int) -> bytes:
    """Return the transaction that stores a patient and a row of observations with given ids."""
    rows = [patient(subject)]
    rows += [{**observation(subject, number), "id": f"bench-{subject}-{number}"} for number in range(PER_PATIENT)]
    entries = [
        {"resource": row, "request": {"method": "PUT", "url": f"{row['resourceType']}/{row['id']}"}} for row in rows
    ]
    return json.encode({"resourceType": "Bundle", "type": "transaction", "entry": entries})


def new(number: int) -> bytes:
    """Return the n-th resource of the create workload."""
    return json.encode(observation(number % PATIENTS, number, OTHER))


def read_path(number: int) -> str:
    """Return the n-th URL of the read workload."""
    return f"/fhir/Observation/{read_id(number)}"


def read_id(number: int) -> str:
    """Return the n-th id of the read workload."""
    return f"bench-{number * 7 % PATIENTS}-{number * 13 % PER_PATIENT}"


def page_path(number: int) -> str:
    """Return the n-th URL of the page workload: fifty observations of one code of one patient, newest first."""
    code = quote(f"http://loinc.org|{CODE}", safe="")
    return f"/fhir/Observation?patient=bench-{number * 7 % PATIENTS}&code={code}&_sort=-date&_count={PAGE}"
