"""Scope strings."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smart_auth.scopes.grammar import LaunchScope, ResourceScope, Scopes, of, parse
from tests.smart_auth.scopes.strategies import resource_scopes

TYPES = frozenset({"Patient", "Observation", "Condition"})


def only(text: str) -> ResourceScope:
    scopes = parse(text, types=TYPES)
    assert scopes.refused == ()
    return scopes.resources[0]


@pytest.mark.parametrize(
    ("text", "meaning"),
    [
        ("patient/Observation.rs", ResourceScope("patient", "Observation", "rs")),
        ("user/*.cruds", ResourceScope("user", "*", "cruds")),
        ("system/Patient.d", ResourceScope("system", "Patient", "d")),
        ("patient/Observation.read", ResourceScope("patient", "Observation", "rs")),
        ("patient/Observation.write", ResourceScope("patient", "Observation", "cud")),
        ("patient/*.*", ResourceScope("patient", "*", "cruds")),
        ("http://smarthealthit.org/fhir/scopes/patient/Patient.read", ResourceScope("patient", "Patient", "rs")),
        (
            "patient/Observation.rs?category=http://x.org/c|laboratory",
            ResourceScope("patient", "Observation", "rs", (("category", "http://x.org/c|laboratory"),)),
        ),
        (
            "patient/Observation.rs?category=http%3A%2F%2Fx.org%2Fc%7Clab&code=1",
            ResourceScope("patient", "Observation", "rs", (("category", "http://x.org/c|lab"), ("code", "1"))),
        ),
    ],
)
def test_a_scope_means(text: str, meaning: ResourceScope) -> None:
    assert only(text) == meaning


@pytest.mark.parametrize(
    "text",
    [
        "patient/Observation.",
        "patient/Observation.dus",
        "patient/Observation.rr",
        "patient/Observation.sr",
        "patient/Observation.reads",
        "patient/Observation.rd*",
        "patient/Observation.x",
        "patient/Observation",
        "patient/Nothing.rs",
        "patient/observation.rs",
        "practitioner/Observation.rs",
        "patient/Observation.rs?",
        "patient/Observation.rs?category",
        "patient/Observation.rs?category=",
        "patient/Observation.rs?category:not=x",
        "patient/Observation.rs?subject.name=x",
        "patient/Observation.rs?_has:X:y:z=1",
        "patient/Observation.rs?category=%zz",
        "patient/Observation.rs?category=%ff",
        "patient/Observation.rs?category=a&",
        "patient/Observation.read?category=a",
        "patient/Observation.*?category=a",
        "Launch",
        "launch/",
        "launch/Patient",
        "openid\tprofile",
        "PATIENT/Observation.rs",
        "patient/Observation.rs\n",
        "patient//Observation.rs",
    ],
)
def test_what_is_not_understood_is_refused_with_a_reason_and_never_widened(text: str) -> None:
    scopes = parse(text, types=TYPES)
    assert scopes.asked == ()
    assert scopes.refused[0][0] == text
    assert scopes.refused[0][1]


def test_words_and_wishes_for_context() -> None:
    scopes = parse("launch openid fhirUser offline_access launch/patient launch/imagingstudy?role=a/b", types=TYPES)
    assert scopes.words == {"launch", "openid", "fhirUser", "offline_access"}
    assert scopes.launches == (LaunchScope("patient"), LaunchScope("imagingstudy", "a/b"))
    assert scopes.wants("patient")
    assert not scopes.wants("encounter")


def test_scopes_keep_order_and_writing_and_are_told_once() -> None:
    text = "patient/Observation.read openid  patient/Observation.rs patient/Patient.rs openid"
    assert parse(text, types=TYPES).text == "patient/Observation.read openid patient/Patient.rs"


def test_criteria_that_cannot_be_enforced_are_refused_when_they_are_asked_for() -> None:
    def check(resource_type: str, name: str, value: str) -> str:
        return "" if name == "category" else f"{resource_type} has no search parameter '{name}'"

    scopes = parse("patient/Condition.rs?category=a patient/Condition.rs?phase=b", types=TYPES, check=check)
    assert [one.text for one in scopes.asked] == ["patient/Condition.rs?category=a"]
    assert scopes.refused == (("patient/Condition.rs?phase=b", "Condition has no search parameter 'phase'"),)


def test_an_oversized_scope_string_is_cut_at_a_whole_scope() -> None:
    scopes = parse("patient/Observation.rs?code=" + "a" * 100_000, types=TYPES)
    assert scopes.asked == ()
    many = parse(" ".join(f"patient/Observation.rs?code={number}" for number in range(600)), types=TYPES)
    assert len(many.asked) <= 500
    assert all(one.text.endswith(tuple("0123456789")) for one in many.asked)


@given(st.text(max_size=200))
def test_any_text_is_read_and_what_is_granted_was_asked_for(text: str) -> None:
    scopes = parse(text, types=TYPES)
    assert {one.text for one in scopes.asked} <= set(text.split(" "))


@given(st.lists(resource_scopes, max_size=6))
def test_what_is_printed_means_the_same(meanings: list[ResourceScope]) -> None:
    scopes = of(meanings)
    assert isinstance(scopes, Scopes)
    assert parse(scopes.text).resources == scopes.resources
    assert all(" " not in one.text and '"' not in one.text and "\\" not in one.text for one in scopes.asked)
