"""The wording: each message says what was found, what is allowed and what to change, at the right place."""

import string
from decimal import Decimal
from typing import Any

import pytest

from profiles.definitions.registry import Definitions
from profiles.issue import Issue
from profiles.validate.messages import MESSAGES, shown
from profiles.validate.remedies import REMEDIES
from profiles.validate.validator import Validator
from tests.profiles.test_invariant import stated

CLINICAL = "http://terminology.hl7.org/CodeSystem/condition-clinical"
PATIENT = "http://hl7.org/fhir/StructureDefinition/Patient"
STATUS = "http://hl7.org/fhir/ValueSet/observation-status"


def errors(validator: Validator, resource: Any, resource_type: str | None = None) -> list[Issue]:
    return [issue for issue in validator.check(resource, resource_type) if issue.fails]


def patient(**members: Any) -> dict[str, Any]:
    return {"resourceType": "Patient", **members}


def observation(**members: Any) -> dict[str, Any]:
    return {"resourceType": "Observation", "status": "final", "code": {"text": "x"}, **members}


WORDED: list[tuple[dict[str, Any], str, str, str]] = [
    (
        patient(birthdate="2020"),
        "structure",
        "Patient.birthdate",
        (
            "Unrecognized property 'birthdate' (did you mean 'birthDate'?). Patient has no such element: correct its name or "
            "remove it."
        ),
    ),
    (
        patient(name={"family": "x"}),
        "structure",
        "Patient.name",
        "This property must be an Array, not an object: 'name' may repeat. Put its value in [ ].",
    ),
    (
        patient(gender=["male"]),
        "structure",
        "Patient.gender",
        "This property must be a string, not an array: 'gender' does not repeat. Send one value without [ ].",
    ),
    (
        patient(maritalStatus=[{"text": "x"}]),
        "structure",
        "Patient.maritalStatus",
        "This property must be an Object, not an array: 'maritalStatus' does not repeat. Send one value without [ ].",
    ),
    (
        patient(maritalStatus="x"),
        "structure",
        "Patient.maritalStatus",
        "This property must be an Object, not a string: 'maritalStatus' is of type CodeableConcept. Send its members in { }.",
    ),
    (
        patient(name=[]),
        "structure",
        "Patient.name",
        "Array cannot be empty - the property 'name' should not be present if it has no values. Remove it.",
    ),
    (
        patient(name=[{}]),
        "structure",
        "Patient.name[0]",
        "Object must have some content: 'name' is empty. Remove it or fill it.",
    ),
    (
        patient(name=[{"id": "a"}]),
        "structure",
        "Patient.name[0]",
        "Object must have some content besides its id: 'name' has neither a value nor children. Remove it or fill it.",
    ),
    (
        patient(birthDate=None),
        "structure",
        "Patient.birthDate",
        "The property 'birthDate' must not be null. Remove it if it has no value.",
    ),
    (
        patient(name=[{"given": ["a", None]}]),
        "structure",
        "Patient.name[0].given[1]",
        (
            "A null in 'given' stands for a value that only has extensions, and '_given' has none at this position. Remove the "
            "null."
        ),
    ),
    (
        patient(name=[{"given": ["a"], "_given": [{"id": "a"}, None]}]),
        "structure",
        "Patient.name[0].given",
        "'_given' has 2 entries where 'given' has 1. Give both the same length, with null as filler.",
    ),
    (
        patient(active="true"),
        "invalid",
        "Patient.active",
        "Error parsing JSON: the primitive value must be a boolean, not a string. 'active' is of type boolean.",
    ),
    (
        patient(birthDate=5),
        "invalid",
        "Patient.birthDate",
        "Error parsing JSON: the primitive value must be a string, not a number. 'birthDate' is of type date.",
    ),
    (
        patient(birthDate="2021-02-29"),
        "value",
        "Patient.birthDate",
        (
            "Not a valid date ('2021-02-29'): there is no such day. It must be a real calendar date as YYYY, YYYY-MM or "
            "YYYY-MM-DD."
        ),
    ),
    (
        patient(name=[{"family": ""}]),
        "value",
        "Patient.name[0].family",
        "'family' is empty: @value cannot be empty. Remove the property if it has no value.",
    ),
    (
        patient(id="bad_1"),
        "invalid",
        "Patient.id",
        (
            "Invalid Resource id: it has characters that are not allowed ('bad_1'). It must be 1 to 64 letters, digits, hyphens "
            "and dots."
        ),
    ),
    (
        observation(valueQuantity={"value": Decimal("1." + "1" * 34)}),
        "value",
        "Observation.value.ofType(Quantity).value",
        (
            "Not a valid decimal ('1.1111111111111111111111111111111111'): it has 35 digits. It must be a number of at most 34 "
            "significant digits with an exponent from -6176 to 6111."
        ),
    ),
    (
        {"resourceType": "Observation", "code": {"text": "x"}},
        "required",
        "Observation",
        (
            "Observation.status: minimum required = 1, but only found 0 (from "
            "http://hl7.org/fhir/StructureDefinition/Observation). Add 'status'."
        ),
    ),
    (
        {"resourceType": "MedicationRequest", "status": "active", "intent": "order", "subject": {"display": "x"}},
        "required",
        "MedicationRequest",
        (
            "MedicationRequest.medication[x]: minimum required = 1, but only found 0 (from "
            "http://hl7.org/fhir/StructureDefinition/MedicationRequest). Add 'medication[x]'."
        ),
    ),
    (
        patient(deceasedBoolean=True, deceasedDateTime="2020"),
        "structure",
        "Patient.deceased",
        (
            "Patient.deceased[x]: max allowed = 1, but found 2 (deceasedBoolean, deceasedDateTime). The element may have one type "
            "only. Keep one of them."
        ),
    ),
    (
        observation(status="finale"),
        "code-invalid",
        "Observation.status",
        (
            f"The value provided ('finale') was not found in the value set 'ObservationStatus' ({STATUS}), and a code is required "
            "from this value set (did you mean 'final'?)."
        ),
    ),
    (
        patient(gender="m"),
        "code-invalid",
        "Patient.gender",
        (
            "The value provided ('m') was not found in the value set 'AdministrativeGender' "
            "(http://hl7.org/fhir/ValueSet/administrative-gender), and a code is required from this value set (one of female, "
            "male, other, unknown)."
        ),
    ),
    (
        patient(generalPractitioner=[{"reference": "Practitioner"}]),
        "invalid",
        "Patient.generalPractitioner[0].reference",
        (
            "Relative URLs must be of the format [ResourceName]/[id]. Encountered Practitioner. Send that form, an absolute URL, "
            "or '#' with the id of a contained resource."
        ),
    ),
    (
        patient(generalPractitioner=[{"reference": "Patient/1"}]),
        "structure",
        "Patient.generalPractitioner[0]",
        (
            "The type 'Patient' is not a valid Target for this element (must be one of Organization, Practitioner, "
            "PractitionerRole). Refer to one of these."
        ),
    ),
    (
        patient(generalPractitioner=[{"reference": "Practitoner/1"}]),
        "structure",
        "Patient.generalPractitioner[0].reference",
        (
            "Unknown resource type 'Practitoner' in the reference Practitoner/1 (did you mean 'Practitioner'?). Use a resource "
            "type of FHIR R4 (4.0.1)."
        ),
    ),
    (
        patient(contact=[{"gender": "male"}]),
        "invariant",
        "Patient.contact[0]",
        (
            "Constraint failed: pat-1: 'SHALL at least contain a contact's details or a reference to an organization' (defined in "
            f"{PATIENT}). Add name, telecom, address or organization of the contact."
        ),
    ),
    (
        {
            "resourceType": "Condition",
            "subject": {"display": "x"},
            "clinicalStatus": {"coding": [{"system": CLINICAL, "code": "actve"}]},
        },
        "code-invalid",
        "Condition.clinicalStatus",
        (
            "None of the codings provided are in the value set 'ConditionClinicalStatusCodes' "
            "(http://hl7.org/fhir/ValueSet/condition-clinical), and a coding from this value set is required (codes = "
            f"{CLINICAL}#actve) (did you mean 'active'?)."
        ),
    ),
    (
        {
            "resourceType": "Condition",
            "subject": {"display": "x"},
            "clinicalStatus": {"coding": [{"system": "urn:x", "code": "active"}]},
        },
        "code-invalid",
        "Condition.clinicalStatus",
        (
            "None of the codings provided are in the value set 'ConditionClinicalStatusCodes' "
            "(http://hl7.org/fhir/ValueSet/condition-clinical), and a coding from this value set is required (codes = "
            f"urn:x#active) (did you mean 'active' of {CLINICAL}?)."
        ),
    ),
]


