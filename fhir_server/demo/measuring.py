"""Measurements as Observations and the laboratory's DiagnosticReports."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from fhir_server.demo.chance import Chance
from fhir_server.demo.datatypes import HL7, LOINC, Resource, compact, concept, moment, quantity, reference
from fhir_server.demo.measurements import DIASTOLIC, PANELS, PRESSURE, SYSTOLIC, VITALS, Measure
from fhir_server.demo.people import Person


@dataclass(frozen=True, slots=True)
class Visit:
    """When, about whom and by whom something is measured.

    Attributes:
        id: Id of the Encounter.
        person: The patient.
        when: Its start.
        doctor: Id of the Practitioner.
        ill: How far vital signs are off, 0 (well) to 2 (very ill).
    """

    id: str
    person: Person
    when: datetime
    doctor: str
    ill: int = 0


def vital_signs(visit: Visit, names: tuple[str, ...], ordinal: int = 1) -> Iterator[Resource]:
    """Yield one round of vital signs: blood pressure from five years of age, and the named measures of `VITALS`."""
    when = visit.when + timedelta(minutes=10)
    chance = Chance(f"vitals/{visit.id}/{ordinal}")
    stem = f"{visit.id}-v{ordinal}"
    age = visit.person.age(visit.when.date())
    if age >= 5:
        yield _pressure(visit, f"{stem}-bp", when, chance)
    size = _size(visit.person, age)
    for name in names:
        measure = VITALS[name]
        value = size.get(name) or _sick(visit, name, chance.measure(measure.mean, measure.spread, measure.digits), age)
        yield _observation(visit, f"{stem}-{name}", measure, value, when, category="vital-signs")


def laboratory(visit: Visit, panel_name: str) -> Iterator[Resource]:
    """Yield the results of a panel and the DiagnosticReport over them; one panel in forty was corrected afterwards."""
    panel = PANELS[panel_name]
    chance = Chance(f"laboratory/{visit.id}/{panel_name}")
    taken, issued = visit.when + timedelta(minutes=25), visit.when + timedelta(hours=chance.whole(3, 30))
    status = "corrected" if chance.happens(0.025) else "final"
    results = []
    for measure in panel.measures:
        value = chance.measure(measure.mean, measure.spread, measure.digits)
        row = _observation(visit, f"{visit.id}-{measure.code}", measure, value, taken, category="laboratory")
        row |= {"status": status, "issued": moment(issued), "interpretation": [_interpretation(measure, value)]}
        row["referenceRange"] = [
            {
                "low": quantity(Decimal(measure.low), measure.unit, measure.ucum),
                "high": quantity(Decimal(measure.high), measure.unit, measure.ucum),
            }
        ]
        results.append(row)
    yield from results
    yield {
        "resourceType": "DiagnosticReport",
        "id": f"{visit.id}-{panel_name}",
        "status": status,
        "category": [concept(f"{HL7}/v2-0074", "LAB", "Laboratory")],
        "code": concept(LOINC, panel.code, panel.display),
        "subject": reference(f"Patient/{visit.person.id}"),
        "encounter": reference(f"Encounter/{visit.id}"),
        "effectiveDateTime": moment(taken),
        "issued": moment(issued),
        "performer": [reference(f"Organization/{visit.person.facility.id}")],
        "result": [reference(f"Observation/{row['id']}") for row in results],
    }


def _observation(
    visit: Visit, name: str, measure: Measure, value: Decimal, when: datetime, *, category: str
) -> Resource:
    return {
        **_head(visit, name, category, (measure.code, measure.display), when),
        "valueQuantity": quantity(value, measure.unit, measure.ucum),
    }


def _head(visit: Visit, name: str, category: str, code: tuple[str, str], when: datetime) -> Resource:
    labels = {"vital-signs": "Vital Signs", "laboratory": "Laboratory"}
    return compact(
        {
            "resourceType": "Observation",
            "id": name,
            "status": "final",
            "category": [concept(f"{HL7}/observation-category", category, labels[category])],
            "code": concept(LOINC, *code),
            "subject": reference(f"Patient/{visit.person.id}"),
            "encounter": reference(f"Encounter/{visit.id}"),
            "effectiveDateTime": moment(when),
            "performer": [reference(f"Practitioner/{visit.doctor}")],
        }
    )


def _pressure(visit: Visit, name: str, when: datetime, chance: Chance) -> Resource:
    rows = []
    for measure in (SYSTOLIC, DIASTOLIC):
        value = chance.measure(measure.mean - 8 * visit.ill, measure.spread, 0)
        code = concept(LOINC, measure.code, measure.display)
        rows.append({"code": code, "valueQuantity": quantity(value, measure.unit, measure.ucum)})
    return {**_head(visit, name, "vital-signs", PRESSURE, when), "component": rows}


def _size(person: Person, age: int) -> dict[str, Decimal]:
    """Return weight, height and body mass index, which fit each other and the age, and stay with the person."""
    chance = Chance(f"size/{person.number}")
    height = chance.measure(164 if person.female else 177, 7, 0)
    index = chance.measure(25.5, 3.6, 1)
    if age < 18:
        height = Decimal(50 + round(float(height - 50) * (age + 1) / 18))
        index = Decimal("16.0") + Decimal(age) / 4
    weight = (index * height * height / 10000).quantize(Decimal("0.1"))
    return {"height": height, "weight": weight, "bmi": (weight * 10000 / height / height).quantize(Decimal("0.1"))}


def _sick(visit: Visit, name: str, value: Decimal, age: int) -> Decimal:
    """Return the value of a vital sign moved by illness, and for small children by their age."""
    shift = {"temperature": Decimal("0.9"), "pulse": Decimal(14), "breathing": Decimal(4), "oxygen": Decimal(-2)}[name]
    value += shift * visit.ill
    if age < 6 and name in ("pulse", "breathing"):
        value += Decimal((6 - age) * (8 if name == "pulse" else 3))
    return min(value, Decimal(100)) if name == "oxygen" else value


def _interpretation(measure: Measure, value: Decimal) -> Resource:
    if value < Decimal(measure.low):
        code = ("L", "Low")
    elif value > Decimal(measure.high):
        code = ("H", "High")
    else:
        code = ("N", "Normal")
    return concept(f"{HL7}/v3-ObservationInterpretation", *code)
