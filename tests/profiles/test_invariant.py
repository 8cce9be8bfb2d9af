"""Base invariants: each rule of the table refuses what breaks it, and what has no rule is listed with the reason."""

import re
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from profiles.definitions.registry import Definitions
from profiles.validate.invariant import IN_CONTEXT, IN_THE_WALK, NATIVE, ON_TEXTS, REUSED, UNBREAKABLE, native
from profiles.validate.validator import Validator

UCUM = "http://unitsofmeasure.org"
TERMINOLOGY = "http://terminology.hl7.org/CodeSystem"

EXPRESSED = {"sdf-19"}
"""What no rule was written for."""


def keys(validator: Validator, resource: dict[str, Any]) -> list[str]:
    """Return the keys of the invariants that a resource breaks; any other error is one too many."""
    found = [issue for issue in validator.check(resource) if issue.fails or "#" in issue.message_id]
    found = [issue for issue in found if not issue.message_id.endswith("#dom-6")]
    return [issue.message_id.rpartition("#")[2] for issue in found]


def stated(definitions: Definitions) -> set[tuple[str, str]]:
    """Return (path, key) of every invariant of the definitions."""
    found: set[tuple[str, str]] = set()
    for name, definition in definitions.types.items():
        found |= {(name, one.key) for one in definition.invariants}
        for element in definition.elements.values():
            found |= {(element.path, one.key) for one in element.invariants}
    return found


def test_every_invariant_has_a_rule_or_is_evaluated_or_cannot_fail(definitions: Definitions) -> None:
    assert {key for path, key in stated(definitions) if not native(key, path)} == EXPRESSED | UNBREAKABLE.keys()


def test_every_rule_belongs_to_an_invariant(definitions: Definitions) -> None:
    known = stated(definitions)
    assert {*NATIVE, *IN_CONTEXT, *ON_TEXTS, *IN_THE_WALK} <= {key for _, key in known}
    assert set(REUSED) <= known


def test_a_key_of_several_invariants_is_told_apart_by_path(definitions: Definitions) -> None:
    expressions: dict[str, set[str]] = {}
    for definition in definitions.types.values():
        for one in definition.invariants:
            expressions.setdefault(one.key, set()).add(one.expression)
    ambiguous = {key for key, found in expressions.items() if len(found) > 1}
    assert ambiguous == {"inv-1"}
    assert not ambiguous & {*NATIVE, *IN_CONTEXT}


def observation(**members: Any) -> dict[str, Any]:
    return {"resourceType": "Observation", "status": "final", "code": {"text": "x"}, **members}


def bundle(kind: str, *entries: dict[str, Any], **members: Any) -> dict[str, Any]:
    return {"resourceType": "Bundle", "type": kind, **members, **({"entry": list(entries)} if entries else {})}


def patient(**members: Any) -> dict[str, Any]:
    return {"resourceType": "Patient", **members}


def timing(**repeat: Any) -> dict[str, Any]:
    return observation(effectiveTiming={"repeat": repeat})


def condition(**members: Any) -> dict[str, Any]:
    return {"resourceType": "Condition", "subject": {"display": "x"}, **members}


def appointment(**members: Any) -> dict[str, Any]:
    return {
        "resourceType": "Appointment",
        "status": "booked",
        "participant": [{"actor": {"display": "x"}, "status": "accepted"}],
        **members,
    }


def coded(system: str, code: str) -> dict[str, Any]:
    return {"coding": [{"system": f"{TERMINOLOGY}/{system}", "code": code}]}


def question(**members: Any) -> dict[str, Any]:
    return {"resourceType": "Questionnaire", "status": "draft", "item": [{"linkId": "1", **members}]}


def care_team(member: dict[str, Any], **members: Any) -> dict[str, Any]:
    return {"resourceType": "CareTeam", "participant": [{"member": member, "onBehalfOf": {"display": "x"}}], **members}


def structure(*elements: dict[str, Any], **members: Any) -> dict[str, Any]:
    return {
        "resourceType": "StructureDefinition",
        "url": "http://example.org/x",
        "name": "X",
        "status": "draft",
        "kind": "resource",
        "abstract": False,
        "type": "Patient",
        "baseDefinition": "http://hl7.org/fhir/StructureDefinition/DomainResource",
        "derivation": "specialization",
        "differential": {"element": [{"id": one["path"], **one} for one in elements]},
        **members,
    }


def quantity(value: Any, **members: Any) -> dict[str, Any]:
    return {"value": Decimal(value), **members}


