"""The country's organizations and places: sovereign, regions, networks, facilities, wards, rooms and beds.

`Organization.partOf` is the administrative parent; membership of a network is an OrganizationAffiliation, because it
changes more often and has dates (IHE mCSD).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta, timezone
from decimal import Decimal

from fhir_server.demo.datatypes import HL7, OWN, Resource, claim, compact, concept, identifier, narrative, reference

SOVEREIGN = "meridia"
LEVELS = f"{OWN}/CodeSystem/org-level"


@dataclass(frozen=True, slots=True)
class Unit:
    """A region or a network: its id, name, and the id of its administrative parent."""

    id: str
    name: str
    parent: str


@dataclass(frozen=True, slots=True)
class Facility:
    """A place that cares for patients and keeps their records.

    Attributes:
        id: Id of its Organization; its site Location is `<id>-site`.
        name: Its name.
        region: Id of the region it belongs to.
        network: Id of the network it is a member of, empty for none.
        kind: Code of v3 ServiceDeliveryLocationRoleType and its display.
        town: Where it stands.
        postal: Postal code.
        position: Latitude and longitude as written.
        wards: (ward name, rooms) pairs; every room has two beds.
        weight: How many patients it has, relative to the others.
    """

    id: str
    name: str
    region: str
    network: str
    kind: tuple[str, str]
    town: str
    postal: str
    position: tuple[str, str]
    wards: tuple[tuple[str, int], ...]
    weight: int

    @property
    def beds(self) -> tuple[str, ...]:
        """Ids of the Locations of its beds."""
        rooms = (
            f"{self.id}-w{ward}-r{room}" for ward, row in enumerate(self.wards, 1) for room in range(1, row[1] + 1)
        )
        return tuple(f"{room}-{bed}" for room in rooms for bed in ("a", "b"))


REGIONS = (Unit("northreach", "Northreach Region", SOVEREIGN), Unit("southvale", "Southvale Region", SOVEREIGN))
NETWORKS = (
    Unit("coastal", "Coastal Care Network", "northreach"),
    Unit("highland", "Highland Health Network", "northreach"),
    Unit("vale", "Vale Community Network", "southvale"),
)
SHARING = f"{OWN}/StructureDefinition/sharing-agreement"
AGREEMENTS = {
    "port-meridia": ("network", "aggregate", True),
    "seaview": ("network", "aggregate", True),
    "saltmarsh": ("relationship", "aggregate", True),
    "cairn": ("relationship", "identified", True),
    "high-glen": ("relationship", "aggregate", True),
    "valebridge": ("none", "aggregate", True),
    "orchard": ("none", "none", False),
}
"""What each member of a network agrees to: who treats its patients, what is counted of it, whether emergencies open it."""

ZONES = {"northreach": timezone(timedelta(hours=1)), "southvale": timezone(timedelta(hours=2))}

_HOSPITAL = ("HOSP", "Hospital")
_CLINIC = ("PC", "Primary care clinic")
_OUTPATIENT = ("OF", "Outpatient facility")

FACILITIES = (
    Facility("port-meridia", "Port Meridia General Hospital", "northreach", "coastal", _HOSPITAL, "Port Meridia", "10110",
             ("57.1497", "-2.0943"), (("Medicine", 5), ("Surgery", 5)), 26),
    Facility("seaview", "Seaview Family Practice", "northreach", "coastal", _CLINIC, "Port Meridia", "10130",
             ("57.1650", "-2.1010"), (), 12),
    Facility("saltmarsh", "Saltmarsh Health Centre", "northreach", "coastal", _CLINIC, "Saltmarsh", "10400",
             ("57.2802", "-2.0200"), (), 9),
    Facility("cairn", "Cairn Hospital", "northreach", "highland", _HOSPITAL, "Cairn", "12000",
             ("57.4778", "-4.2247"), (("Medicine", 3), ("Children", 3)), 15),
    Facility("high-glen", "High Glen Surgery", "northreach", "highland", _CLINIC, "High Glen", "12250",
             ("57.3229", "-4.4244"), (), 7),
    Facility("valebridge", "Valebridge Hospital", "southvale", "vale", _HOSPITAL, "Valebridge", "20100",
             ("55.9533", "-3.1883"), (("General", 4),), 14),
    Facility("orchard", "Orchard Outpatient Centre", "southvale", "vale", _OUTPATIENT, "Valebridge", "20140",
             ("55.9400", "-3.2000"), (), 10),
    Facility("solo", "Dr Marsh, General Practice", "southvale", "", _CLINIC, "Low Ford", "20900",
             ("55.7000", "-3.4000"), (), 7),
)  # fmt: skip


def organizations() -> Iterator[Resource]:
    """Yield every Organization, parents before children, then the memberships of the networks."""
    yield _organization(SOVEREIGN, "Republic of Meridia, Ministry of Health", "sovereign", "govt", "")
    for unit in REGIONS:
        yield _organization(unit.id, unit.name, "region", "govt", unit.parent)
    for unit in NETWORKS:
        yield _organization(unit.id, unit.name, "network", "prov", unit.parent)
    for facility in FACILITIES:
        yield _organization(facility.id, facility.name, "facility", "prov", facility.region)
    for facility in FACILITIES:
        if facility.network:
            yield _membership(facility)


def locations(facility: Facility) -> Iterator[Resource]:
    """Yield the site of a facility and its wards, rooms and beds, each after the place that it is part of."""
    yield compact(
        {
            **_place(f"{facility.id}-site", facility, facility.name, ("si", "Site"), ""),
            "meta": claim("facility-site"),
            "type": [concept(f"{HL7}/v3-RoleCode", *facility.kind)],
            "telecom": [{"system": "phone", "value": f"+999 {facility.postal} 100", "use": "work"}],
            "address": address("1 Hospital Drive", facility, "work"),
            "position": {"latitude": Decimal(facility.position[0]), "longitude": Decimal(facility.position[1])},
        }
    )
    for number, (ward, rooms) in enumerate(facility.wards, 1):
        place = f"{facility.id}-w{number}"
        yield _place(place, facility, f"{ward} ward", ("wa", "Ward"), f"{facility.id}-site")
        for room in range(1, rooms + 1):
            yield _place(f"{place}-r{room}", facility, f"{ward} ward, room {room}", ("ro", "Room"), place)
            for bed in ("a", "b"):
                name = f"{ward} ward, room {room}, bed {bed.upper()}"
                yield _place(f"{place}-r{room}-{bed}", facility, name, ("bd", "Bed"), f"{place}-r{room}")


def address(line: str, facility: Facility, use: str = "home") -> Resource:
    """Return an Address in the town of the facility."""
    return {
        "use": use,
        "line": [line],
        "city": facility.town,
        "district": next(region.name for region in REGIONS if region.id == facility.region),
        "postalCode": facility.postal,
        "country": "Meridia",
    }


def _organization(organization: str, name: str, level: str, kind: str, parent: str) -> Resource:
    kinds = {"govt": "Government", "prov": "Healthcare Provider"}
    return compact(
        {
            "resourceType": "Organization",
            "id": organization,
            "meta": claim("facility") if level == "facility" else None,
            "text": narrative(f"{name} ({level})"),
            "identifier": [identifier(f"{OWN}/sid/organization", organization.upper())],
            "active": True,
            "type": [
                concept(LEVELS, level, level.capitalize()),
                concept(f"{HL7}/organization-type", kind, kinds[kind]),
            ],
            "name": name,
            "partOf": reference(f"Organization/{parent}") if parent else None,
        }
    )


def _membership(facility: Facility) -> Resource:
    treatment, rollup, emergency = AGREEMENTS[facility.id]
    agreement = [
        {"url": "treatmentAccess", "valueCode": treatment},
        {"url": "rollup", "valueCode": rollup},
        {"url": "directory", "valueBoolean": True},
        {"url": "emergency", "valueBoolean": emergency},
    ]
    return {
        "resourceType": "OrganizationAffiliation",
        "id": f"{facility.network}-{facility.id}",
        "meta": claim("membership"),
        "extension": [{"url": SHARING, "extension": agreement}],
        "active": True,
        "period": {"start": "2024-01-01"},
        "organization": reference(f"Organization/{facility.network}"),
        "participatingOrganization": reference(f"Organization/{facility.id}"),
        "code": [concept("http://hl7.org/fhir/organization-role", "member", "Member")],
    }


def _place(place: str, facility: Facility, name: str, kind: tuple[str, str], parent: str) -> Resource:
    return compact(
        {
            "resourceType": "Location",
            "id": place,
            "status": "active",
            "name": name,
            "mode": "instance",
            "physicalType": concept(f"{HL7}/location-physical-type", *kind),
            "managingOrganization": reference(f"Organization/{facility.id}"),
            "partOf": reference(f"Location/{parent}") if parent else None,
        }
    )
