"""Prescriptions (MedicationRequest)."""

from datetime import timedelta
from decimal import Decimal

from fhir_server.demo.datatypes import ATC, UCUM, Resource, compact, concept, moment, quantity, reference
from fhir_server.demo.illnesses import DRUGS
from fhir_server.demo.measuring import Visit
from fhir_server.demo.people import TODAY


def prescription(visit: Visit, drug_name: str, about: str, *, lasting: bool) -> Resource:
    """Return the prescription of one drug at a visit.

    Args:
        visit: Where it was written.
        drug_name: Key of `DRUGS`.
        about: Reference of the Condition that it treats, empty for none.
        lasting: Whether it is for a lasting condition: then it is repeated, and active while the latest fill lasts.
    """
    drug = DRUGS[drug_name]
    amount, unit = drug.dose
    days = drug.days * 4 if lasting else drug.days
    active = visit.when.date() + timedelta(days=days) >= TODAY and visit.person.died is None
    dosage = {
        "text": f"{amount} {unit} {drug.name}, {drug.daily} times a day",
        "timing": {"repeat": {"frequency": drug.daily, "period": Decimal(1), "periodUnit": "d"}},
        "doseAndRate": [{"doseQuantity": quantity(Decimal(amount), unit, unit)}],
    }
    supply = {"value": Decimal(drug.days), "unit": "days", "system": UCUM, "code": "d"}
    return compact(
        {
            "resourceType": "MedicationRequest",
            "id": f"{visit.id}-{drug_name}",
            "status": "active" if active else "completed",
            "intent": "order",
            "medicationCodeableConcept": concept(ATC, drug.code, drug.name),
            "subject": reference(f"Patient/{visit.person.id}"),
            "encounter": reference(f"Encounter/{visit.id}"),
            "authoredOn": moment(visit.when + timedelta(minutes=15)),
            "requester": reference(f"Practitioner/{visit.doctor}"),
            "reasonReference": [reference(about)] if about else [],
            "dosageInstruction": [dosage],
            "dispenseRequest": {"numberOfRepeatsAllowed": 3 if lasting else 0, "expectedSupplyDuration": supply},
        }
    )
