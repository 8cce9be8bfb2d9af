"""What was found of a value is told again of an equal one, at its own place; what looked beyond the value is not."""

from collections.abc import Iterator
from typing import Any

import pytest

from profiles.definitions.registry import Definitions
from profiles.fhirpath.engine import Engine
from profiles.issue import Issue
from profiles.snapshot.source import Source
from profiles.validate.profile import settled
from profiles.validate.profile.validator import ProfileValidator
from tests.profiles.validate.profile.samples import Json, extension, profile


def asks(expression: str) -> Json:
    """Return an extension whose value must meet an expression."""
    rule = {"key": "x-1", "severity": "error", "human": "It is so.", "expression": expression}
    return extension("e", {"path": "Extension", "constraint": [rule]})


def patient(*values: Json, **more: Any) -> Json:
    return {"resourceType": "Patient", "extension": [{"url": "http://x.org/e", **one} for one in values], **more}


@pytest.fixture
def validator(definitions: Definitions, engine: Engine) -> Any:
    return lambda *given, **more: ProfileValidator(Source(definitions, resources=given), engine=engine, **more)


def places(found: list[Issue]) -> Iterator[tuple[str, str]]:
    return ((one.message_id, one.expression) for one in found)


def test_a_finding_is_told_at_each_place_of_equal_values(validator: Any) -> None:
    checks = validator(asks("value.start.exists()"))
    bad, good = {"valuePeriod": {"end": "2020"}}, {"valuePeriod": {"start": "2020"}}
    for _ in range(2):
        assert [one.expression for one in checks.check(patient(bad, good, bad))] == [
            "Patient.extension[0]",
            "Patient.extension[2]",
        ]
        name = {"family": "A", "extension": patient(good, bad)["extension"]}
        assert [one.expression for one in checks.check({"resourceType": "Patient", "name": [name]})] == [
            "Patient.name[0].extension[1]"
        ]


@pytest.mark.parametrize(
    ("expression", "first", "second"),
    [
        ("%resource.active", {"active": True}, {"active": False}),
        ("%rootResource.active", {"active": True}, {"active": False}),
        (
            "value.resolve().active",
            {"contained": [{"resourceType": "Patient", "id": "a", "active": True}]},
            {"contained": [{"resourceType": "Patient", "id": "a", "active": False}]},
        ),
    ],
)
def test_what_looks_at_the_rest_of_the_resource_is_asked_anew(
    validator: Any, expression: str, first: Json, second: Json
) -> None:
    checks = validator(asks(expression))
    value = {"valueReference": {"reference": "#a"}}
    for _ in range(2):
        assert not checks.check(patient(value, **first))
        assert [one.expression for one in checks.check(patient(value, **second))] == ["Patient.extension[0]"]


def test_where_an_extension_may_stand_is_asked_anew(validator: Any) -> None:
    inner = extension("e", context=[{"type": "extension", "expression": "http://x.org/right"}])
    checks = validator(inner, extension("right"), extension("wrong"))
    for _ in range(2):
        for name, expected in (("right", []), ("wrong", ["extension-context"])):
            row = {"url": f"http://x.org/{name}", "extension": [{"url": "http://x.org/e", "valueString": "a"}]}
            found = checks.check({"resourceType": "Patient", "extension": [row]})
            assert [one.message_id for one in found] == expected


def test_displays_go_by_the_value_sets_of_the_resource_at_hand(validator: Any) -> None:
    coding = {"system": "http://x.org/codes", "code": "a", "display": "Special"}
    codes = {
        "resourceType": "CodeSystem", "url": "http://x.org/codes", "content": "complete",
        "concept": [{"code": "a", "display": "Usual"}],
    }  # fmt: skip
    include = {"system": "http://x.org/codes", "concept": [{"code": "a", "display": "Special"}]}
    values = {"resourceType": "ValueSet", "url": "http://x.org/set", "compose": {"include": [include]}}
    bound = profile(
        "Patient",
        {"path": "Patient.maritalStatus", "binding": {"strength": "required", "valueSet": "http://x.org/set"}},
    )
    checks = validator(codes, values, bound, extension("e"))
    married = {"maritalStatus": {"coding": [{"system": "http://x.org/codes", "code": "a"}]}}
    resource = patient({"valueCoding": coding}, **married)
    for _ in range(2):
        assert not checks.check(resource, ["http://x.org/p"])
        assert list(places(checks.check(resource))) == [
            ("display", "Patient.extension[0].value.ofType(Coding).display")
        ]


def test_value_sets_that_elements_of_a_known_value_are_bound_to_count(validator: Any) -> None:
    binding = {"strength": "required", "valueSet": "http://x.org/set"}
    include = {"system": "http://x.org/codes", "concept": [{"code": "a", "display": "Special"}]}
    checks = validator(
        {
            "resourceType": "CodeSystem", "url": "http://x.org/codes", "content": "complete",
            "concept": [{"code": "a", "display": "Usual"}],
        },
        {"resourceType": "ValueSet", "url": "http://x.org/set", "compose": {"include": [include]}},
        extension("e", {"path": "Extension.value[x]", "type": [{"code": "Coding"}], "binding": binding}),
    )  # fmt: skip
    coding = {"system": "http://x.org/codes", "code": "a", "display": "Special"}
    for _ in range(3):
        assert not checks.check(patient({"valueCoding": coding}, maritalStatus={"coding": [coding]}))


def test_must_support_is_told_only_where_it_is_asked_for(validator: Any) -> None:
    part = {"path": "Extension.value[x].unit", "mustSupport": True}
    checks = validator(extension("e", {"path": "Extension.value[x]", "type": [{"code": "Quantity"}]}, part))
    resource = patient({"valueQuantity": {"value": 1}})
    for _ in range(2):
        assert not checks.check(resource)
        assert [one.message_id for one in checks.check(resource, must_support=True)] == ["must-support"]


def test_numbers_that_are_written_alike_but_differ_are_not_confused(validator: Any) -> None:
    checks = validator(extension("e", {"path": "Extension.value[x]", "fixedString": "1"}))
    assert not checks.check(patient({"valueString": "1"}))
    assert [one.message_id for one in checks.check(patient({"valueInteger": 1}))] == ["fixed"]


def test_no_more_is_kept_than_two_generations(validator: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settled, "MOST_KEPT", 3)
    checks = validator(asks("value.start.exists()"))
    for number in range(20):
        resource = patient({"valuePeriod": {"end": str(2000 + number)}})
        for _ in range(2):
            assert list(places(checks.check(resource))) == [("http://x.org/e#x-1", "Patient.extension[0]")]
        assert checks.settled.kept <= 6