CODED = {"system": "urn:a", "code": "1"}
ENTRY = {"resource": {"resourceType": "Patient"}}
REQUEST = {"method": "GET", "url": "Patient/1"}

BROKEN: list[tuple[str, dict[str, Any]]] = [
    ("att-1", patient(photo=[{"data": "AAAA"}])),
    ("cpt-2", patient(telecom=[{"value": "x"}])),
    ("per-1", patient(address=[{"period": {"start": "2020-02-02", "end": "2020-01-01"}}])),
    ("per-1", patient(address=[{"period": {"start": "2020-01-01T10:00:00Z", "end": "2020-01-01T10:00:00+05:00"}}])),
    ("per-1", patient(address=[{"period": {"start": "2021", "end": "2020-01"}}])),
    ("qty-3", observation(valueQuantity={"value": 1, "code": "mg"})),
    ("rng-2", observation(valueRange={"low": quantity(2), "high": quantity(1)})),
    ("sqty-1", observation(valueRange={"low": quantity(2, comparator="<")})),
    ("rat-1", observation(valueRatio={"numerator": quantity(1)})),
    ("rat-1", observation(valueRatio={"denominator": quantity(1)})),
    ("ext-1", patient(extension=[{"url": "urn:x"}])),
    ("ext-1", patient(extension=[{"url": "urn:x", "valueString": "x", "extension": [{"url": "y", "valueString": "y"}]}])),
    ("age-1", condition(onsetAge=quantity(-1, system=UCUM, code="a"))),
    ("age-1", condition(onsetAge=quantity(1))),
    ("age-1", condition(onsetAge=quantity(1, system="urn:x", code="a"))),
    ("drt-1", {"resourceType": "Encounter", "status": "planned", "class": {"code": "AMB"}, "length": {"code": "h", "system": "urn:x", "value": 1}}),
    ("tim-1", timing(duration=1)),
    ("tim-2", timing(period=1)),
    ("tim-4", timing(duration=-1, durationUnit="h")),
    ("tim-5", timing(period=-1, periodUnit="h")),
    ("tim-6", timing(periodMax=1)),
    ("tim-7", timing(durationMax=1)),
    ("tim-8", timing(countMax=1)),
    ("tim-9", timing(offset=1)),
    ("tim-9", timing(offset=1, when=["C"])),
    ("tim-10", timing(timeOfDay=["10:00:00"], when=["HS"])),
    ("dom-2", patient(contained=[{"resourceType": "Basic", "id": "a", "code": {"text": "x"}, "subject": {"reference": "#"}, "contained": [{"resourceType": "Basic", "id": "b", "code": {"text": "x"}, "subject": {"reference": "#"}}]}])),
    ("dom-4", patient(contained=[{"resourceType": "Basic", "id": "a", "code": {"text": "x"}, "subject": {"reference": "#"}, "meta": {"versionId": "1"}}])),
    ("dom-5", patient(contained=[{"resourceType": "Basic", "id": "a", "code": {"text": "x"}, "subject": {"reference": "#"}, "meta": {"security": [{"code": "R"}]}}])),
    ("obs-3", observation(referenceRange=[{"appliesTo": [{"text": "x"}]}])),
    ("obs-6", observation(valueString="x", dataAbsentReason={"text": "x"})),
    ("obs-7", observation(code={"coding": [CODED]}, valueString="x", component=[{"code": {"coding": [CODED]}}])),
    ("pat-1", patient(contact=[{"gender": "male"}])),
    ("org-1", {"resourceType": "Organization", "active": True}),
    ("org-2", {"resourceType": "Organization", "name": "x", "address": [{"use": "home"}]}),
    ("org-3", {"resourceType": "Organization", "name": "x", "telecom": [{"use": "home"}]}),
    ("ait-1", {"resourceType": "AllergyIntolerance", "patient": {"display": "x"}}),
    ("ait-2", {"resourceType": "AllergyIntolerance", "patient": {"display": "x"}, "clinicalStatus": coded("allergyintolerance-clinical", "active"), "verificationStatus": coded("allergyintolerance-verification", "entered-in-error")}),
    ("con-3", condition(category=[coded("condition-category", "problem-list-item")])),
    ("con-4", condition(abatementString="x", clinicalStatus=coded("condition-clinical", "active"))),
    ("con-5", condition(clinicalStatus=coded("condition-clinical", "active"), verificationStatus=coded("condition-ver-status", "entered-in-error"))),
    ("app-2", appointment(status="proposed", start="2020-01-01T10:00:00Z")),
    ("app-3", appointment()),
    ("app-4", appointment(status="proposed", cancelationReason={"text": "x"})),
    ("ctm-1", care_team({"reference": "Patient/1"})),
    ("ctm-1", care_team({"reference": "http://example.org/fhir/Patient/1"})),
    ("ctm-1", care_team({"type": "Patient", "display": "x"})),
    ("ctm-1", care_team({"reference": "#a"}, contained=[{"resourceType": "Patient", "id": "a"}])),
    ("que-1", question(type="group")),
    ("que-2", {"resourceType": "Questionnaire", "status": "draft", "item": [{"linkId": "1", "type": "string"}, {"linkId": "1", "type": "string"}]}),
    ("que-3", question(type="display", code=[{"code": "x"}])),
    ("que-11", question(type="choice", answerOption=[{"valueString": "x"}], initial=[{"valueString": "x"}])),
    ("que-7", question(type="string", enableWhen=[{"question": "1", "operator": "exists", "answerString": "x"}])),
    ("csd-1", {"resourceType": "CodeSystem", "status": "draft", "content": "complete", "concept": [{"code": "a", "concept": [{"code": "a"}]}]}),
    ("csd-0", {"resourceType": "CodeSystem", "status": "draft", "content": "complete", "name": "not a name"}),
    ("vsd-1", {"resourceType": "ValueSet", "status": "draft", "compose": {"include": [{"version": "1"}]}}),
    ("sdf-8", {"resourceType": "StructureDefinition", "url": "urn:x", "name": "X", "status": "draft", "kind": "complex-type", "abstract": True, "type": "X", "snapshot": {"element": [{"id": "X", "path": "X", "definition": "x", "min": 0, "max": "*", "base": {"path": "X", "min": 0, "max": "*"}}, {"id": "Y", "path": "Y", "definition": "x", "min": 0, "max": "*", "base": {"path": "Y", "min": 0, "max": "*"}}]}}),
    ("inv-1", {"resourceType": "Parameters", "parameter": [{"name": "x"}]}),
    ("inv-1", {"resourceType": "Parameters", "parameter": [{"name": "x", "valueString": "x", "part": [{"name": "y", "valueString": "y"}]}]}),
    ("inv-1", {"resourceType": "Task", "status": "draft", "intent": "order", "authoredOn": "2020-02-02", "lastModified": "2020-01-01"}),
    ("inv-2", {"resourceType": "TestReport", "status": "completed", "testScript": {"display": "x"}, "result": "pass", "test": [{"action": [{"id": "x", "modifierExtension": [{"url": "urn:x", "valueString": "x"}]}]}]}),
    ("bdl-1", bundle("collection", total=1)),
    ("bdl-2", bundle("collection", {**ENTRY, "search": {"mode": "match"}})),
    ("bdl-3", bundle("collection", {**ENTRY, "request": REQUEST})),
    ("bdl-3", bundle("transaction", ENTRY)),
    ("bdl-4", bundle("batch-response", ENTRY)),
    ("bdl-5", bundle("collection", {"fullUrl": "urn:x"})),
    ("bdl-7", bundle("collection", {**ENTRY, "fullUrl": "urn:x"}, {**ENTRY, "fullUrl": "urn:x"})),
    ("bdl-8", bundle("collection", {**ENTRY, "fullUrl": "http://example.org/Patient/1/_history/1"})),
    ("bdl-9", bundle("document", {"fullUrl": "urn:x", "resource": {"resourceType": "Composition", "status": "final", "type": {"text": "x"}, "date": "2020", "author": [{"display": "x"}], "title": "x"}}, timestamp="2020-01-01T10:00:00Z")),
    ("bdl-10", bundle("document", {"fullUrl": "urn:x", "resource": {"resourceType": "Composition", "status": "final", "type": {"text": "x"}, "date": "2020", "author": [{"display": "x"}], "title": "x"}}, identifier={"system": "urn:x", "value": "x"})),
    ("bdl-11", bundle("document", {**ENTRY, "fullUrl": "urn:x"}, timestamp="2020-01-01T10:00:00Z", identifier={"system": "urn:x", "value": "x"})),
    ("bdl-12", bundle("message", {**ENTRY, "fullUrl": "urn:x"})),
]  # fmt: skip

