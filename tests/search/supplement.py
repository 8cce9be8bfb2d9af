"""Resources of the kinds that Synthea never writes: partial dates, ranges, comparators, samples, accents, escapes, versions."""

from collections.abc import Iterator
from random import Random
from typing import Any

Resource = dict[str, Any]

DATES = (
    "2019",
    "2020-02",
    "2020-02-29",
    "2020-02-29T23:30:00-02:00",
    "2020-03-01T00:00:00Z",
    "2020-03-01T00:00:00.250Z",
)
NAMES = ("Müller", "Łukasz", "MULLER", "Mullen", "O'Hara", "van  der Berg", "Ångström", "angst, rom", "a|b")
URLS = ("http://acme.org/fhir/ValueSet/1", "http://acme.org/fhir/ValueSet/12", "http://acme.org/fhir", "urn:oid:1.2.3")
PROFILES = ("http://x/p|1", "http://x/p|2", "http://x/p", "http://x/q")
PLANS = ("http://x/plan|1", "http://x/plan", "http://x/other|2")
PEOPLE = 12
HOUSES = 6
PLACES = 12
VISITS = 24
ACTS = "http://terminology.hl7.org/CodeSystem/v3-ActCode"
CLASSES = ("IMP", "ACUTE", "NONAC", "PRENC", "AMB", "OBSENC", "SS", "VR")
ABSENT = "http://terminology.hl7.org/CodeSystem/data-absent-reason"
UCUM = "http://unitsofmeasure.org"
COMPARATORS = ("<", "<=", ">=", ">")
REASONS = ("unknown", "asked-declined", "temp-unknown", "not-a-number", "error", "masked")


def bundle(chance: Random) -> dict[str, Any]:
    """Return a transaction that creates them."""
    rows = [*_patients(chance), *_risks(chance), *_observations(chance), *_value_sets(chance), *_plans(chance)]
    rows += [
        *_houses(chance, len(rows)),
    ]
    rows += _absent(chance, len(rows))
    rows += _measured(chance)
    entry = [
        {"fullUrl": f"urn:uuid:p{number}", "resource": row, "request": {"method": "POST", "url": row["resourceType"]}}
        for number, row in enumerate(rows)
    ]
    return {"resourceType": "Bundle", "type": "transaction", "entry": entry}


def _somebody(chance: Random) -> Resource:
    return {"reference": f"urn:uuid:p{chance.randrange(PEOPLE)}"}


def _patients(chance: Random) -> Iterator[Resource]:
    for number in range(PEOPLE):
        yield {
            "resourceType": "Patient",
            "name": [{"family": chance.choice(NAMES), "given": chance.sample(NAMES, 2)}],
            **({"birthDate": chance.choice(DATES[:3])} if number % 3 else {}),
            **({"gender": chance.choice(["male", "female", "other"])} if number % 4 else {}),
            "identifier": [
                {
                    "value": chance.choice(["1", "a|b", "x,y"]),
                    "type": {"coding": [{"system": "urn:kind", "code": "MR"}]},
                },
                {"system": "urn:sys", "value": str(number)},
            ],
        }


def _risks(chance: Random) -> Iterator[Resource]:
    percent = {"unit": "%", "code": "%", "system": "http://unitsofmeasure.org"}
    for number in range(30):
        start, end = sorted(chance.sample(DATES[:3], 2))
        low = chance.choice([0, 10, 20])
        first: Resource = {"probabilityDecimal": chance.choice([0, 0.1, 0.15, 0.149, 0.2, 0.25, 1, 50, 99.5])}
        if number % 5 == 0:
            high = {"value": low + chance.choice([0, 5, 30]), **percent}
            first = {"probabilityRange": {"low": {"value": low, **percent}, "high": high}}
        yield {
            "resourceType": "RiskAssessment",
            "status": "final",
            "subject": _somebody(chance),
            "prediction": [first, *([{"probabilityDecimal": 0.3}] if number % 7 == 0 else [])],
            **({"method": {"coding": [{"code": chance.choice("ab")}, {"system": "urn:m", "code": "c"}]}} if number % 2 else {}),
            **({"occurrencePeriod": {"start": start, "end": end}} if number % 2 else {"occurrenceDateTime": chance.choice(DATES)}),
        }  # fmt: skip


