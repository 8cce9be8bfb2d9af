"""References and contained resources: format, target types, and what `#` means where."""

from typing import Any

import pytest

from profiles.validate.validator import Validator


def ids(validator: Validator, resource: dict[str, Any]) -> list[str]:
    return [issue.message_id for issue in validator.check(resource) if issue.fails]


def organization(**members: Any) -> dict[str, Any]:
    return {"resourceType": "Organization", "name": "x", **members}


def patient(reference: Any = None, **members: Any) -> dict[str, Any]:
    """Return a patient whose managing organization is the reference."""
    return {"resourceType": "Patient", **({"managingOrganization": reference} if reference else {}), **members}


@pytest.mark.parametrize(
    "reference",
    [
        {"reference": "Organization/1"},
        {"reference": "Organization/1/_history/2"},
        {"reference": "http://example.org/fhir/Organization/1"},
        {"reference": "https://example.org/fhir/Organization/1/_history/2"},
        {"reference": "http://example.org/anything?x=y"},
        {"reference": "http://example.org/Nothing/1"},
        {"reference": "urn:uuid:c757873d-ec9a-4326-a141-556f43239520"},
        {"reference": "urn:oid:1.2.3"},
        {"display": "x"},
        {"identifier": {"value": "x"}},
        {"type": "Organization", "identifier": {"value": "x"}},
        {"reference": "Organization/1", "type": "Organization"},
        {"type": "http://hl7.org/fhir/StructureDefinition/Organization", "display": "x"},
        {"_reference": {"extension": [{"url": "urn:x", "valueString": "x"}]}},
    ],
)
def test_a_reference_of_a_known_form_is_accepted(validator: Validator, reference: dict[str, Any]) -> None:
    assert ids(validator, patient(reference)) == []


@pytest.mark.parametrize(
    ("reference", "message_id"),
    [
        ({"reference": "Organization"}, "reference-format"),
        ({"reference": "Organization/"}, "reference-format"),
        ({"reference": "/Organization/1"}, "reference-format"),
        ({"reference": "Organization/1/2"}, "reference-format"),
        ({"reference": "Organization/a_b"}, "reference-format"),
        ({"reference": f"Organization/{'a' * 65}"}, "reference-format"),
        ({"reference": "1"}, "reference-format"),
        ({"reference": "organization/1"}, "reference-type"),
        ({"reference": "HumanName/1"}, "reference-type"),
        ({"reference": "DomainResource/1"}, "reference-type"),
        ({"reference": "Organization?name=x"}, "reference-conditional"),
        ({"reference": "Nothing?name=x"}, "reference-format"),
        ({"reference": "Patient/1"}, "reference-target"),
        ({"reference": "http://example.org/fhir/Patient/1"}, "reference-target"),
        ({"type": "Patient", "display": "x"}, "reference-target"),
        ({"type": "Nothing", "display": "x"}, "reference-type-name"),
        ({"reference": "Organization/1", "type": "Patient"}, "reference-disagrees"),
        ({"reference": "#nothing"}, "reference-contained"),
        ({"reference": "#"}, "reference-target"),
        ({"reference": "a b"}, None),
        ({"reference": 5}, "primitive-kind"),
        ({"reference": ["Organization/1"]}, "array-not-expected"),
    ],
)
def test_any_other_reference_is_refused(
    validator: Validator, reference: dict[str, Any], message_id: str | None
) -> None:
    assert ids(validator, patient(reference)) == [message_id or "reference-format"]


def test_a_reference_to_any_type_may_have_any_type(validator: Validator) -> None:
    basic = {"resourceType": "Basic", "code": {"text": "x"}, "subject": {"reference": "TestScript/1"}}
    assert ids(validator, basic) == []


def test_a_conditional_reference_belongs_in_a_transaction(validator: Validator) -> None:
    entry = {"resource": patient({"reference": "Organization?name=x"}), "request": {"method": "POST", "url": "Patient"}}
    bundle = {"resourceType": "Bundle", "type": "transaction", "entry": [entry]}
    assert ids(validator, bundle) == []
    assert ids(validator, bundle | {"type": "batch"}) == ["reference-conditional"]
    entry["resource"] = patient({"reference": "Patient?name=x"})
    assert ids(validator, bundle) == ["reference-target"]


def test_a_contained_resource_has_an_id_and_is_referred_to(validator: Validator) -> None:
    used = {"reference": "#a"}
    assert ids(validator, patient(used, contained=[organization(id="a")])) == []
    assert ids(validator, patient(contained=[organization(id="a")])) == ["contained-unused"]
    assert ids(validator, patient(contained=[organization()])) == ["contained-id"]
    assert ids(validator, patient(used, contained=[organization(id="a"), organization(id="a")])) == [
        "contained-duplicate"
    ]
    assert ids(validator, patient(used, contained=[{"resourceType": "Location", "id": "a"}])) == ["reference-target"]


def test_the_order_of_contained_and_reference_does_not_matter(validator: Validator) -> None:
    after = {
        "resourceType": "Patient",
        "managingOrganization": {"reference": "#a"},
        "contained": [organization(id="a")],
    }
    before = dict(reversed(after.items()))
    assert ids(validator, after) == ids(validator, before) == []


def test_a_contained_resource_may_refer_to_its_container_or_to_another(validator: Validator) -> None:
    back = {"resourceType": "Basic", "id": "a", "code": {"text": "x"}, "subject": {"reference": "#"}}
    assert ids(validator, patient(contained=[back])) == []
    part = organization(id="b", partOf={"reference": "#c"})
    assert ids(validator, patient({"reference": "#b"}, contained=[part, organization(id="c")])) == []


@pytest.mark.parametrize("name", ["instantiatesCanonical", "instantiatesUri"])
def test_a_canonical_or_uri_also_refers_to_a_contained_resource(validator: Validator, name: str) -> None:
    plan = {"resourceType": "PlanDefinition", "id": "a", "status": "draft"}
    request = {"resourceType": "CarePlan", "status": "active", "intent": "plan", "subject": {"display": "x"}}
    assert ids(validator, {**request, name: ["#a"], "contained": [plan]}) == []


def test_an_entry_is_its_own_root(validator: Validator) -> None:
    inner = patient({"reference": "#a"}, contained=[organization(id="a")])
    bundle = {"resourceType": "Bundle", "type": "collection", "entry": [{"resource": inner}]}
    assert ids(validator, bundle) == []
    bundle["entry"] = [{"resource": inner}, {"resource": patient({"reference": "#a"})}]
    assert ids(validator, bundle) == ["reference-contained"]


def test_a_resource_in_parameters_is_its_own_root(validator: Validator) -> None:
    inner = patient({"reference": "#a"}, contained=[organization(id="a")])
    assert ids(validator, {"resourceType": "Parameters", "parameter": [{"name": "x", "resource": inner}]}) == []


def test_the_place_of_a_contained_resource_names_it(validator: Validator) -> None:
    (found,) = [
        issue
        for issue in validator.check(patient({"reference": "#a"}, contained=[organization(id="a", active="x")]))
        if issue.fails
    ]
    assert found.expression == "Patient.contained[0]/*Organization/a*/.active"