BROKEN += [
    ("eld-3", structure({"path": "Patient", "max": "many"})),
    ("eld-19", structure({"path": "Patient"}, {"path": f"Patient.{'a' * 70}"})),
    ("sdf-19", structure({"path": "Patient"}, {"path": "Patient.x", "type": [{"code": "a-b"}]}, url="http://hl7.org/fhir/StructureDefinition/x")),
]  # fmt: skip

MET: list[dict[str, Any]] = [
    patient(_birthDate={"extension": [{"url": "urn:x", "valueString": "x"}]}),
    patient(extension=[{"url": "urn:x", "_valueString": {"extension": [{"url": "urn:y", "valueBoolean": False}]}}]),
    patient(extension=[{"url": "urn:x", "id": "a", "extension": [{"url": "y", "valueString": "y"}]}]),
    patient(address=[{"period": {"start": "2020", "end": "2020"}}, {"period": {"start": "2020-05", "end": "2020"}}]),
    patient(address=[{"period": {"start": "2020-01-01T10:00:00+05:00", "end": "2020-01-01T10:00:00Z"}}]),
    patient(address=[{"period": {"start": "2020-01-02", "end": "2020-01-01T23:00:00Z"}}]),
    observation(valueRange={"low": quantity(2, unit="g"), "high": quantity(1, unit="kg")}),
    observation(valueRatio={"extension": [{"url": "urn:x", "valueString": "x"}]}),
    observation(code={"coding": [CODED]}, component=[{"code": {"coding": [CODED]}, "valueString": "x"}]),
    timing(offset=30, when=["ACM"]),
    condition(onsetAge=quantity(1, system=UCUM, code="a"), clinicalStatus=coded("condition-clinical", "active")),
    condition(abatementString="x", clinicalStatus=coded("condition-clinical", "resolved")),
    appointment(status="waitlist"),
    appointment(status="noshow", cancelationReason={"text": "x"}, start="2020-01-01T10:00:00Z", end="2020-01-01T10:00:00Z"),
    care_team({"reference": "Practitioner/1"}),
    care_team({"reference": "urn:uuid:c757873d-ec9a-4326-a141-556f43239520"}),
    structure({"path": "Patient", "max": "*"}, {"path": "Patient.value[x]", "max": "2"}),
    {"resourceType": "Task", "status": "draft", "intent": "order", "authoredOn": "2020-01-01", "lastModified": "2020-01-01"},
    {"resourceType": "Parameters", "parameter": [{"name": "x", "resource": patient()}, {"name": "y", "_valueString": {"extension": [{"url": "urn:x", "valueString": "x"}]}}]},
    bundle("searchset", {"fullUrl": "urn:x", "resource": patient(id="a"), "search": {"mode": "match"}}, total=1),
    bundle("transaction", {"request": REQUEST}, {"request": REQUEST}),
    bundle("history", {**ENTRY, "fullUrl": "urn:x", "request": REQUEST, "response": {"status": "200"}}, {**ENTRY, "fullUrl": "urn:x", "request": REQUEST, "response": {"status": "200"}}),
    bundle("collection", {"fullUrl": "urn:x", "resource": patient(meta={"versionId": "1"})}, {"fullUrl": "urn:x", "resource": patient(meta={"versionId": "2"})}),
]  # fmt: skip