@pytest.mark.parametrize(("resource", "code", "expression", "text"), WORDED)
def test_a_finding_says_what_is_wrong_where_and_what_to_do(
    validator: Validator, resource: dict[str, Any], code: str, expression: str, text: str
) -> None:
    (found,) = errors(validator, resource)
    assert (found.code, found.expression, found.text) == (code, expression, text)


def test_an_invariant_is_named_by_its_definition_and_key(validator: Validator) -> None:
    (found,) = errors(validator, patient(contact=[{"gender": "male"}]))
    assert found.message_id == f"{PATIENT}#pat-1"


def test_advice_is_a_warning_and_comes_last(validator: Validator) -> None:
    found = validator.check(patient(birthDate="x"))
    assert [(issue.severity, issue.code) for issue in found] == [("error", "value"), ("warning", "invariant")]
    assert found[1].text == (
        f"Constraint failed: dom-6: 'A resource should have narrative for robust management' (defined in {PATIENT}). "
        "Add 'text' with a narrative."
    )


def test_all_findings_come_in_one_answer_in_document_order(validator: Validator) -> None:
    resource = patient(
        active="x", name=[{"family": 1, "given": [""]}, {"use": "nice"}], birthDate="x", contact=[{"gender": "male"}]
    )
    assert [issue.expression for issue in errors(validator, resource)] == [
        "Patient.active",
        "Patient.name[0].family",
        "Patient.name[0].given[0]",
        "Patient.name[1].use",
        "Patient.birthDate",
        "Patient.contact[0]",
    ]
    assert validator.check(resource) == validator.check(resource)


