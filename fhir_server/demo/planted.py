"""Planted cases: what a few patients have so that every rule of access can be tried by hand (docs/demo.md).

| patient | what is planted |
|---|---|
| 4 | a condition with a label that restricts, a preliminary result, and a report that is held from the patient with its result |
| 5 | a Consent that denies sharing in the network |
| 13 | an accepted referral to the hospital of another facility of the network |
"""

from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal

from fhir_server.demo.datatypes import HL7, LOINC, SNOMED, Resource, coding, concept, quantity, reference
from fhir_server.demo.people import Person

_CONFIDENTIALITY = f"{HL7}/v3-Confidentiality"
_ACT = f"{HL7}/v3-ActCode"
_ON = "2026-10-28T09:30:00+01:00"
_LABORATORY = concept(f"{HL7}/observation-category", "laboratory", "Laboratory")


def resources(person: Person, doctor: str) -> Iterator[Resource]:
    """Yield what is planted with a patient; nothing with most.

    Args:
        person: Who.
        doctor: Id of the Practitioner who treats.
    """
    plant = PLANTED.get(person.number)
    if plant:
        yield from plant(person, doctor)


def _shielded(person: Person, doctor: str) -> Iterator[Resource]:
    yield {
        "resourceType": "Condition",
        "id": f"{person.id}-labelled",
        "meta": {"security": [coding(_ACT, "PSY"), coding(_CONFIDENTIALITY, "R")]},
        "clinicalStatus": concept(f"{HL7}/condition-clinical", "active", "Active"),
        "verificationStatus": concept(f"{HL7}/condition-ver-status", "confirmed", "Confirmed"),
        "category": [concept(f"{HL7}/condition-category", "problem-list-item", "Problem List Item")],
        "code": concept(SNOMED, "197480006", "Anxiety disorder", "Anxiety disorder"),
        "subject": reference(f"Patient/{person.id}"),
        "recordedDate": _ON,
        "asserter": reference(f"Practitioner/{doctor}"),
    }
    yield _result(person, "preliminary", ("2823-3", "Potassium [Moles/volume] in Serum or Plasma"), "4.9", "mmol/L")
    held = _result(
        person, "held-psa", ("2857-1", "Prostate specific Ag [Mass/volume] in Serum or Plasma"), "11.4", "ng/mL"
    )
    yield held
    yield {
        "resourceType": "DiagnosticReport",
        "id": f"{person.id}-held",
        "meta": {"security": [coding(_ACT, "NOPAT")]},
        "status": "final",
        "category": [concept(f"{HL7}/v2-0074", "LAB", "Laboratory")],
        "code": concept(LOINC, "2857-1", "Prostate specific Ag [Mass/volume] in Serum or Plasma"),
        "subject": reference(f"Patient/{person.id}"),
        "effectiveDateTime": _ON,
        "issued": _ON,
        "result": [reference(f"Observation/{held['id']}")],
        "conclusion": "Markedly raised. To be talked over before the patient reads it.",
    }


def _result(person: Person, name: str, code: tuple[str, str], value: str, unit: str) -> Resource:
    return {
        "resourceType": "Observation",
        "id": f"{person.id}-{name}",
        "status": "preliminary" if name == "preliminary" else "final",
        "category": [_LABORATORY],
        "code": concept(LOINC, *code),
        "subject": reference(f"Patient/{person.id}"),
        "effectiveDateTime": _ON,
        "issued": _ON,
        "valueQuantity": quantity(Decimal(value), unit, unit),
    }


def _objecting(person: Person, _: str) -> Iterator[Resource]:
    network = person.facility.network
    recipient = concept(f"{HL7}/v3-ParticipationType", "IRCP", "information recipient")
    yield {
        "resourceType": "Consent",
        "id": f"{person.id}-no-sharing",
        "status": "active",
        "scope": concept(f"{HL7}/consentscope", "patient-privacy", "Privacy Consent"),
        "category": [concept(LOINC, "59284-0", "Consent Document")],
        "patient": reference(f"Patient/{person.id}"),
        "dateTime": _ON,
        "organization": [reference(f"Organization/{person.facility.id}")],
        "policyRule": concept(f"{HL7}/v3-ActCode", "OPTOUT", "opt-out"),
        "provision": {
            "type": "deny",
            "actor": [{"role": recipient, "reference": reference(f"Organization/{network}")}],
        },
    }


def _referred(person: Person, doctor: str) -> Iterator[Resource]:
    yield {
        "resourceType": "ServiceRequest",
        "id": f"{person.id}-referral",
        "status": "active",
        "intent": "order",
        "code": concept(SNOMED, "183519002", "Referral to cardiology service", "Referral to cardiology"),
        "subject": reference(f"Patient/{person.id}"),
        "authoredOn": _ON,
        "requester": reference(f"Practitioner/{doctor}"),
    }
    yield {
        "resourceType": "Task",
        "id": f"{person.id}-referral-task",
        "status": "accepted",
        "intent": "order",
        "code": concept("http://hl7.org/fhir/CodeSystem/task-code", "fulfill", "Fulfill the focal request"),
        "focus": reference(f"ServiceRequest/{person.id}-referral"),
        "for": reference(f"Patient/{person.id}"),
        "authoredOn": _ON,
        "requester": reference(f"Practitioner/{doctor}"),
        "owner": reference("Organization/port-meridia"),
    }


PLANTED: Mapping[int, Callable[[Person, str], Iterator[Resource]]] = {4: _shielded, 5: _objecting, 13: _referred}
"""Patients with planted cases, by number."""
