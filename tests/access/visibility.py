"""Who may see what, told a second time: plainly, over JSON, sharing nothing with the server but the text of docs/access.md."""

from dataclasses import dataclass
from datetime import UTC, datetime
from random import Random
from typing import Any

from tests.search.oracle import Resource, selects

ABOUT = {
    "patient": ("AllergyIntolerance", "Claim", "Device", "ExplanationOfBenefit", "Immunization", "RelatedPerson", "SupplyDelivery"),
    "subject": ("Account", "CarePlan", "CareTeam", "Condition", "DiagnosticReport", "DocumentReference", "Encounter", "ImagingStudy",
                "List", "MedicationAdministration", "MedicationRequest", "Observation", "Procedure", "QuestionnaireResponse"),
    "beneficiary": ("Coverage",),
    "for": ("Task",),
    "target": ("Provenance",),
}  # fmt: skip
ELEMENT = {name: element for element, names in ABOUT.items() for name in names}
DIRECTORY = ("Organization", "Practitioner", "PractitionerRole", "Location")
READ_ONLY = ("Medication",)

CRITERIA = {
    "Observation": (("category", "http://terminology.hl7.org/CodeSystem/observation-category|laboratory"),
                    ("category", "http://terminology.hl7.org/CodeSystem/observation-category|vital-signs"),
                    ("status", "final"), ("date", "ge2015"), ("code", "http://loinc.org|8867-4")),
    "Condition": (("clinical-status", "active"), ("onset-date", "lt2015")),
    "Encounter": (("class", "AMB"), ("status", "finished")),
    "Patient": (("gender", "female"),),
    "Procedure": (("date", "ge2012"),),
}  # fmt: skip


@dataclass(frozen=True)
class Scope:
    """A scope as it is meant."""

    context: str
    kind: str
    letters: str
    criteria: tuple[tuple[str, str], ...] = ()

    @property
    def text(self) -> str:
        query = "&".join("=".join(pair) for pair in self.criteria)
        return f"{self.context}/{self.kind}.{self.letters}" + (f"?{query}" if query else "")


@dataclass(frozen=True)
class Token:
    """A token as it is meant: its scopes, whose launch it is, and whose records the person has."""

    scopes: tuple[Scope, ...]
    audience: str
    launched: str = ""
    own: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        return " ".join(scope.text for scope in self.scopes)

    def sees(self, resource: Resource, letters: str) -> bool:
        """Return whether one of the letters is given for a resource."""
        kind = resource["resourceType"]
        return any(
            scope.kind in {"*", kind}
            and any(self._reaches(scope, resource, letter) for letter in letters if letter in scope.letters)
            and all(selects(resource, name, text, datetime.now(UTC)) for name, text in scope.criteria)
            for scope in self.scopes
        )

    def _reaches(self, scope: Scope, resource: Resource, letter: str) -> bool:
        if scope.context == "system":
            return self.audience == "system"
        if scope.context == "user" and self.audience == "staff":
            return True
        patients = (self.launched,) if scope.context == "patient" else self.own
        return any(patients) and _is_of(resource, patients, letter)


def _is_of(resource: Resource, patients: tuple[str, ...], letter: str) -> bool:
    kind = resource["resourceType"]
    if kind == "Patient":
        return resource["id"] in patients
    if kind in DIRECTORY:
        return True
    if kind in READ_ONLY:
        return letter == "r"
    value: Any = resource.get(ELEMENT.get(kind, ""), [])
    references = [one.get("reference") for one in (value if isinstance(value, list) else [value])]
    return any(f"Patient/{patient}" in references for patient in patients)


def token(chance: Random, patients: list[str], kinds: list[str]) -> Token:
    """Return a token."""
    audience = chance.choice(["patient", "patient", "patient", "staff", "system"])
    contexts = {"patient": ["patient", "user"], "staff": ["patient", "user"], "system": ["system"]}[audience]
    launched = chance.choice(patients) if audience != "system" else ""
    own = (launched, *chance.sample(patients, chance.choice([0, 1]))) if audience == "patient" else ()
    scopes = []
    for _ in range(chance.choice([1, 2, 3, 5])):
        kind = chance.choice(["*", *kinds, *CRITERIA, *CRITERIA])
        given = chance.choice(["r", "s", "rs", "rs", "cruds", "cud"])
        known = CRITERIA.get(kind, ())
        some = chance.sample(known, min(len(known), chance.choice([0, 1, 1, 2])))
        scopes.append(Scope(chance.choice(contexts), kind, given, tuple(sorted(some))))
    return Token(tuple(scopes), audience, launched, tuple(dict.fromkeys(own)))
