"""A made-up population, the same one each time: people with visits, measurements, findings, prescriptions.

Person `n` follows from `n` alone, so any part of the population can be made by itself and by any process. Some 35 resources
of some 500 to 900 bytes belong to a person. Families are rarer than in life: 13,824 of them, so that a name says about the same
in a small population and in a large one.
"""

from collections.abc import Iterator
from datetime import date, timedelta
from decimal import Decimal
from random import Random
from typing import Any

Json = dict[str, Any]

LOINC = "http://loinc.org"
SNOMED = "http://snomed.info/sct"
UCUM = "http://unitsofmeasure.org"
PERSONS = "urn:example:person"
PER_CLINIC = 500
PER_DOCTOR = 50
VISITS = 3
SHARED = "Organization", "Location", "Practitioner"

_GIVEN = "Ada Ben Cleo Dara Eli Fay Gus Hana Ines Jun Kai Lea Milo Nia Omar Pia Quin Rui Sara Tom Uma Vera Wes Yara"
_ONSETS = "ba be bo da do fa fe ga gro ha he ka ko la lo ma mi na no pa ra sto ta wi"
_ENDINGS = "dal den der gar hof kin lan lin man mer ner nik ran ras ros sen ski son tor vall ven vik win zer"
GIVEN, ONSETS, ENDINGS = (tuple(words.split()) for words in (_GIVEN, _ONSETS, _ENDINGS))
TOWNS = ("Arden", "Birch", "Corrin", "Dunmore", "Elster", "Farrow", "Glenn", "Holm")

# (code, display, unit, UCUM code, lowest, highest, places)
MEASURED = (
    ("8867-4", "Heart rate", "beats/minute", "/min", 50, 110, 0),
    ("9279-1", "Respiratory rate", "breaths/minute", "/min", 10, 24, 0),
    ("8310-5", "Body temperature", "degrees C", "Cel", 36, 39, 1),
    ("29463-7", "Body weight", "kg", "kg", 45, 120, 1),
    ("59408-5", "Oxygen saturation", "%", "%", 88, 100, 0),
)
TESTED = (
    ("4548-4", "Hemoglobin A1c", "%", "%", 4, 11, 1),
    ("2339-0", "Glucose", "mg/dL", "mg/dL", 60, 250, 0),
    ("2160-0", "Creatinine", "mg/dL", "mg/dL", 0, 3, 2),
)
SYSTOLIC, DIASTOLIC, PRESSURE = "8480-6", "8462-4", "85354-9"
FOUND = (
    ("38341003", "Hypertension"),
    ("44054006", "Type 2 diabetes"),
    ("195967001", "Asthma"),
    ("73211009", "Diabetes"),
)
DRUGS = (("C09AA03", "lisinopril"), ("A10BA02", "metformin"), ("R03AC02", "salbutamol"), ("N02BE01", "paracetamol"))
DONE = (("73761001", "Colonoscopy"), ("268400002", "12 lead ECG"), ("80146002", "Appendectomy"))

_CATEGORIES = "http://terminology.hl7.org/CodeSystem/observation-category"
_FIRST = date(2015, 1, 1)


def clinic(person: int) -> str:
    """Return the id of a person's clinic."""
    return f"pop-clinic-{person // PER_CLINIC}"


def doctor(person: int) -> str:
    """Return the id of a person's doctor."""
    return f"pop-doctor-{person // PER_DOCTOR}"


def person_id(person: int) -> str:
    """Return a person's id."""
    return f"pop-{person}"


def family(person: int) -> str:
    """Return a person's family name."""
    number = person * 7919 % (len(ONSETS) * len(ONSETS) * len(ENDINGS))
    rest, ending = divmod(number, len(ENDINGS))
    first, second = divmod(rest, len(ONSETS))
    return (ONSETS[first] + ONSETS[second] + ENDINGS[ending]).capitalize()


