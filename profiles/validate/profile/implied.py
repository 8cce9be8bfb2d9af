"""Profiles that a resource must conform to without naming them: R4's own vital signs, and those that a guide has for all.

R4 Observation Vital Signs: whoever uses one of the codes means the profile. ImplementationGuide.global: all resources of a type.
"""

from collections.abc import Mapping
from typing import Any

from profiles.snapshot.source import CORE, Source

Json = dict[str, Any]

LOINC = "http://loinc.org"

VITAL_SIGNS: Mapping[str, str] = {
    "85353-1": "vitalsigns", "9279-1": "resprate", "8867-4": "heartrate", "2708-6": "oxygensat", "59408-5": "oxygensat",
    "8310-5": "bodytemp", "8302-2": "bodyheight", "9843-4": "headcircum", "29463-7": "bodyweight", "39156-5": "bmi",
    "85354-9": "bp", "8480-6": "bp", "8462-4": "bp", "55284-4": "bp",
}  # fmt: skip


def profiles(resource: Json, source: Source) -> list[str]:
    """Return the canonicals of the profiles that a resource is meant to conform to, whatever it says."""
    found = [
        str(row["profile"])
        for guide in source.guides()
        for row in guide.get("global", ())
        if row.get("type") == resource.get("resourceType")
    ]
    code = resource.get("code")
    if resource.get("resourceType") == "Observation" and isinstance(code, dict):
        rows = code.get("coding")
        for row in rows if isinstance(rows, list) else ():
            name = (
                VITAL_SIGNS.get(str(row.get("code"))) if isinstance(row, dict) and row.get("system") == LOINC else None
            )
            if name is not None:
                found.append(CORE + name)
    return list(dict.fromkeys(found))
