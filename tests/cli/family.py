"""A family, a doctor and the doctor's roles."""

from typing import Any

FAMILY: list[dict[str, Any]] = [
    {"resourceType": "Patient", "id": "mia", "name": [{"family": "Lund", "given": ["Mia"]}]},
    {"resourceType": "Patient", "id": "kid1"},
    {"resourceType": "Patient", "id": "kid2"},
    {
        "resourceType": "Patient",
        "id": "old",
        "active": False,
        "link": [{"other": {"reference": "Patient/mia"}, "type": "replaced-by"}],
    },
    {"resourceType": "RelatedPerson", "id": "r1", "patient": {"reference": "Patient/kid1"}},
    {"resourceType": "RelatedPerson", "id": "r2", "patient": {"reference": "Patient/kid2"}},
    {
        "resourceType": "Person",
        "id": "mia-lund",
        "name": [{"text": "Mia Lund"}],
        "link": [{"target": {"reference": name}} for name in ("Patient/mia", "RelatedPerson/r1", "RelatedPerson/r2")],
    },
    {"resourceType": "Practitioner", "id": "doc", "name": [{"family": "Grey", "given": ["Ana"], "prefix": ["Dr"]}]},
    *(
        {
            "resourceType": "PractitionerRole",
            "id": name,
            "active": name != "gone",
            "practitioner": {"reference": "Practitioner/doc"},
        }
        for name in ("day", "gone", "night")
    ),
]