def _observations(chance: Random) -> Iterator[Resource]:
    for number in range(40):
        effective: Resource = {"effectiveTiming": {"event": chance.sample(DATES, 2)}}
        if number % 3:
            effective = {"effectiveDateTime": chance.choice(DATES)}
        elif number % 2:
            effective = {"effectivePeriod": {chance.choice(["start", "end"]): chance.choice(DATES)}}
        value: Resource = {"valueString": chance.choice(NAMES)}
        if number % 2:
            amount = chance.choice([5, 5.4, 5.44, 5.45, 5.5, -1, 100, 0.001])
            value = {"valueQuantity": {"value": amount, "unit": chance.choice(["mg", "g"])}}
        yield {
            "resourceType": "Observation",
            "status": chance.choice(["final", "amended", "entered-in-error"]),
            "code": {
                "coding": [{"system": chance.choice(["urn:a", "urn:b"]), "code": chance.choice(["1", "1-2", "a|b"])}],
                "text": "x",
            },
            **({"subject": _somebody(chance)} if number % 4 else {}),
            **(
                {
                    "performer": [
                        _somebody(chance),
                        {"display": "somebody", "identifier": {"system": "urn:npi", "value": f"{number % 4}"}},
                    ]
                }
                if number % 3
                else {}
            ),
            **effective,
            **value,
            **({"component": [_part(chance) for _ in range(3)]} if number % 5 == 0 else {}),
            "identifier": [{"system": "urn:obs", "value": f"{number}"}],
            "meta": {
                "profile": chance.sample(PROFILES, 2),
                "tag": [{"system": "urn:t", "code": chance.choice("ab")}],
                "security": [{"code": "R"}],
            },
        }


def _part(chance: Random) -> Resource:
    value: Resource = {"valueQuantity": {"value": chance.choice([5, 5.4, 100]), "unit": chance.choice(["mg", "g"])}}
    if chance.random() < 0.4:
        value = {"valueCodeableConcept": {"coding": [{"system": "urn:v", "code": chance.choice("ab")}]}}
    return {"code": {"coding": [{"system": "urn:c", "code": chance.choice(["1", "2", "3"])}]}, **value}


def _value_sets(chance: Random) -> Iterator[Resource]:
    for number in range(12):
        yield {
            "resourceType": "ValueSet",
            "url": chance.choice(URLS),
            "version": f"{number}",
            "status": "active",
            "name": chance.choice(["Alpha", "alphabet", "Beta"]),
            **({"title": chance.choice(NAMES)} if number % 2 else {}),
            "date": chance.choice(DATES),
            **({"useContext": [_use(chance) for _ in range(number % 4)]} if number % 4 else {}),
        }


def _use(chance: Random) -> Resource:
    concept = {"coding": [{"system": "urn:u", "code": chance.choice("xy$")}]}
    value: Resource = {"valueCodeableConcept": concept}
    if chance.random() < 0.5:
        value = {"valueQuantity": {"value": chance.choice([1, 5, 50]), "unit": "a", "code": "a", "system": "urn:unit"}}
    return {"code": {"system": "urn:c", "code": chance.choice(["age", "venue", "a$b"])}, **value}


def _plans(chance: Random) -> Iterator[Resource]:
    for number in range(8):
        yield {
            "resourceType": "CarePlan",
            "status": "active",
            "intent": "plan",
            "subject": {"reference": f"urn:uuid:p{number}"},
            "instantiatesCanonical": chance.sample(PLANS, 2),
        }


