"""Structure: arrays, objects, siblings, choices and bindings, where the wording is not the point."""

from typing import Any

import pytest

from profiles.definitions.registry import Definitions
from profiles.validate.validator import Validator

EXTENDED = {"extension": [{"url": "urn:x", "valueString": "x"}]}
TERMINOLOGY = "http://terminology.hl7.org/CodeSystem"


def ids(validator: Validator, resource: dict[str, Any], resource_type: str | None = None) -> list[str]:
    return [issue.message_id for issue in validator.check(resource, resource_type) if issue.fails]


def name(**members: Any) -> dict[str, Any]:
    return {"resourceType": "Patient", "name": [members]}


def test_a_resource_of_each_type_is_checked(validator: Validator, definitions: Definitions) -> None:
    assert len(definitions.resource_types) == 146
    for resource_type in sorted(definitions.resource_types):
        found = ids(validator, {"resourceType": resource_type, "bogus": 1}, resource_type)
        assert "unknown-property" in found


def test_a_resource_may_be_almost_empty(validator: Validator) -> None:
    assert ids(validator, {"resourceType": "Patient"}) == []
    assert ids(validator, {"resourceType": "Patient", "id": "a"}) == []


@pytest.mark.parametrize(
    "members",
    [
        {"family": "x", "_family": EXTENDED},
        {"family": "x", "_family": {"id": "a"}},
        {"_family": EXTENDED},
        {"given": ["a", None], "_given": [None, EXTENDED]},
        {"given": ["a", None], "_given": [{"id": "a"}, EXTENDED]},
        {"_given": [EXTENDED, EXTENDED]},
        {"id": "any text as an id", "family": "x"},
    ],
)
def test_a_primitive_and_its_sibling_fit_together(validator: Validator, members: dict[str, Any]) -> None:
    assert ids(validator, name(**members)) == []


@pytest.mark.parametrize(
    ("members", "message_ids"),
    [
        ({"_family": {"id": "a"}}, ["content-missing"]),
        ({"_family": {}}, ["object-empty"]),
        ({"_family": "x"}, ["object-expected"]),
        ({"_family": [EXTENDED]}, ["object-expected"]),
        ({"family": "x", "_family": None}, ["object-expected"]),
        ({"family": None, "_family": EXTENDED}, ["null"]),
        ({"family": "x", "_family": {"value": "x"}}, ["unknown-property"]),
        ({"family": "x", "_family": {"extension": []}}, ["array-empty"]),
        ({"_given": []}, ["array-empty"]),
        ({"_given": EXTENDED}, ["array-expected"]),
        ({"_given": [None, EXTENDED]}, ["null-in-array"]),
        ({"given": ["a"], "_given": [None]}, ["array-empty"]),
        ({"given": ["a", None], "_given": [EXTENDED, None]}, ["null-in-array"]),
        ({"given": [None], "_given": [{"id": "a"}]}, ["content-missing"]),
        ({"given": ["a"], "_given": [None, EXTENDED]}, ["sibling-length"]),
        ({"given": ["a", "b"], "_given": [EXTENDED]}, ["sibling-length"]),
        ({"given": "a", "_given": [EXTENDED]}, ["array-expected", "sibling-length"]),
        ({"given": [["a"]]}, ["array-not-expected"]),
        ({"_period": EXTENDED, "family": "x"}, ["unknown-property"]),
        ({"_id": EXTENDED, "family": "x"}, ["unknown-property"]),
        ({"resourceType": "HumanName", "family": "x"}, ["unknown-property"]),
        ({"fhir_comments": ["x"], "family": "x"}, ["unknown-property"]),
        ({"period": [[]], "family": "x"}, ["array-not-expected"]),
    ],
)
def test_a_primitive_and_its_sibling_that_do_not_fit_are_refused(
    validator: Validator, members: dict[str, Any], message_ids: list[str]
) -> None:
    assert ids(validator, name(**members)) == message_ids


def test_a_required_element_may_have_only_extensions(validator: Validator) -> None:
    observation = {"resourceType": "Observation", "_status": EXTENDED, "code": {"text": "x"}}
    assert ids(validator, observation) == []


