"""What somebody can be told to do at a facility: the roles that the server knows, as `PractitionerRole.code`."""

from collections.abc import Mapping
from typing import Any

from fhir_server.access.privileges import HL7_ROLE, OWN_ROLE, ROLES

ADMINISTRATOR = "administrator"
HL7_NAMES = {"doctor": "Doctor", "nurse": "Nurse", "pharmacist": "Pharmacist", "ict": "ICT professional"}


def concept(code: str) -> dict[str, Any]:
    """Return the CodeableConcept of a role."""
    if code in HL7_NAMES:
        return {"coding": [{"system": HL7_ROLE, "code": code, "display": HL7_NAMES[code]}]}
    return {"coding": [{"system": OWN_ROLE, "code": code, "display": ROLES[code].title}]}


POSTS: Mapping[str, dict[str, Any]] = {code: concept(code) for code in ROLES}
"""Every role by its code, as a CodeableConcept."""
