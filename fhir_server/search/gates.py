"""What a version says of itself that keeps it from patients for now: drafts, proposals, preliminary values, errors, internal notes.

A closed gate is a word, stored as `gt` beside every version, also superseded ones; no `gt` is an open gate. It is derived from
the resource alone. What patients have said themselves stays open to them (docs/live-record.md).
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

Resource = Mapping[str, Any]

BASE = "https://aquifer.example/fhir"
INTERNAL = frozenset(
    {(f"{BASE}/CodeSystem/communication-category", "internal"), (f"{BASE}/CodeSystem/list-kind", "internal")}
)
"""Codings of `Communication.category` and `List.code` that say: between colleagues."""

FOR_PATIENTS = frozenset({f"{BASE}/CodeSystem/patient-task", f"{BASE}/CodeSystem/request-kind"})
"""Systems of the codes of tasks that patients are meant to see."""

REFUSED = {"entered-in-error": "error"}
RESULT = {"registered": "draft", "unknown": "draft", "preliminary": "preliminary", "cancelled": "cancelled", **REFUSED}
REQUEST = {"draft": "draft", **REFUSED}
PROPOSALS = frozenset({"proposal", "plan", "option"})

STATUSES: Mapping[str, tuple[str, Mapping[str, str]]] = {
    "AllergyIntolerance": ("verificationStatus", REFUSED),
    "CarePlan": ("status", {**REQUEST, "unknown": "draft"}),
    "ChargeItem": ("status", {**dict.fromkeys(("planned", "billable", "not-billable", "aborted", "unknown"), "unbilled"), **REFUSED}),
    "Claim": ("status", {"draft": "draft", "cancelled": "cancelled", **REFUSED}),
    "ClaimResponse": ("status", {"draft": "draft", "cancelled": "cancelled", **REFUSED}),
    "Communication": ("status", {"preparation": "draft", **REFUSED}),
    "Composition": ("status", {"preliminary": "preliminary", **REFUSED}),
    "Condition": ("verificationStatus", {"provisional": "provisional", "differential": "provisional", **REFUSED}),
    "DiagnosticReport": ("status", {**RESULT, "partial": "preliminary"}),
    "DocumentReference": ("status", {"superseded": "superseded", **REFUSED}),
    "Encounter": ("status", {"unknown": "draft", **REFUSED}),
    "ExplanationOfBenefit": ("status", {"draft": "draft", "cancelled": "cancelled", **REFUSED}),
    "Goal": ("lifecycleStatus", {"proposed": "draft", **REFUSED}),
    "ImagingStudy": ("status", {"registered": "draft", "unknown": "draft", **REFUSED}),
    "Invoice": ("status", {"draft": "draft", **REFUSED}),
    "MedicationRequest": ("status", {**REQUEST, "unknown": "draft"}),
    "Observation": ("status", RESULT),
    "ServiceRequest": ("status", {**REQUEST, "unknown": "draft"}),
    **dict.fromkeys(
        ("CommunicationRequest", "CoverageEligibilityRequest", "DeviceRequest", "EnrollmentRequest", "ImmunizationRecommendation",
         "NutritionOrder", "RequestGroup", "SupplyRequest", "VisionPrescription"),
        ("status", REQUEST),
    ),
}  # fmt: skip
"""Types whose status closes the gate for more than errors: the element, and its codes with the words for them."""

OTHERS = ("status", REFUSED)

INTENTS: Mapping[str, frozenset[str]] = {
    "MedicationRequest": PROPOSALS,
    **dict.fromkeys(
        ("CarePlan", "DeviceRequest", "NutritionOrder", "RequestGroup", "ServiceRequest"), frozenset({"proposal"})
    ),
}
"""Intents that are no more than an idea of the staff, by type."""

WORKING = frozenset({"ClinicalImpression", "DetectedIssue", "Flag", "GuidanceResponse", "RiskAssessment"})
"""Types in which staff and machines think aloud."""

AUTHORS: Mapping[str, tuple[str, ...]] = {
    "AllergyIntolerance": ("recorder", "asserter"),
    "CarePlan": ("author",),
    "Communication": ("sender",),
    "Composition": ("author",),
    "Condition": ("recorder", "asserter"),
    "DocumentReference": ("author",),
    "Goal": ("expressedBy",),
    "MedicationRequest": ("requester",),
    "MedicationStatement": ("informationSource",),
    "Observation": ("performer",),
    "QuestionnaireResponse": ("author",),
    "ServiceRequest": ("requester",),
    "Task": ("requester",),
}
"""Elements that say who has said it."""

SUBJECTS = ("subject", "patient", "for")


REFRAIN = "http://terminology.hl7.org/CodeSystem/v3-ActCode", "http://hl7.org/fhir/v3/ActCode", ""
HOLD = "NOPAT"
"""The label of what is not to be disclosed to the patient (v3-ActCode, RefrainPolicy), and the spellings of its system."""


def is_held(resource: Resource) -> bool:
    """Return whether a resource has the label that holds it."""
    labels = resource.get("meta", {}).get("security", ())
    return any(one.get("code") == HOLD and one.get("system", "") in REFRAIN for one in labels)


def gate(resource: Resource) -> str:
    """Return the word of the closed gate, empty where it is open.

    Args:
        resource: Structurally valid.
    """
    kind = resource["resourceType"]
    if is_held(resource):
        return "held"
    if is_own(resource):
        return ""
    element, words = STATUSES.get(kind, OTHERS)
    return (
        next((words[code] for code in _codes(resource.get(element)) if code in words), "")
        or ("proposal" if resource.get("intent") in INTENTS.get(kind, ()) else "")
        or ("internal" if kind in WORKING else "")
        or (rule(resource) if (rule := _RULES.get(kind)) else "")
    )


def is_own(resource: Resource) -> bool:
    """Return whether the patient, or who acts for the patient, has said all of it."""
    elements = AUTHORS.get(resource["resourceType"], ())
    authors = [one for element in elements for one in _references(resource.get(element))]
    about = {one for element in SUBJECTS for one in _references(resource.get(element))}
    return bool(authors) and all(one in about or "RelatedPerson/" in one for one in authors)


def _document(resource: Resource) -> str:
    # Without a `docStatus` nothing is said against it.
    return {"preliminary": "preliminary", **REFUSED}.get(resource.get("docStatus", ""), "")


def _communication(resource: Resource) -> str:
    if not INTERNAL.isdisjoint(_codings(resource.get("category"))):
        return "internal"
    parties = {*_references(resource.get("sender")), *_references(resource.get("recipient"))}
    return "" if any(_is_patient(one) for one in parties) else "internal"


def _list(resource: Resource) -> str:
    return "" if INTERNAL.isdisjoint(_codings(resource.get("code"))) else "internal"


def _task(resource: Resource) -> str:
    if any(system in FOR_PATIENTS for system, _ in _codings(resource.get("code"))):
        return ""
    parties = [*_references(resource.get("requester")), *_references(resource.get("owner"))]
    return "" if any(_is_patient(one) for one in parties) else "internal"


_RULES: Mapping[str, Callable[[Resource], str]] = {
    "Communication": _communication,
    "DocumentReference": _document,
    "List": _list,
    "Task": _task,
}


def _is_patient(reference: str) -> bool:
    return "Patient/" in reference or "RelatedPerson/" in reference


def _each(value: Any) -> Iterable[Any]:
    return value if isinstance(value, list) else () if value is None else (value,)


def _references(value: Any) -> Iterator[str]:
    for one in _each(value):
        if isinstance(text := one.get("reference"), str):
            yield text


def _codings(value: Any) -> Iterator[tuple[str, str]]:
    for concept in _each(value):
        for coding in concept.get("coding", ()):
            yield coding.get("system", ""), coding.get("code", "")


def _codes(value: Any) -> Iterator[str]:
    """Yield the codes of a code or of a CodeableConcept."""
    if isinstance(value, str):
        yield value
    elif value is not None:
        yield from (code for _, code in _codings(value))
