"""Slices of every kind: which values belong to which, and what that asks of them."""

from typing import Any

import pytest

from tests.profiles.validate.profile.samples import bundle, component, concept, observation, profile, said, sliced

Json = dict[str, Any]


@pytest.mark.parametrize("kind", ["value", "pattern"])
def test_slices_by_value_are_counted_and_checked(findings: Any, kind: str) -> None:
    p = profile(
        "Observation",
        sliced("Observation.component", kind, "code"),
        {"path": "Observation.component", "sliceName": "a", "min": 1, "max": "1"},
        {"path": "Observation.component.code", "patternCodeableConcept": concept("a")},
        {"path": "Observation.component.value[x]", "min": 1},
        {"path": "Observation.component", "sliceName": "b"},
        {"path": "Observation.component.code.coding.code", "min": 1, "fixedCode": "b"},
        {"path": "Observation.component.value[x]", "max": "0"},
    )
    assert findings(observation(component=[component("b"), component("a", valueString="x"), component("c")]), p) == []
    found = findings(observation(component=[component("b", valueString="x"), component("c")]), p)
    assert said(found) == [
        ("slice-minimum", "Observation"),
        ("maximum", "Observation.component[0].value.ofType(string)"),
    ]
    assert found[0].text.startswith("Slice 'Observation.component:a': a matching slice is required, but not found")
    twice = observation(component=[component("a", valueString="x"), component("a")])
    assert said(findings(twice, p)) == [
        ("slice-maximum", "Observation.component[1]"),
        ("minimum", "Observation.component[1]"),
    ]


def test_closed_ordered_and_open_at_end(findings: Any) -> None:
    def p(**rules: Any) -> Json:
        slices = [
            {"path": "Observation.component", "sliceName": name, "id": f"Observation.component:{name}"} for name in "ab"
        ]
        codes = [
            {"id": f"Observation.component:{name}.code", "path": "Observation.component.code", "patternCodeableConcept": concept(name)}
            for name in "ab"
        ]  # fmt: skip
        return profile("Observation", sliced("Observation.component", "value", "code", **rules), *slices, *codes)

    def of(*codes: str) -> Json:
        return observation(component=[component(code) for code in codes])

    assert said(findings(of("a", "c"), p(rules="closed"))) == [("slice-closed", "Observation.component[1]")]
    assert findings(of("b", "a"), p()) == []
    assert said(findings(of("b", "a"), p(ordered=True))) == [("slice-order", "Observation.component[1]")]
    assert said(findings(of("c", "a"), p(rules="openAtEnd"))) == [("slice-end", "Observation.component[1]")]
    assert findings(of("a", "c"), p(rules="openAtEnd")) == []


def test_slices_within_slices_and_slices_of_slices(findings: Any) -> None:
    p = profile(
        "Patient",
        sliced("Patient.identifier", "value", "type.coding.code"),
        {"path": "Patient.identifier", "sliceName": "mr"},
        sliced("Patient.identifier.type.coding", "value", "system"),
        {"path": "Patient.identifier.type.coding", "sliceName": "v2", "min": 1},
        {"path": "Patient.identifier.type.coding.system", "fixedUri": "urn:v2", "min": 1},
        {"path": "Patient.identifier.type.coding.code", "fixedCode": "MR", "min": 1},
        {"path": "Patient.identifier.assigner", "min": 1},
    )  # fmt: skip
    mr = {"type": {"coding": [{"system": "urn:x", "code": "y"}, {"system": "urn:v2", "code": "MR"}]}, "value": "1"}
    assert said(findings({"resourceType": "Patient", "identifier": [mr]}, p))[-1] == (
        "minimum",
        "Patient.identifier[0]",
    )
    other = {"type": {"coding": [{"system": "urn:other", "code": "MR"}]}}
    assert said(findings({"resourceType": "Patient", "identifier": [{"value": "1"}]}, p)) == []
    # The discriminator asks for the code alone.
    assert said(findings({"resourceType": "Patient", "identifier": [other]}, p)) == [
        ("slice-minimum", "Patient.identifier[0].type"),
        ("minimum", "Patient.identifier[0]"),
    ]


