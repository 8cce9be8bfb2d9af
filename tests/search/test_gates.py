"""Which statuses, intents and kinds keep a resource from patients (product.md 3, "Patient gates by type")."""

from typing import Any

import pytest

from fhir_server.search.gates import gate

ANN, BO, DOC = "Patient/ann", "Patient/bo", "Practitioner/doc"
OWN = "https://aquifer.example/fhir/CodeSystem"


def to(*references: str) -> list[dict[str, str]]:
    return [{"reference": one} for one in references]


def concept(system: str, code: str) -> dict[str, Any]:
    return {"coding": [{"system": system, "code": code}]}


OPEN: list[tuple[str, dict[str, Any]]] = [
    *(("Observation", {"status": code}) for code in ("final", "amended", "corrected")),
    *(("DiagnosticReport", {"status": code}) for code in ("final", "amended", "corrected", "appended")),
    ("DocumentReference", {"status": "current", "docStatus": "final"}),
    ("DocumentReference", {"status": "current", "docStatus": "amended"}),
    ("DocumentReference", {"status": "current"}),
    ("Composition", {"status": "final"}),
    ("MedicationRequest", {"status": "active", "intent": "order"}),
    ("MedicationRequest", {"status": "cancelled", "intent": "reflex-order"}),
    ("ServiceRequest", {"status": "active", "intent": "plan"}),
    ("CarePlan", {"status": "active", "intent": "plan"}),
    ("Goal", {"lifecycleStatus": "accepted"}),
    ("Condition", {"verificationStatus": concept("x", "confirmed")}),
    ("Condition", {}),
    *(("Encounter", {"status": code}) for code in ("planned", "arrived", "finished", "cancelled")),
    ("Invoice", {"status": "issued"}),
    ("ChargeItem", {"status": "billed"}),
    ("Claim", {"status": "active"}),
    ("Communication", {"status": "completed", "sender": to(DOC)[0], "recipient": to(DOC, ANN)}),
    ("List", {"status": "current", "code": concept(OWN + "/other", "internal")}),
    ("Task", {"for": to(ANN)[0], "owner": to(ANN)[0]}),
    ("Task", {"for": to(ANN)[0], "code": concept(f"{OWN}/request-kind", "refill")}),
    ("Task", {"for": to(ANN)[0], "requester": to("RelatedPerson/mother")[0]}),
    ("Appointment", {"status": "cancelled"}),
    ("Patient", {"active": False}),
]

CLOSED: list[tuple[str, dict[str, Any], str]] = [
    ("Observation", {"status": "preliminary"}, "preliminary"),
    ("Observation", {"status": "registered"}, "draft"),
    ("Observation", {"status": "unknown"}, "draft"),
    ("Observation", {"status": "cancelled"}, "cancelled"),
    ("Observation", {"status": "entered-in-error"}, "error"),
    ("DiagnosticReport", {"status": "partial"}, "preliminary"),
    ("DocumentReference", {"status": "superseded"}, "superseded"),
    ("DocumentReference", {"status": "current", "docStatus": "preliminary"}, "preliminary"),
    ("DocumentReference", {"status": "current", "docStatus": "entered-in-error"}, "error"),
    ("Composition", {"status": "preliminary"}, "preliminary"),
    ("MedicationRequest", {"status": "draft", "intent": "order"}, "draft"),
    ("MedicationRequest", {"status": "active", "intent": "plan"}, "proposal"),
    ("MedicationRequest", {"status": "active", "intent": "proposal"}, "proposal"),
    ("ServiceRequest", {"status": "draft", "intent": "order"}, "draft"),
    ("ServiceRequest", {"status": "active", "intent": "proposal"}, "proposal"),
    ("CarePlan", {"status": "draft", "intent": "plan"}, "draft"),
    ("Goal", {"lifecycleStatus": "proposed"}, "draft"),
    ("Condition", {"verificationStatus": concept("x", "provisional")}, "provisional"),
    ("Condition", {"verificationStatus": concept("x", "differential")}, "provisional"),
    ("Condition", {"verificationStatus": concept("x", "entered-in-error")}, "error"),
    ("AllergyIntolerance", {"verificationStatus": concept("x", "entered-in-error")}, "error"),
    ("Encounter", {"status": "unknown"}, "draft"),
    ("Invoice", {"status": "draft"}, "draft"),
    ("ChargeItem", {"status": "billable"}, "unbilled"),
    ("ExplanationOfBenefit", {"status": "draft"}, "draft"),
    ("ClaimResponse", {"status": "cancelled"}, "cancelled"),
    ("Communication", {"status": "completed", "sender": to(DOC)[0], "recipient": to("Practitioner/b")}, "internal"),
    ("Communication", {"status": "completed", "recipient": to(ANN),
                       "category": [concept(f"{OWN}/communication-category", "internal")]}, "internal"),
    ("Communication", {"status": "preparation", "sender": to(DOC)[0], "recipient": to(ANN)}, "draft"),
    ("List", {"status": "current", "code": concept(f"{OWN}/list-kind", "internal")}, "internal"),
    ("Task", {"for": to(ANN)[0], "requester": to(DOC)[0], "code": concept("urn:other", "refill")}, "internal"),
    *((kind, {"status": "final"}, "internal") for kind in ("ClinicalImpression", "Flag", "GuidanceResponse")),
    ("Immunization", {"status": "entered-in-error"}, "error"),
    ("Appointment", {"status": "entered-in-error"}, "error"),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "elements"), OPEN)
def test_what_is_settled_is_open_to_the_patient(kind: str, elements: dict[str, Any]) -> None:
    assert gate({"resourceType": kind, "subject": to(ANN)[0], **elements}) == ""


@pytest.mark.parametrize(("kind", "elements", "word"), CLOSED)
def test_what_is_not_settled_is_kept_from_the_patient(kind: str, elements: dict[str, Any], word: str) -> None:
    assert gate({"resourceType": kind, "subject": to(ANN)[0], **elements}) == word


@pytest.mark.parametrize(
    ("kind", "element"),
    [("Observation", "performer"), ("DocumentReference", "author"), ("Communication", "sender"), ("ServiceRequest", "requester")],
)  # fmt: skip
def test_patients_see_what_they_have_said_themselves_whatever_its_state(kind: str, element: str) -> None:
    status = {"Observation": "preliminary", "Communication": "preparation", "ServiceRequest": "draft"}
    base = {
        "resourceType": kind,
        "status": status.get(kind, "current"),
        "docStatus": "preliminary",
        "subject": to(ANN)[0],
    }
    many = element in {"performer", "author"}

    def said_by(*references: str) -> str:
        return gate({**base, element: to(*references) if many else to(*references)[0]})

    assert said_by(ANN) == ""
    assert said_by("RelatedPerson/mother") == ""
    assert said_by(BO) != "", "another patient's word is not their own"
    assert said_by(DOC) != ""
    if many:
        assert said_by(ANN, DOC) != "", "nor is what a colleague has said with them"


@pytest.mark.parametrize(
    "system", ["http://terminology.hl7.org/CodeSystem/v3-ActCode", "http://hl7.org/fhir/v3/ActCode", ""]
)
def test_the_label_holds_back_whatever_the_status_and_the_author(system: str) -> None:
    label = {"code": "NOPAT", **({"system": system} if system else {})}
    told = {"resourceType": "Observation", "status": "final", "subject": to(ANN)[0], "performer": to(ANN)}
    assert gate({**told, "meta": {"security": [label]}}) == "held"
    assert gate({**told, "meta": {"security": [{**label, "system": "urn:other"}]}}) == ""