def test_the_place_of_a_resource_in_a_bundle_names_it(validator: Validator) -> None:
    entries = [{"resource": patient(id="1", gender="x")}, {"resource": patient(gender="x")}]
    found = errors(validator, {"resourceType": "Bundle", "type": "collection", "entry": entries})
    assert [issue.expression for issue in found] == [
        "Bundle.entry[0].resource/*Patient/1*/.gender",
        "Bundle.entry[1].resource/*Patient/null*/.gender",
    ]


def test_the_sibling_of_a_primitive_has_the_place_of_the_primitive(validator: Validator) -> None:
    (found,) = errors(validator, patient(_birthDate={"extension": [{"valueString": "x"}]}))
    assert found.expression == "Patient.birthDate.extension[0]"


@pytest.mark.parametrize(
    ("resource", "resource_type", "text"),
    [
        (
            {"id": "1"},
            None,
            "The property 'resourceType' is missing. Add it, so that the resource can be read.",
        ),
        (
            {"resourcetype": "Patient"},
            None,
            (
                "The property 'resourceType' is missing (did you mean it by 'resourcetype'?). Add it, so that the resource can be "
                "read."
            ),
        ),
        (
            {"resourceType": "Pateint"},
            None,
            "Unknown resource type 'Pateint' (did you mean 'Patient'?). Use one of the resource types of FHIR R4 (4.0.1).",
        ),
        (
            {"resourceType": 5},
            None,
            "Unknown resource type '5'. Use one of the resource types of FHIR R4 (4.0.1).",
        ),
        (
            {"resourceType": "HumanName"},
            None,
            "Unknown resource type 'HumanName'. Use one of the resource types of FHIR R4 (4.0.1).",
        ),
        (
            {"resourceType": "DomainResource"},
            None,
            (
                "'DomainResource' is an abstract type, which no resource can have. Use one of the concrete types of FHIR R4 "
                "(4.0.1)."
            ),
        ),
        (
            {"resourceType": "Patient"},
            "Observation",
            (
                "The resource is of type 'Patient' where 'Observation' is expected. Send that type, or use the address of "
                "'Patient'."
            ),
        ),
        (["x"], None, "A resource must be a JSON Object with a resourceType, not an array."),
        (None, None, "A resource must be a JSON Object with a resourceType, not null."),
    ],
)
def test_a_resource_without_a_usable_type_is_refused(
    validator: Validator, resource: Any, resource_type: str | None, text: str
) -> None:
    assert [issue.text for issue in errors(validator, resource, resource_type)] == [text]


def test_long_values_are_cut(validator: Validator) -> None:
    (found,) = errors(validator, patient(birthDate="x" * 5_000_000))
    assert f"('{'x' * 59}…')" in found.text
    assert len(found.text) < 250
    (unknown,) = errors(validator, patient(**{"y" * 1000: 1}))
    assert len(unknown.text) < 250
    assert len(unknown.expression) < 100


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("a\n b", "a b"),
        (5, "5"),
        (Decimal("1.00"), "1.00"),
        (Decimal("NaN"), "NaN"),
        ([1], "an array"),
        ({}, "an object"),
        (10**100, "a number of more than 60 digits"),
        (None, "null"),
        (True, "true"),
    ],
)
def test_a_value_is_shown_on_one_line(value: object, text: str) -> None:
    assert shown(value) == text


def test_suggestions_stop_before_they_cost_too_much(validator: Validator) -> None:
    found = errors(validator, patient(**{f"birthDat{number}": "x" for number in range(500)}))
    assert len(found) == 500
    assert sum("did you mean" in issue.text for issue in found) == 20


def test_every_message_is_a_sentence_of_a_known_kind() -> None:
    codes = {
        "structure",
        "invalid",
        "required",
        "value",
        "code-invalid",
        "not-found",
        "duplicate",
        "security",
        "invariant",
    }
    for message in MESSAGES.values():
        assert message.severity == "error"
        assert message.code in codes | {"too-long"}
        assert message.text.endswith((".", "{remedy}"))
        assert all(name is None or name.isidentifier() for _, name, _, _ in string.Formatter().parse(message.text))


def test_findings_stop_at_a_thousand(validator: Validator) -> None:
    assert len(errors(validator, patient(**{f"x{number}": 1 for number in range(50_000)}))) == 1000


def test_every_remedy_is_of_an_invariant_of_r4(definitions: Definitions) -> None:
    assert REMEDIES.keys() <= {key for _, key in stated(definitions)}
    assert all(text.endswith(".") for text in REMEDIES.values())
