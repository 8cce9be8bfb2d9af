"""A facility when it is founded: an Organization of the level `facility`, and the Location of its site (IHE mCSD)."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

HL7 = "http://terminology.hl7.org/CodeSystem"
LEVELS = "https://aquifer.example/fhir/CodeSystem/org-level"
TIME_ZONE = "http://hl7.org/fhir/StructureDefinition/timezone"

Resource = dict[str, Any]

KINDS: Mapping[str, tuple[str, str]] = {
    "clinic": ("PC", "Primary care clinic"),
    "practice": ("PROFF", "Provider's Office"),
    "outpatient": ("OF", "Outpatient facility"),
    "hospital": ("HOSP", "Hospital"),
    "pharmacy": ("PHARM", "Pharmacy"),
    "laboratory": ("MBL", "medical laboratory"),
    "diagnostics": ("DX", "Diagnostics or therapeutics unit"),
    "nursing-home": ("NCCF", "Nursing or custodial care facility"),
}
"""Kinds of facilities: our word to code and display of v3 RoleCode."""


@dataclass(frozen=True, slots=True)
class Establishment:
    """A facility to found.

    Attributes:
        id: Logical id of its Organization; its site is `<id>-site`.
        name: Its name.
        kind: A key of `KINDS`.
        address: A FHIR Address, empty for none.
        phone: Telephone number, empty for none.
        time_zone: IANA name of the zone that it is in, empty where that is not said.
        parent: Id of the Organization that it is a part of, empty for none.
    """

    id: str
    name: str
    kind: str
    address: Resource = field(default_factory=dict)
    phone: str = ""
    time_zone: str = ""
    parent: str = ""

    @property
    def site(self) -> str:
        """Logical id of the Location of the site."""
        return f"{self.id}-site"[-64:].lstrip("-.")

    def resources(self) -> tuple[Resource, Resource]:
        """Return Organization and Location; the second refers to the first."""
        return self._organization(), self._site()

    def _organization(self) -> Resource:
        return _told(
            resourceType="Organization",
            id=self.id,
            active=True,
            type=[
                {"coding": [{"system": LEVELS, "code": "facility", "display": "Facility"}]},
                {"coding": [{"system": f"{HL7}/organization-type", "code": "prov", "display": "Healthcare Provider"}]},
            ],
            name=self.name,
            telecom=self._telecom(),
            address=[self.address] if self.address else [],
            partOf={"reference": f"Organization/{self.parent}"} if self.parent else {},
        )

    def _site(self) -> Resource:
        code, display = KINDS[self.kind]
        physical = {"system": f"{HL7}/location-physical-type", "code": "si", "display": "Site"}
        return _told(
            resourceType="Location",
            id=self.site,
            extension=[{"url": TIME_ZONE, "valueCode": self.time_zone}] if self.time_zone else [],
            status="active",
            name=self.name,
            mode="instance",
            type=[{"coding": [{"system": f"{HL7}/v3-RoleCode", "code": code, "display": display}]}],
            telecom=self._telecom(),
            address=self.address,
            physicalType={"coding": [physical]},
            managingOrganization={"reference": f"Organization/{self.id}"},
        )

    def _telecom(self) -> list[Resource]:
        return [{"system": "phone", "value": self.phone, "use": "work"}] if self.phone else []


def _told(**members: Any) -> Resource:
    """Return the members that say something."""
    return {name: value for name, value in members.items() if value not in ("", [], {})}
