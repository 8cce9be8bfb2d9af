"""The FHIR data types that the demo writes, as plain JSON values (R4 2.24)."""

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

Resource = dict[str, Any]

LOINC = "http://loinc.org"
SNOMED = "http://snomed.info/sct"
UCUM = "http://unitsofmeasure.org"
ATC = "http://www.whocc.no/atc"
CVX = "http://hl7.org/fhir/sid/cvx"
HL7 = "http://terminology.hl7.org/CodeSystem"
OWN = "https://aquifer.example/fhir"


def claim(profile: str) -> Resource:
    """Return the meta of a resource that conforms to one of our own profiles (docs/definitions.md)."""
    return {"profile": [f"{OWN}/StructureDefinition/aquifer-{profile}"]}


def coding(system: str, code: str, display: str = "") -> dict[str, str]:
    """Return a Coding."""
    return {"system": system, "code": code, **({"display": display} if display else {})}


def concept(system: str, code: str, display: str = "", text: str = "") -> Resource:
    """Return a CodeableConcept of one coding."""
    return {"coding": [coding(system, code, display)], **({"text": text} if text else {})}


def reference(target: str, display: str = "") -> dict[str, str]:
    """Return a Reference to `Type/id`."""
    return {"reference": target, **({"display": display} if display else {})}


def identifier(system: str, value: str, code: str = "", use: str = "official") -> Resource:
    """Return an Identifier; `code` is its kind of table v2-0203, such as MR."""
    kind = {"type": concept(f"{HL7}/v2-0203", code)} if code else {}
    return {"use": use, **kind, "system": system, "value": value}


def quantity(value: Decimal, unit: str, code: str) -> Resource:
    """Return a Quantity in a UCUM unit."""
    return {"value": value, "unit": unit, "system": UCUM, "code": code}


def moment(when: datetime) -> str:
    """Return a dateTime with seconds and the offset of its time zone."""
    return when.isoformat(timespec="seconds")


def narrative(text: str) -> dict[str, str]:
    """Return a generated narrative of one paragraph; the text is escaped."""
    safe = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return {"status": "generated", "div": f'<div xmlns="http://www.w3.org/1999/xhtml"><p>{safe}</p></div>'}


def compact(resource: Mapping[str, Any]) -> Resource:
    """Return the resource without members that are `None`, empty text or an empty list."""
    return {name: value for name, value in resource.items() if value not in (None, "", [], {})}