@pytest.mark.parametrize(
    ("members", "message_ids"),
    [
        ({"multipleBirthBoolean": True}, []),
        ({"_multipleBirthBoolean": EXTENDED}, []),
        ({"multipleBirthBoolean": True, "_multipleBirthBoolean": EXTENDED}, []),
        ({"multipleBirthBoolean": True, "multipleBirthInteger": 2}, ["choice"]),
        ({"multipleBirthBoolean": True, "_multipleBirthInteger": EXTENDED}, ["choice"]),
        ({"multipleBirthString": "2"}, ["unknown-property"]),
        ({"multipleBirth": 2}, ["unknown-property"]),
    ],
)
def test_a_choice_has_one_type(validator: Validator, members: dict[str, Any], message_ids: list[str]) -> None:
    assert ids(validator, {"resourceType": "Patient", **members}) == message_ids


def test_a_required_choice_must_be_there(validator: Validator) -> None:
    request = {"resourceType": "MedicationRequest", "status": "active", "intent": "order", "subject": {"display": "x"}}
    assert ids(validator, request) == ["minimum"]
    assert ids(validator, {**request, "medicationCodeableConcept": {"text": "x"}}) == []
    assert ids(validator, {**request, "medicationReference": {"display": "x"}, "medicationCodeableConcept": {"text": "x"}}) == ["choice"]  # fmt: skip


@pytest.mark.parametrize(
    ("concept", "message_ids"),
    [
        ({"coding": [{"system": f"{TERMINOLOGY}/condition-clinical", "code": "active"}]}, []),
        ({"coding": [{"system": "urn:x", "code": "y"}, {"system": f"{TERMINOLOGY}/condition-clinical", "code": "active"}]}, []),
        ({"coding": [{"code": "active"}]}, ["binding-codings"]),
        ({"coding": [{"system": f"{TERMINOLOGY}/condition-clinical", "code": "Active"}]}, ["binding-codings"]),
        ({"coding": [{"display": "active"}]}, ["binding-missing"]),
        ({"text": "active"}, ["binding-missing"]),
        ({"coding": "x"}, ["array-expected", "binding-missing"]),
        ({"coding": [5]}, ["object-expected", "binding-missing"]),
        ({"coding": [{"system": 5, "code": []}]}, ["primitive-kind", "array-not-expected", "binding-missing"]),
    ],
)  # fmt: skip
def test_a_required_concept_has_a_coding_of_the_set(
    validator: Validator, concept: dict[str, Any], message_ids: list[str]
) -> None:
    condition = {"resourceType": "Condition", "subject": {"display": "x"}, "clinicalStatus": concept}
    assert ids(validator, condition) == message_ids


def test_a_set_that_cannot_be_listed_is_not_checked(validator: Validator) -> None:
    attachment = {"contentType": "application/x-anything", "language": "x-klingon", "data": "AAAA"}
    assert ids(validator, {"resourceType": "Patient", "photo": [attachment], "language": "hi-IN"}) == []


def test_the_type_that_was_asked_for_must_be_the_type_sent(validator: Validator) -> None:
    assert ids(validator, {"resourceType": "Patient"}, "Patient") == []
    assert ids(validator, {"resourceType": "Patient"}, "Observation") == ["type-mismatch"]
    assert ids(validator, {"resourceType": "Patient", "active": 1}, "Observation") == [
        "type-mismatch",
        "primitive-kind",
    ]


def test_what_is_nested_beyond_measure_is_one_finding(validator: Validator) -> None:
    extension: dict[str, Any] = {"url": "x", "valueString": "x"}
    for _ in range(5_000):
        extension = {"url": "x", "extension": [extension]}
    assert ids(validator, {"resourceType": "Patient", "extension": [extension]}) == ["too-deep"]


def test_a_check_leaves_the_resource_as_it_is(validator: Validator, examples: dict[str, dict[str, Any]]) -> None:
    for example in list(examples.values())[:50]:
        before = repr(example)
        validator.check(example)
        assert repr(example) == before
