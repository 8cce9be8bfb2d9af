"""Allergies and immunizations."""

from collections.abc import Iterator
from datetime import date, timedelta

from fhir_server.demo.chance import Chance
from fhir_server.demo.datatypes import CVX, HL7, SNOMED, Resource, concept, reference
from fhir_server.demo.illnesses import ALLERGENS, CHILDHOOD_VACCINES, INFLUENZA, TETANUS
from fhir_server.demo.people import TODAY, Person

_SEASONS = (date(2024, 10, 14), date(2025, 10, 13))


def allergies(person: Person, chance: Chance) -> Iterator[Resource]:
    """Yield the allergies: one person in six has one or two."""
    if person.unknown or not chance.happens(0.17):
        return
    for code, display, category, criticality, reaction in chance.some(ALLERGENS, 2):
        yield {
            "resourceType": "AllergyIntolerance",
            "id": f"{person.id}-allergy-{code}",
            "clinicalStatus": concept(f"{HL7}/allergyintolerance-clinical", "active", "Active"),
            "verificationStatus": concept(f"{HL7}/allergyintolerance-verification", "confirmed", "Confirmed"),
            "type": "allergy",
            "category": [category],
            "criticality": criticality,
            "code": concept(SNOMED, code, display),
            "patient": reference(f"Patient/{person.id}"),
            "reaction": [{"manifestation": [concept(SNOMED, *reaction)]}],
        }


def immunizations(person: Person, chance: Chance) -> Iterator[Resource]:
    """Yield the immunizations: the calendar for children under ten, influenza for the old, now and then tetanus."""
    if person.unknown:
        return
    last = person.died or TODAY
    age = person.age(last)
    if age < 10:
        for code, display, months in CHILDHOOD_VACCINES:
            when = person.born + timedelta(days=months * 30 + chance.whole(0, 20))
            if when <= last:
                yield _immunization(person, code, display, when)
    if age >= 60:
        for season in _SEASONS:
            when = season + timedelta(days=chance.whole(0, 40))
            if when <= last and chance.happens(0.7):
                yield _immunization(person, *INFLUENZA, when)
    if age >= 18 and chance.happens(0.15):
        yield _immunization(person, *TETANUS, last - timedelta(days=chance.whole(30, 700)))


def _immunization(person: Person, code: str, display: str, when: date) -> Resource:
    return {
        "resourceType": "Immunization",
        "id": f"{person.id}-cvx{code}-{when:%Y%m%d}",
        "status": "completed",
        "vaccineCode": concept(CVX, code, display),
        "patient": reference(f"Patient/{person.id}"),
        "occurrenceDateTime": when.isoformat(),
        "primarySource": True,
        "location": reference(f"Location/{person.facility.id}-site"),
        "site": concept(f"{HL7}/v3-ActSite", "LA", "left arm"),
        "route": concept(f"{HL7}/v3-RouteOfAdministration", "IM", "Injection, intramuscular"),
    }
