"""Profiles and resources made to do harm: the check comes to an end in bounded time and memory, and says what is wrong."""

from collections.abc import Iterator
from typing import Any

import pytest

from profiles.definitions.registry import Definitions
from profiles.fhirpath.engine import Engine
from profiles.snapshot import generate
from profiles.snapshot.source import Source
from profiles.validate.profile import validator as validators
from profiles.validate.profile.validator import ProfileValidator
from tests.effort import within
from tests.profiles.validate.profile.samples import CORE, Json, component, concept, observation, profile, said, sliced

MOST_SECONDS = 20
"""Of processor time, for what takes minutes or for ever where nothing bounds it; far above what it takes here."""


@pytest.fixture
def bounded() -> Iterator[None]:
    with within(MOST_SECONDS):
        yield


def test_profiles_whose_bases_go_in_a_circle_are_told(findings: Any) -> None:
    one = profile("Basic", name="one", baseDefinition="http://x.org/two")
    two = profile("Basic", name="two", baseDefinition="http://x.org/one")
    found = findings({"resourceType": "Basic", "code": {"text": "x"}}, one, two)
    assert said(found) == [("profile-unusable", "Basic")]
    assert "http://x.org/" in found[0].text


def test_a_profile_whose_base_is_missing_is_told(findings: Any) -> None:
    p = profile("Basic", baseDefinition="http://x.org/none")
    found = findings({"resourceType": "Basic", "code": {"text": "x"}}, p)
    assert said(found) == [("profile-unusable", "Basic")]
    assert "http://x.org/none" in found[0].text


@pytest.mark.parametrize("rows", [[{"path": "Basic.nothing.below", "min": 1}], [{"path": 7}], [[]], "rows"])
def test_a_profile_without_a_possible_snapshot_refuses_nothing(findings: Any, rows: Any) -> None:
    p = {**profile("Basic"), "differential": {"element": rows}}
    assert not any(one.fails for one in findings({"resourceType": "Basic", "code": {"text": "x"}}, p))


@pytest.mark.usefixtures("bounded")
def test_type_profiles_that_mean_each_other_come_to_an_end(findings: Any) -> None:
    def of(name: str, other: str) -> Json:
        row = {"path": "Extension.extension", "type": [{"code": "Extension", "profile": [f"http://x.org/{other}"]}]}
        return profile("Extension", row, {"path": "Extension.url", "min": 1}, name=name, kind="complex-type")

    p = profile("Basic", {"path": "Basic.extension", "type": [{"code": "Extension", "profile": ["http://x.org/a"]}]})
    inner: Json = {"url": "http://x.org/a"}
    for _ in range(40):
        inner = {"url": "http://x.org/a", "extension": [inner]}
    resource = {"resourceType": "Basic", "code": {"text": "x"}, "extension": [inner]}
    assert findings(resource, p, of("a", "b"), of("b", "a")) == []


@pytest.mark.usefixtures("bounded")
def test_constraints_that_ask_about_ever_more_profiles_come_to_an_end(findings: Any) -> None:
    def of(number: int) -> Json:
        rules = [
            {"key": f"k{one}", "severity": "error", "human": "h", "expression": f"conformsTo('http://x.org/p{number + 1}')"} for one in range(3)
        ]  # fmt: skip
        return profile("Basic", {"path": "Basic", "constraint": rules}, name=f"p{number}")

    chain = [of(number) for number in range(30)]
    found = findings({"resourceType": "Basic", "code": {"text": "x"}}, *chain, profile("Basic", name="p30"))
    assert said(found)[0] == ("too-costly", "Basic")


@pytest.mark.usefixtures("bounded")
def test_constraints_that_look_at_everything_for_each_element_come_to_an_end(findings: Any) -> None:
    rule = {
        "key": "k",
        "severity": "error",
        "human": "h",
        "expression": "%resource.component.code.text.where($this = 'none').empty()",
    }
    p = profile("Observation", {"path": "Observation.component", "constraint": [rule]})
    values = [component(f"other-{number}") for number in range(3000)]
    assert said(findings(observation(component=values), p)) == [("too-costly", "Observation")]
    assert findings(observation(component=values[:100]), p) == []


@pytest.mark.usefixtures("bounded")
def test_a_regular_expression_that_backtracks_takes_no_longer(findings: Any) -> None:
    rule = {"key": "k", "severity": "error", "human": "h", "expression": "text.matches('(x+x+)+y').not()"}
    p = profile("Observation", {"path": "Observation.code", "constraint": [rule]})
    assert findings(observation(code={"text": "x" * 5_000}), p) == []


@pytest.mark.usefixtures("bounded")
def test_thousands_of_slices_and_thousands_of_values_come_to_an_end(findings: Any) -> None:
    rows: list[Json] = [sliced("Observation.component", "pattern", "code")]
    for number in range(300):
        rows.append({"path": "Observation.component", "sliceName": f"s{number}"})
        rows.append({"path": "Observation.component.code", "patternCodeableConcept": concept(f"s{number}")})
    values = [component(f"other-{number}") for number in range(4000)]
    found = findings(observation(component=values), profile("Observation", *rows))
    assert said(found) == [("too-costly", "Observation")]
    few = findings(observation(component=values[:50]), profile("Observation", *rows))
    assert few == []


def test_a_resource_that_is_nested_without_end_is_told(definitions: Definitions, engine: Engine) -> None:
    item: Json = {"linkId": "x"}
    for _ in range(3000):
        item = {"linkId": "x", "item": [item]}
    validator = ProfileValidator(Source(definitions), engine=engine)
    found = validator.check({"resourceType": "Questionnaire", "item": [item]}, [CORE + "Questionnaire"])
    assert said(found) == [("too-deep", "Questionnaire")]


def test_profiles_are_let_go_of_where_there_are_too_many(
    definitions: Definitions, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(generate, "MOST_KEPT", 100)
    monkeypatch.setattr(validators, "MOST_KEPT", 100)
    given = [profile("Basic", {"path": "Basic.subject", "min": 1}, name=f"p{number}") for number in range(40)]
    validator = ProfileValidator(Source(definitions, resources=given), engine=engine)
    urls = [str(one["url"]) for one in given]
    for _ in range(2):
        for url in urls:
            assert said(validator.check({"resourceType": "Basic", "code": {"text": "x"}}, [url])) == [
                ("minimum", "Basic")
            ]
        assert validator.kept <= 100
    assert validator.snapshots.kept <= 100