@pytest.mark.parametrize(("key", "resource"), BROKEN)
def test_what_breaks_an_invariant_is_reported(validator: Validator, key: str, resource: dict[str, Any]) -> None:
    assert keys(validator, resource) == [key]


@pytest.mark.parametrize("resource", MET)
def test_what_meets_the_invariants_passes(validator: Validator, resource: dict[str, Any]) -> None:
    assert keys(validator, resource) == []


def test_advice_is_not_an_error(validator: Validator) -> None:
    found = validator.check(condition(category=[coded("condition-category", "problem-list-item")]))
    assert {issue.message_id.rpartition("#")[2]: issue.severity for issue in found} == {
        "con-3": "warning",
        "dom-6": "warning",
    }


def test_a_contained_resource_needs_no_narrative(validator: Validator) -> None:
    inner = {"resourceType": "Organization", "id": "a", "name": "x"}
    found = validator.check(patient(contained=[inner], managingOrganization={"reference": "#a"}))
    assert [issue.expression for issue in found] == ["Patient"]


def test_the_documentation_names_what_is_not_checked() -> None:
    page = (Path(__file__).parent.parent.parent / "docs" / "validation.md").read_text(encoding="utf-8")
    section = page.partition("All but these are checked:")[2].partition("All but `sdf-19`")[0]
    assert set(re.findall(r"`([a-z]+-\d+)`", section)) == set(UNBREAKABLE)
