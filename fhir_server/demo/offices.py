"""Who works in the country besides the sixty practitioners: desks, offices, and one who treats here and administers there."""

from collections.abc import Iterator
from dataclasses import dataclass

from fhir_server.demo.datatypes import HL7, OWN, Resource, claim, compact, concept, reference
from fhir_server.demo.geography import FACILITIES, NETWORKS, REGIONS

STAFF_ROLE = f"{OWN}/CodeSystem/staff-role"
ROLES = {
    "doctor": (f"{HL7}/practitioner-role", "Doctor"),
    "front-desk": (STAFF_ROLE, "Front desk"),
    "billing": (STAFF_ROLE, "Billing"),
    "privacy-officer": (STAFF_ROLE, "Privacy officer"),
    "administrator": (STAFF_ROLE, "Facility administrator"),
}
"""Role codes of this page: code system and display."""


@dataclass(frozen=True, slots=True)
class Employee:
    """One person.

    Attributes:
        id: Id of the Practitioner.
        given: Given name.
        family: Family name.
        gender: Administrative gender.
        posts: (Organization id, key of `ROLES`) pairs.
    """

    id: str
    given: str
    family: str
    gender: str
    posts: tuple[tuple[str, str], ...]


EMPLOYEES = (
    Employee("fd01", "Rose", "Tully", "female", (("seaview", "front-desk"),)),
    Employee("bl01", "Bill", "Penny", "male", (("port-meridia", "billing"),)),
    Employee("po01", "Petra", "Stone", "female", (("port-meridia", "privacy-officer"),)),
    Employee("hc01", "Hedy", "Cross", "female", (("seaview", "doctor"), ("saltmarsh", "administrator"))),
    Employee("ad01", "Regina", "North", "female", (("northreach", "administrator"),)),
    Employee("ad02", "Sam", "Low", "male", (("solo", "administrator"),)),
)
_PLACES = tuple(unit.id for unit in (*REGIONS, *NETWORKS, *FACILITIES))
_SITES = frozenset(facility.id for facility in FACILITIES)


def offices() -> Iterator[tuple[str, list[Resource]]]:
    """Yield each organization with the people and roles that come with it; a person comes with the first post."""
    seen: set[str] = set()
    for place in _PLACES:
        found: list[Resource] = []
        for employee in EMPLOYEES:
            for organization, code in employee.posts:
                if organization == place:
                    found += [] if employee.id in seen else [_practitioner(employee)]
                    found.append(_role(employee, organization, code))
                    seen.add(employee.id)
        if found:
            yield place, found


def _practitioner(employee: Employee) -> Resource:
    return {
        "resourceType": "Practitioner",
        "id": employee.id,
        "active": True,
        "name": [{"use": "official", "family": employee.family, "given": [employee.given]}],
        "telecom": [{"system": "email", "value": f"{employee.id}@meridia.example", "use": "work"}],
        "gender": employee.gender,
    }


def _role(employee: Employee, organization: str, code: str) -> Resource:
    system, display = ROLES[code]
    number = [place for place, _ in employee.posts].index(organization) + 1
    return compact(
        {
            "resourceType": "PractitionerRole",
            "id": f"role-{employee.id}" if number == 1 else f"role-{employee.id}-{number}",
            "meta": claim("staff-role"),
            "active": True,
            "period": {"start": "2021-03-01"},
            "practitioner": reference(f"Practitioner/{employee.id}"),
            "organization": reference(f"Organization/{organization}"),
            "code": [concept(system, code, display)],
            "location": [reference(f"Location/{organization}-site")] if organization in _SITES else [],
        }
    )