def _houses(chance: Random, first: int) -> Iterator[Resource]:
    """Yield organizations, places and visits in trees, each number known by what stood before; the last two visits in a ring."""
    places, visits = first + HOUSES, first + HOUSES + PLACES
    for number in range(HOUSES):
        yield {
            "resourceType": "Organization",
            "name": chance.choice(NAMES),
            **({"partOf": _row(first + chance.randrange(number))} if number else {}),
        }
    for number in range(PLACES):
        yield {
            "resourceType": "Location",
            "name": chance.choice(NAMES),
            "status": chance.choice(["active", "inactive"]),
            "managingOrganization": _row(first + chance.randrange(HOUSES)),
            **({"partOf": _row(places + chance.randrange(number))} if number else {}),
        }
    for number in range(VISITS):
        whole = {VISITS - 2: VISITS - 1, VISITS - 1: VISITS - 2}.get(number, chance.randrange(number or 1))
        system = chance.choice([{"system": ACTS}, {"system": ACTS}, {"system": ACTS}, {"system": "urn:x"}, {}])
        yield {
            "resourceType": "Encounter",
            "status": chance.choice(["planned", "in-progress", "finished"]),
            "class": {**system, "code": chance.choice(CLASSES)},
            "subject": _somebody(chance),
            "serviceProvider": _row(first + chance.randrange(HOUSES)),
            "location": [{"location": _row(places + chance.randrange(PLACES))} for _ in range(1 + number % 2)],
            **({"partOf": _row(visits + whole)} if number % 3 or number == VISITS - 2 else {}),
        }


def _row(number: int) -> Resource:
    return {"reference": f"urn:uuid:p{number}"}


def _absent(chance: Random, first: int) -> Iterator[Resource]:
    """Yield devices and relatives, and observations without values that they made."""
    yield from [{"resourceType": "Device"}] * 2
    for _ in range(2):
        yield {"resourceType": "RelatedPerson", "patient": _somebody(chance)}
    for number in range(12):
        yield {
            "resourceType": "Observation",
            "status": chance.choice(["final", "corrected", "preliminary"]),
            "code": {"coding": [{"system": "urn:a", "code": "9"}]},
            "subject": _somebody(chance),
            "device": _row(first + number % 2),
            **({"performer": [_row(first + 2 + chance.randrange(2)), _somebody(chance)]} if number % 3 else {}),
            "dataAbsentReason": {"coding": [{"system": ABSENT, "code": chance.choice(REASONS)}]},
            **({"effectiveDateTime": chance.choice(DATES)} if number % 2 else {}),
        }


def _measured(chance: Random) -> Iterator[Resource]:
    """Yield observations of values beyond a limit, of rows of samples, and of ratios, which no parameter reads."""
    for number in range(60):
        made = (_beyond, _beyond, _samples, _ratio)[number % 4]
        yield {
            "resourceType": "Observation",
            "status": "final",
            "code": {"coding": [{"system": "urn:a", "code": chance.choice(["limit", "row"])}]},
            "subject": _somebody(chance),
            "effectiveDateTime": chance.choice(DATES),
            **({} if number % 5 == 0 else made(chance)),
            **({"component": [_measured_part(chance, number + part) for part in range(2)]} if number % 5 < 2 else {}),
        }


def _measured_part(chance: Random, number: int) -> Resource:
    made = (_beyond, _samples, _ratio)[number % 3]
    return {"code": {"coding": [{"system": "urn:c", "code": chance.choice(["1", "2"])}]}, **made(chance)}


def _unit(chance: Random) -> Resource:
    return chance.choice(
        [{"code": code, "unit": code, "system": UCUM} for code in ("mg/dL", "g/L", "mm[Hg]")] + [{"unit": "mg"}]
    )


def _beyond(chance: Random) -> Resource:
    digits = chance.choice([5, 5.4, 0.5, 50, -1, 0.054, 200])
    return {"valueQuantity": {"value": digits, "comparator": chance.choice(COMPARATORS), **_unit(chance)}}


def _samples(chance: Random) -> Resource:
    row = [str(chance.choice([-2, 0, 1, 3, 5.4, 20])) for _ in range(chance.choice([1, 2, 6]))]
    row += chance.choice([[], ["E"], ["L", "U"], ["L"]])
    return {
        "valueSampledData": {
            "origin": {"value": chance.choice([0, 2, 5.4]), **_unit(chance)},
            "period": 10,
            **({"factor": chance.choice([0.5, 2, 10])} if chance.random() < 0.6 else {}),
            "lowerLimit": -10,
            "upperLimit": 30,
            "dimensions": 1,
            "data": " ".join(row if chance.random() < 0.9 else ["E"]),
        }
    }


def _ratio(chance: Random) -> Resource:
    numerator, denominator = ({"value": chance.choice([1, 5, 50]), **_unit(chance)} for _ in range(2))
    return {"valueRatio": {"numerator": numerator, "denominator": denominator}}
