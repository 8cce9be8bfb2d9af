"""Value sets are listed by set algebra over their compose, or not at all."""

from typing import Any

import pytest

from profiles.definitions.codes import Enumerator

ANIMALS: dict[str, Any] = {
    "url": "urn:animals",
    "content": "complete",
    "concept": [
        {
            "code": "animal",
            "concept": [
                {"code": "mammal", "concept": [{"code": "cow", "property": [{"code": "legs", "valueInteger": 4}]}]},
                {
                    "code": "bird",
                    "property": [{"code": "legs", "valueInteger": 2}, {"code": "flies", "valueBoolean": True}],
                },
            ],
        },
        {"code": "hen", "display": "Hen", "property": [{"code": "subsumedBy", "valueCode": "bird"}]},
    ],
}
OPEN: dict[str, Any] = {"url": "urn:open", "content": "not-present"}


def members(include: list[Any], exclude: list[Any] | None = None, **others: dict[str, Any]) -> set[str] | None:
    sets = {"vs": {"url": "vs", "compose": {"include": include, "exclude": exclude or []}}, **others}
    pairs = Enumerator(sets, {"urn:animals": ANIMALS, "urn:open": OPEN}).pairs("vs|1.0")
    return None if pairs is None else {code for _, code in pairs}


def where(name: str, operator: str, value: str) -> set[str] | None:
    return members([{"system": "urn:animals", "filter": [{"property": name, "op": operator, "value": value}]}])


def test_a_whole_system_is_listed_with_its_hierarchy() -> None:
    assert members([{"system": "urn:animals"}]) == {"animal", "mammal", "cow", "bird", "hen"}


def test_named_concepts_are_listed_of_any_system() -> None:
    assert members([{"system": "urn:open", "concept": [{"code": "x"}]}]) == {"x"}


@pytest.mark.parametrize(
    ("name", "operator", "value", "expected"),
    [
        ("concept", "is-a", "bird", {"bird", "hen"}),
        ("concept", "descendent-of", "animal", {"mammal", "cow", "bird", "hen"}),
        ("concept", "is-not-a", "bird", {"animal", "mammal", "cow"}),
        ("concept", "generalizes", "hen", {"animal", "bird", "hen"}),
        ("parent", "=", "bird", {"hen"}),
        ("legs", "=", "4", {"cow"}),
        ("legs", "in", "2,4", {"bird", "cow"}),
        ("legs", "not-in", "2,4", {"animal", "mammal", "hen"}),
        ("flies", "=", "true", {"bird"}),
        ("flies", "exists", "true", {"bird"}),
        ("legs", "exists", "false", {"animal", "mammal", "hen"}),
        ("code", "regex", "[ab].*", {"animal", "bird"}),
        ("display", "=", "Hen", {"hen"}),
    ],
)
def test_filters_select_concepts(name: str, operator: str, value: str, expected: set[str]) -> None:
    assert where(name, operator, value) == expected


def test_an_excluded_part_is_taken_away() -> None:
    assert members([{"system": "urn:animals"}], [{"system": "urn:animals", "concept": [{"code": "cow"}]}]) == {
        "animal",
        "mammal",
        "bird",
        "hen",
    }


def test_imported_value_sets_and_the_system_are_intersected() -> None:
    other = {
        "url": "other",
        "compose": {"include": [{"system": "urn:animals", "concept": [{"code": "cow"}, {"code": "hen"}]}]},
    }
    birds = {"system": "urn:animals", "filter": [{"property": "concept", "op": "is-a", "value": "bird"}]}
    assert members([{**birds, "valueSet": ["other|2"]}], other=other) == {"hen"}
    assert members([{"valueSet": ["other"]}], other=other) == {"cow", "hen"}


@pytest.mark.parametrize(
    "include",
    [
        [{"system": "urn:open"}],
        [{"system": "urn:unknown"}],
        [{"valueSet": ["urn:unknown"]}],
        [{"valueSet": ["vs"]}],
        [{"system": "urn:animals"}, {"system": "urn:open"}],
        [{"system": "urn:animals", "filter": [{"property": "concept", "op": "sideways", "value": "cow"}]}],
    ],
    ids=["open system", "unknown system", "unknown set", "itself", "one part open", "unknown operator"],
)
def test_half_a_list_is_no_list(include: list[Any]) -> None:
    assert members(include) is None
