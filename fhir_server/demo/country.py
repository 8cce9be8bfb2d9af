"""The whole country as transaction bundles, each kept by one facility.

`shipments(scale)` is pure: the same bundles at every call, and the first five hundred patients are the same in every
scale. Ids are given, so that loading twice changes nothing but the version.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import count, islice

from fhir_server.demo import course, planted, registration
from fhir_server.demo.chance import Chance
from fhir_server.demo.datatypes import Resource
from fhir_server.demo.geography import FACILITIES, SOVEREIGN, locations, organizations
from fhir_server.demo.offices import offices
from fhir_server.demo.people import HOUSEHOLDS, Person, person
from fhir_server.demo.staff import doctors, practitioners, role_resource, roles

PATIENTS = 500
SCALES = (1, 10, 100)


@dataclass(frozen=True, slots=True)
class Shipment:
    """One transaction to load.

    Attributes:
        title: What it holds, for progress and errors.
        facility: Id of the Organization that becomes the custodian of its resources.
        marker: `Type/id` of a resource of it: where that exists, the shipment was loaded already.
        bundle: The transaction Bundle; its entries are PUTs.
    """

    title: str
    facility: str
    marker: str
    bundle: Resource


def shipments(scale: int = 1) -> Iterator[Shipment]:
    """Yield all transactions in an order in which they can be loaded.

    Args:
        scale: How many times five hundred patients: 1, 10 or 100.
    """
    yield from ground()
    yield from patients(scale)


def ground() -> Iterator[Shipment]:
    """Yield organizations, places and staff; each may refer to earlier ones."""
    yield _shipment("organizations", SOVEREIGN, organizations())
    for facility in FACILITIES:
        yield _shipment(f"places of {facility.name}", facility.id, locations(facility))
    yield _shipment("practitioners", SOVEREIGN, practitioners())
    for facility in FACILITIES:
        here = [role_resource(role) for role in roles() if role.facility is facility]
        yield _shipment(f"roles at {facility.name}", facility.id, here)
    for place, people in offices():
        yield _shipment(f"offices of {place}", place, people)


def patients(scale: int = 1) -> Iterator[Shipment]:
    """Yield one transaction for each patient, or household of patients; they are independent of each other."""
    present = doctors()
    later = {number for household in HOUSEHOLDS for number in household[1:]}
    starts = {household[0]: household for household in HOUSEHOLDS}
    for number in range(1, PATIENTS * scale + 1):
        if number not in later:
            people = [person(member) for member in starts.get(number, (number,))]
            title = f"patient {number}" if len(people) == 1 else f"household of patient {number}"
            yield _shipment(title, people[0].facility.id, _household(people, present[people[0].facility.id]))


def size(scale: int = 1) -> int:
    """Return how many shipments there are."""
    together = sum(len(household) - 1 for household in HOUSEHOLDS)
    return 2 + 2 * len(FACILITIES) + len(list(offices())) + PATIENTS * scale - together


def _household(people: list[Person], present: tuple[str, ...]) -> Iterator[Resource]:
    for member in people:
        usual = Chance(f"doctor/{member.number}").one(present)
        yield from registration.resources(member, usual)
        yield from course.resources(member, tuple(islice(_rotated(present, usual), 2)))
        yield from planted.resources(member, usual)
    for member in people:
        wards = [other for other in people if other.guardian and other.guardian[0] == member.number]
        if wards:
            yield registration.joined(member, wards)


def _rotated(present: tuple[str, ...], first: str) -> Iterator[str]:
    """Yield the doctors from one of them onwards, round and round."""
    start = present.index(first)
    return (present[(start + step) % len(present)] for step in count())


def _shipment(title: str, facility: str, resources: Iterable[Resource]) -> Shipment:
    entries = []
    marker = ""
    for resource in resources:
        name = f"{resource['resourceType']}/{resource['id']}"
        marker = marker or name
        entries.append({"resource": resource, "request": {"method": "PUT", "url": name}})
    bundle = {"resourceType": "Bundle", "type": "transaction", "entry": entries}
    return Shipment(title, facility, marker, bundle)