def test_re_slices_sort_the_values_of_their_slice(findings: Any) -> None:
    p = profile(
        "Patient",
        sliced("Patient.telecom", "value", "system"),
        {"path": "Patient.telecom", "sliceName": "phone", "slicing": sliced("", "value", "use")["slicing"]},
        {"path": "Patient.telecom.system", "fixedCode": "phone", "min": 1},
        {"path": "Patient.telecom", "sliceName": "phone/home", "max": "1"},
        {"path": "Patient.telecom.use", "fixedCode": "home", "min": 1},
    )
    home, work, mail = (
        {"system": "phone", "use": "home"},
        {"system": "phone", "use": "work"},
        {"system": "email", "use": "home"},
    )
    assert findings({"resourceType": "Patient", "telecom": [home, work, mail, mail]}, p) == []
    found = findings({"resourceType": "Patient", "telecom": [home, work, home]}, p)
    assert said(found) == [("slice-maximum", "Patient.telecom[2]")]
    assert "Patient.telecom:phone/home" in found[0].text


def test_what_is_said_above_the_end_of_a_discriminator_counts(findings: Any) -> None:
    p = profile(
        "Observation",
        sliced("Observation.component", "value", "code.coding.code", rules="closed"),
        {"path": "Observation.component", "sliceName": "a"},
        {"path": "Observation.component.code", "patternCodeableConcept": concept("a")},
    )
    assert findings(observation(component=[component("a")]), p) == []
    assert said(findings(observation(component=[component("b")]), p)) == [("slice-closed", "Observation.component[0]")]


def test_slices_that_nothing_tells_apart_are_not_held_against_anybody(findings: Any) -> None:
    p = profile(
        "Observation",
        sliced("Observation.component", "value", "code", rules="closed"),
        {"path": "Observation.component", "sliceName": "a", "min": 1},
    )
    assert findings(observation(component=[component("a")]), p) == []
    assert said(findings(observation(), p)) == [("slice-minimum", "Observation")]


def test_slices_by_existence(findings: Any) -> None:
    p = profile(
        "Observation",
        sliced("Observation.component", "exists", "value"),
        {"path": "Observation.component", "sliceName": "known"},
        {"path": "Observation.component.value[x]", "min": 1},
        {"path": "Observation.component.dataAbsentReason", "max": "0"},
        {"path": "Observation.component", "sliceName": "unknown"},
        {"path": "Observation.component.value[x]", "max": "0"},
        {"path": "Observation.component.dataAbsentReason", "min": 1},
    )
    fine = observation(component=[component("a", valueString="x"), component("b", dataAbsentReason=concept("u"))])
    assert findings(fine, p) == []
    assert said(findings(observation(component=[component("a")]), p)) == [("minimum", "Observation.component[0]")]


def test_slices_by_type(findings: Any) -> None:
    p = profile(
        "Observation",
        {"path": "Observation.valueQuantity.code", "min": 1},
        {"path": "Observation.valueQuantity.system", "min": 1, "fixedUri": "http://unitsofmeasure.org"},
    )
    assert findings(observation(valueString="x"), p) == []
    found = findings(observation(valueQuantity={"value": 1, "system": "urn:x"}), p)
    assert said(found) == [
        ("fixed", "Observation.value.ofType(Quantity).system"),
        ("minimum", "Observation.value.ofType(Quantity)"),
    ]


def test_slices_by_type_and_profile_of_what_is_referred_to(findings: Any) -> None:
    female = profile("Patient", {"path": "Patient.gender", "min": 1, "fixedCode": "female"}, name="female")
    p = profile(
        "Composition",
        sliced("Composition.section.entry", "profile", "resolve()"),
        {"path": "Composition.section.entry", "sliceName": "f", "type": [{"code": "Reference", "targetProfile": [female["url"]]}],
         "min": 1},
    )  # fmt: skip
    document = profile(
        "Bundle",
        sliced("Bundle.entry", "type", "resource"),
        {"path": "Bundle.entry", "sliceName": "c", "min": 1, "max": "1"},
        {"path": "Bundle.entry.resource", "type": [{"code": "Composition", "profile": [p["url"]]}]},
        name="document",
    )

    def of(gender: str) -> Json:
        composition = {"resourceType": "Composition", "section": [{"entry": [{"reference": "urn:uuid:1"}]}]}
        patient = {"resourceType": "Patient", "gender": gender}
        return bundle(
            {"fullUrl": "urn:uuid:0", "resource": composition}, {"fullUrl": "urn:uuid:1", "resource": patient}
        )

    assert findings(of("female"), document, p, female) == []
    assert said(findings(of("male"), document, p, female)) == [
        ("slice-minimum", "Bundle.entry[0].resource/*Composition/null*/.section[0]")
    ]
    assert said(findings(bundle(), document, p, female)) == [("slice-minimum", "Bundle")]
