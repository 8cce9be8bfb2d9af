"""Patients as FHIR resources, with their guardians (RelatedPerson) and the Person that joins both."""

from collections.abc import Iterator
from datetime import datetime, time
from typing import Any

from fhir_server.demo.chance import Chance
from fhir_server.demo.datatypes import HL7, OWN, Resource, compact, concept, identifier, moment, reference
from fhir_server.demo.geography import ZONES, address
from fhir_server.demo.names import STREETS
from fhir_server.demo.people import Person, patient_id

_MARRIED, _SINGLE, _WIDOWED = ("M", "Married"), ("S", "Never Married"), ("W", "Widowed")


def resources(person: Person, doctor: str) -> Iterator[Resource]:
    """Yield the Patient and, for a minor, the guardian's RelatedPerson.

    Args:
        person: Who.
        doctor: Id of the Practitioner who is the general practitioner.
    """
    yield _patient(person, doctor)
    if person.guardian:
        yield _guardian(person, *person.guardian)


def joined(guardian: Person, wards: list[Person]) -> Resource:
    """Return the Person of somebody who is a patient and also signs for others."""
    targets = [f"Patient/{guardian.id}", *(f"RelatedPerson/{ward.id}-guardian" for ward in wards)]
    return {
        "resourceType": "Person",
        "id": f"person-{guardian.id}",
        "name": names(guardian),
        "gender": _gender(guardian),
        "birthDate": guardian.born_text,
        "managingOrganization": reference(f"Organization/{guardian.facility.id}"),
        "link": [{"target": reference(target), "assurance": "level3"} for target in targets],
        "active": True,
    }


def names(person: Person) -> list[Resource]:
    """Return the names: as written, and in Latin letters where the script is another one."""
    if person.unknown:
        return [{"use": "temp", "text": f"Unknown patient {person.number}"}]
    official = {
        "use": "official",
        "text": f"{person.given} {person.family}",
        "family": person.family,
        "given": [person.given],
    }
    latin = person.pool.latin
    if not latin:
        return [official]
    given, family = latin[person.given], latin[person.family]
    return [official, {"use": "usual", "text": f"{given} {family}", "family": family, "given": [given]}]


def _patient(person: Person, doctor: str) -> Resource:
    chance = Chance(f"registration/{person.number}")
    reachable = not person.unknown
    return compact(
        {
            "resourceType": "Patient",
            "id": person.id,
            "identifier": _identifiers(person),
            "active": not person.replaced_by,
            "name": names(person),
            "telecom": _telecom(person) if reachable and not person.guardian else [],
            "gender": _gender(person),
            "birthDate": person.born_text,
            **_death(person),
            "address": [_home(person)] if reachable else [],
            "maritalStatus": _marital(person, chance),
            "multipleBirthInteger": person.twin or None,
            "contact": _contact(person),
            "communication": [_language(person)] if reachable else [],
            "generalPractitioner": [reference(f"Practitioner/{doctor}")] if reachable else [],
            "managingOrganization": reference(f"Organization/{person.facility.id}"),
            "link": _links(person),
        }
    )


def _guardian(person: Person, number: int, given: str, relation: tuple[str, str]) -> Resource:
    return {
        "resourceType": "RelatedPerson",
        "id": f"{person.id}-guardian",
        "active": True,
        "patient": reference(f"Patient/{person.id}"),
        "relationship": [concept(f"{HL7}/v3-RoleCode", *relation), concept(f"{HL7}/v3-RoleCode", "GUARD", "guardian")],
        "name": [{"use": "official", "family": person.family, "given": [given]}],
        "telecom": [{"system": "phone", "value": f"+999 7{number or person.number:08d}", "use": "mobile"}],
        "gender": "female",
        "address": [_home(person)],
    }


def _identifiers(person: Person) -> list[Resource]:
    record = identifier(
        f"{OWN}/sid/{person.facility.id}/mrn", f"{person.facility.id[:2].upper()}{person.number:06d}", "MR"
    )
    record["assigner"] = reference(f"Organization/{person.facility.id}", person.facility.name)
    if person.unknown or person.replaced_by:
        return [record]
    return [
        record,
        identifier(f"{OWN}/sid/national", f"{10_000_000 + (person.same or person.number) * 7919 % 89_999_999}", "NI"),
    ]


def _gender(person: Person) -> str:
    if person.unknown:
        return "unknown"
    return "female" if person.female else "male"


def _death(person: Person) -> dict[str, Any]:
    if person.died is None:
        return {"deceasedBoolean": False}
    return {"deceasedDateTime": moment(datetime.combine(person.died, time(4, 40), ZONES[person.facility.region]))}


def _telecom(person: Person) -> list[Resource]:
    return [
        {"system": "phone", "value": f"+999 7{person.number:08d}", "use": "mobile", "rank": 1},
        {"system": "email", "value": f"{person.id}@mail.meridia.example", "use": "home"},
    ]


def _home(person: Person) -> Resource:
    first = person.guardian[0] if person.guardian and person.guardian[0] else person.number
    chance = Chance(f"home/{first}")
    return address(f"{chance.whole(1, 180)} {chance.one(STREETS)}", person.facility)


def _marital(person: Person, chance: Chance) -> Resource | None:
    if person.guardian or person.unknown:
        return None
    status = chance.weighted((_MARRIED, _SINGLE, _WIDOWED), (5, 4, 1))
    return concept(f"{HL7}/v3-MaritalStatus", *status)


def _contact(person: Person) -> list[Resource]:
    if not person.guardian:
        return []
    _, given, _ = person.guardian
    relation = concept(f"{HL7}/v2-0131", "N", "Next-of-Kin")
    return [{"relationship": [relation], "name": {"family": person.family, "given": [given]}, "gender": "female"}]


def _language(person: Person) -> Resource:
    return {"language": concept("urn:ietf:bcp:47", person.pool.language, person.pool.label), "preferred": True}


def _links(person: Person) -> list[Resource]:
    pairs = ((person.replaced_by, "replaced-by"), (person.replaces, "replaces"))
    return [{"other": reference(f"Patient/{patient_id(number)}"), "type": kind} for number, kind in pairs if number]