def shared(persons: int) -> Iterator[Json]:
    """Yield the clinics and doctors of so many people."""
    for number in range(-(-persons // PER_CLINIC)):
        name = f"Clinic of {TOWNS[number % len(TOWNS)]} {number}"
        yield {"resourceType": "Organization", "id": f"pop-clinic-{number}", "active": True, "name": name}
        yield {
            "resourceType": "Location",
            "id": f"pop-room-{number}",
            "status": "active",
            "name": f"Rooms of {name}",
            "managingOrganization": {"reference": f"Organization/pop-clinic-{number}"},
        }
    for number in range(-(-persons // PER_DOCTOR)):
        yield {
            "resourceType": "Practitioner",
            "id": f"pop-doctor-{number}",
            "active": True,
            "identifier": [{"system": "urn:example:doctor", "value": str(number)}],
            "name": [{"family": family(number * 31 + 7), "given": [GIVEN[number % len(GIVEN)]]}],
        }


def of(person: int) -> Iterator[Json]:
    """Yield all resources of a person, the Patient first."""
    chance = Random(person)
    subject = {"reference": f"Patient/{person_id(person)}"}
    yield _patient(person, chance)
    performer = {"reference": f"Practitioner/{doctor(person)}"}
    start = _FIRST + timedelta(days=chance.randrange(3000))
    for visit in range(VISITS):
        day = (start + timedelta(days=120 * visit + chance.randrange(90))).isoformat()
        hour = f"{day}T{chance.randrange(8, 18):02d}"
        encounter = f"{person_id(person)}-visit-{visit}"
        common = {"subject": subject, "encounter": {"reference": f"Encounter/{encounter}"}}
        yield {
            "resourceType": "Encounter",
            "id": encounter,
            "status": "finished",
            "class": {
                "system": "http://terminology.hl7.org/CodeSystem/v3-ActCode",
                "code": "AMB",
                "display": "ambulatory",
            },
            "subject": subject,
            "participant": [{"individual": performer}],
            "location": [{"location": {"reference": f"Location/pop-room-{person // PER_CLINIC}"}}],
            "serviceProvider": {"reference": f"Organization/{clinic(person)}"},
            "period": {"start": f"{hour}:00:00Z", "end": f"{hour}:40:00Z"},
        }
        yield from _observations(encounter, f"{hour}:{chance.randrange(5, 35):02d}:00Z", common, performer, chance)
        if visit < 2:
            yield from _findings(encounter, day, common, performer, chance)
    yield {
        "resourceType": "Procedure",
        "id": f"{person_id(person)}-procedure",
        "status": "completed",
        "code": _concept(SNOMED, *DONE[chance.randrange(len(DONE))]),
        "subject": subject,
        "performedDateTime": day,
        "performer": [{"actor": performer}],
    }


def _patient(person: int, chance: Random) -> Json:
    born = date(1930, 1, 1) + timedelta(days=chance.randrange(34_000))
    return {
        "resourceType": "Patient",
        "id": person_id(person),
        "active": True,
        "identifier": [{"use": "official", "system": PERSONS, "value": f"P{person:08d}"}],
        "name": [{"use": "official", "family": family(person), "given": [GIVEN[chance.randrange(len(GIVEN))]]}],
        "telecom": [{"system": "phone", "value": f"+1 555 {person:07d}", "use": "home"}],
        "gender": "female" if chance.random() < 0.5 else "male",
        "birthDate": born.isoformat(),
        "address": [
            {
                "line": [f"{chance.randrange(1, 200)} Mill Lane"],
                "city": TOWNS[chance.randrange(len(TOWNS))],
                "postalCode": f"{chance.randrange(10_000, 99_999)}",
                "country": "US",
            }
        ],
        "generalPractitioner": [{"reference": f"Practitioner/{doctor(person)}"}],
        "managingOrganization": {"reference": f"Organization/{clinic(person)}"},
    }


def _observations(encounter: str, moment: str, common: Json, performer: Json, chance: Random) -> Iterator[Json]:
    for category, rows in (("vital-signs", MEASURED), ("laboratory", TESTED)):
        for code, display, unit, symbol, low, high, places in rows:
            scale = 10**places
            value = Decimal(chance.randint(low * scale + 1, high * scale)).scaleb(-places)
            yield {
                **_observed(f"{encounter}-{code}", category, moment, common, performer),
                "code": _concept(LOINC, code, display),
                "valueQuantity": {"value": value, "unit": unit, "system": UCUM, "code": symbol},
            }
    pressures = ((SYSTOLIC, "Systolic", chance.randint(95, 180)), (DIASTOLIC, "Diastolic", chance.randint(55, 110)))
    yield {
        **_observed(f"{encounter}-pressure", "vital-signs", moment, common, performer),
        "code": _concept(LOINC, PRESSURE, "Blood pressure panel"),
        "component": [
            {
                "code": _concept(LOINC, code, f"{display} blood pressure"),
                "valueQuantity": {"value": Decimal(value), "unit": "mmHg", "system": UCUM, "code": "mm[Hg]"},
            }
            for code, display, value in pressures
        ],
    }


def _observed(resource_id: str, category: str, moment: str, common: Json, performer: Json) -> Json:
    return {
        "resourceType": "Observation",
        "id": resource_id,
        "status": "final",
        "category": [{"coding": [{"system": _CATEGORIES, "code": category}]}],
        **common,
        "effectiveDateTime": moment,
        "issued": moment,
        "performer": [performer],
    }


def _findings(encounter: str, day: str, common: Json, performer: Json, chance: Random) -> Iterator[Json]:
    clinical = "http://terminology.hl7.org/CodeSystem/condition-clinical"
    yield {
        "resourceType": "Condition",
        "id": f"{encounter}-condition",
        "clinicalStatus": {"coding": [{"system": clinical, "code": "active"}]},
        "code": _concept(SNOMED, *FOUND[chance.randrange(len(FOUND))]),
        **common,
        "onsetDateTime": day,
        "recordedDate": day,
    }
    yield {
        "resourceType": "MedicationRequest",
        "id": f"{encounter}-prescription",
        "status": "active",
        "intent": "order",
        "medicationCodeableConcept": _concept("http://www.whocc.no/atc", *DRUGS[chance.randrange(len(DRUGS))]),
        **common,
        "authoredOn": day,
        "requester": performer,
        "dosageInstruction": [{"text": "One in the morning"}],
    }


def _concept(system: str, code: str, display: str) -> Json:
    return {"coding": [{"system": system, "code": code, "display": display}], "text": display}
