"""A code system in a resource: its concepts, their hierarchy, what is stated of them, and the filters on that."""

from decimal import Decimal
from typing import Any

import pytest

from profiles.definitions.registry import load
from terminology.codesystem.listed import Listed
from terminology.codesystem.provider import Filter, InvalidFilter
from terminology.codesystem.statements import outline
from terminology.concept import Designation, Property
from tests.effort import within

Json = dict[str, Any]
PROPERTIES = "http://hl7.org/fhir/concept-properties#"


def system(*concepts: Json, **more: Any) -> Json:
    return {
        "resourceType": "CodeSystem",
        "url": "http://example.org/animals",
        "version": "2.1",
        "content": "complete",
        "concept": list(concepts),
        **more,
    }


def animals(**more: Any) -> Listed:
    cat = {"code": "cat", "display": "Cat", "property": [{"code": "legs", "valueInteger": 4}]}
    bird = {"code": "bird", "display": "Bird", "property": [{"code": "legs", "valueInteger": 2}]}
    dog = {
        "code": "dog",
        "display": "Dog",
        "concept": [{"code": "pug", "display": "Pug", "property": [{"code": "inactive", "valueBoolean": True}]}],
    }
    mammal = {
        "code": "mammal",
        "display": "Mammal",
        "property": [{"code": "notSelectable", "valueBoolean": True}],
        "concept": [cat, dog],
    }
    return Listed(system(mammal, bird, {"code": "stone", "display": "Stone"}, **more))


async def codes(listed: Listed, name: str, op: str, value: str) -> list[str]:
    return [one.code for one in await listed.concepts(list(await listed.select(Filter(name, op, value))))]


@pytest.mark.parametrize(
    ("name", "op", "value", "expected"),
    [
        ("concept", "=", "cat", ["cat"]),
        ("code", "=", "none", []),
        ("concept", "is-a", "dog", ["dog", "pug"]),
        ("concept", "descendent-of", "mammal", ["cat", "dog", "pug"]),
        ("concept", "is-not-a", "mammal", ["bird", "stone"]),
        ("concept", "child-of", "mammal", ["cat", "dog"]),
        ("concept", "descendent-leaf", "mammal", ["cat", "pug"]),
        ("concept", "generalizes", "pug", ["mammal", "dog", "pug"]),
        ("code", "regex", "[a-d].*", ["cat", "dog", "bird"]),
        ("code", "regex", "o", []),
        ("display", "regex", "(Dog|Pug)", ["dog", "pug"]),
        ("display", "=", "Stone", ["stone"]),
        ("concept", "in", "cat, stone,none", ["cat", "stone"]),
        ("concept", "not-in", "cat,stone", ["mammal", "dog", "pug", "bird"]),
        ("legs", "=", "4", ["cat"]),
        ("legs", "in", "2,4", ["cat", "bird"]),
        ("legs", "not-in", "4", ["mammal", "dog", "pug", "bird", "stone"]),
        ("legs", "exists", "true", ["cat", "bird"]),
        ("legs", "exists", "false", ["mammal", "dog", "pug", "stone"]),
        ("parent", "=", "mammal", ["cat", "dog"]),
        ("parent", "exists", "false", ["mammal", "bird", "stone"]),
        ("child", "=", "pug", ["dog"]),
        ("child", "exists", "true", ["mammal", "dog"]),
        ("inactive", "=", "true", ["pug"]),
        ("notSelectable", "=", "TRUE", ["mammal"]),
        ("notSelectable", "=", "false", []),
        ("status", "=", "retired", []),
    ],
)
async def test_a_filter_selects(name: str, op: str, value: str, expected: list[str]) -> None:
    listed = animals()
    assert await codes(listed, name, op, value) == expected
    for code in ("mammal", "pug", "stone"):
        concept = await listed.find(code)
        assert concept is not None
        assert await listed.holds(Filter(name, op, value), concept) is (code in expected)


@pytest.mark.parametrize(
    ("name", "op", "value", "said"),
    [
        ("concept", "is-a", "unicorn", "'unicorn' of the filter is not in the code system"),
        ("concept", "like", "cat", "has no filter 'concept like'"),
        ("legs", "is-a", "cat", "has no filter 'legs is-a'"),
        ("wings", "=", "2", "has no property 'wings'"),
        ("code", "regex", "(", "is no regular expression"),
        ("code", "regex", "(?=a)b", "is no regular expression"),
        ("code", "regex", "a" * 2_001, "2001 characters"),
        ("legs", "exists", "perhaps", "true or false"),
    ],
)
async def test_a_filter_that_cannot_be_is_told(name: str, op: str, value: str, said: str) -> None:
    with pytest.raises(InvalidFilter, match=said.replace("(", r"\(")):
        await animals().select(Filter(name, op, value))


async def test_a_fragment_may_lack_the_code_of_a_filter() -> None:
    assert await codes(animals(content="fragment"), "concept", "is-a", "unicorn") == []


async def test_a_hostile_expression_takes_no_time() -> None:
    listed = Listed(system(*({"code": "a" * 40 + str(one)} for one in range(1_000))))
    with within(2):
        assert await codes(listed, "code", "regex", "((a+)+)+") == []


async def test_a_concept_has_all_that_is_said_of_it() -> None:
    listed = Listed(
        system(
            {
                "code": "A",
                "display": "Ah",
                "definition": "The first",
                "extension": [{"url": "http://example.org/e", "valueString": "x"}],
                "designation": [{"language": "de", "value": "Aha", "use": {"code": "synonym"}}, {"language": "fr"}],
                "property": [
                    {"code": "weight", "valueDecimal": Decimal("1.50")},
                    {"code": "kind", "valueCoding": {"system": "http://example.org/k", "code": "v"}},
                    {"code": "status", "valueCode": "retired"},
                ],
            }
        )
    )
    concept = await listed.find("A")
    assert concept is not None
    assert (concept.display, concept.definition, concept.ordinal) == ("Ah", "The first", 0)
    assert (concept.inactive, concept.abstract, concept.status) == (True, False, "retired")
    assert concept.designations == (Designation("Aha", "de", {"code": "synonym"}),)
    assert concept.properties == (
        Property("weight", Decimal("1.50"), "decimal"),
        Property("kind", {"system": "http://example.org/k", "code": "v"}, "Coding"),
        Property("status", "retired", "code"),
    )
    assert await codes(listed, "kind", "=", "v") == await codes(listed, "kind", "=", "http://example.org/k|v") == ["A"]
    assert await codes(listed, "weight", "=", "1.50") == ["A"]


@pytest.mark.parametrize(
    ("stated", "inactive", "status"),
    [
        ([{"code": "inactive", "valueBoolean": True}], True, ""),
        ([{"code": "status", "valueCode": "inactive"}], True, "inactive"),
        ([{"code": "status", "valueCode": "retired"}, {"code": "inactive", "valueBoolean": False}], False, "retired"),
        ([{"code": "retirementDate", "valueDateTime": "2001-01-01"}], True, "retired"),
        ([{"code": "retirementDate", "valueDateTime": "2999-01-01"}], False, ""),
        ([{"code": "deprecationDate", "valueDateTime": "2001"}], False, "deprecated"),
        ([{"code": "old", "valueBoolean": True}], True, ""),
        ([{"code": "colour", "valueString": "retired"}], False, ""),
    ],
)
async def test_standard_properties_say_what_is_not_used_any_more(
    stated: list[Json], inactive: bool, status: str
) -> None:
    declared = [{"code": "old", "uri": f"{PROPERTIES}inactive", "type": "boolean"}]
    listed = Listed(system({"code": "A", "property": stated}, property=declared))
    concept = await listed.find("A")
    assert concept is not None
    assert (concept.inactive, concept.status) == (inactive, status)
    assert list(await listed.inactive()) == ([0] if inactive else [])


async def test_a_property_of_another_name_is_known_by_what_it_means() -> None:
    listed = Listed(
        system(
            {"code": "A", "property": [{"code": "not-for-use", "valueBoolean": True}]},
            property=[{"code": "not-for-use", "uri": f"{PROPERTIES}notSelectable", "type": "boolean"}],
        )
    )
    assert list(await listed.abstract()) == [0]
    assert await codes(listed, "notSelectable", "=", "true") == ["A"]


async def test_properties_make_a_hierarchy_too() -> None:
    listed = Listed(
        system(
            {"code": "A", "property": [{"code": "child", "valueCode": "C"}]},
            {"code": "B", "property": [{"code": "narrower", "valueCode": "C"}]},
            {"code": "C", "property": [{"code": "subsumedBy", "valueCode": "D"}, {"code": "parent", "valueCode": "?"}]},
            {"code": "D", "concept": [{"code": "C"}, {"code": "E"}]},
            property=[
                {"code": "subsumedBy", "uri": f"{PROPERTIES}parent", "type": "code"},
                {"code": "narrower", "uri": f"{PROPERTIES}child", "type": "code"},
            ],
        )
    )
    assert await codes(listed, "concept", "generalizes", "C") == ["A", "B", "C", "D"]
    assert await listed.roots() == [0, 1, 3]
    assert await listed.children(3) == (2, 4)
    assert listed.head.count == 5
    assert listed.head.hierarchy == "is-a"


async def test_a_circle_ends() -> None:
    listed = Listed(
        system(*({"code": a, "property": [{"code": "parent", "valueCode": b}]} for a, b in ("AB", "BC", "CA")))
    )
    assert await codes(listed, "concept", "descendent-of", "A") == ["B", "C"]
    assert await codes(listed, "concept", "generalizes", "A") == ["A", "B", "C"]
    assert await listed.roots() == []


async def test_case_matters_unless_it_is_said_that_it_does_not() -> None:
    assert await animals().find("CAT") is None
    found = await animals(caseSensitive=False).find("CAT")
    assert found is not None
    assert found.code == "cat"
    assert await codes(animals(caseSensitive=False), "concept", "is-a", "DOG") == ["dog", "pug"]


async def test_a_text_finds_words_by_their_beginnings() -> None:
    listed = Listed(
        system(
            {"code": "1", "display": "Sjögren syndrome with myopathy"},
            {"code": "2", "display": "Sjögren syndrome"},
            {"code": "3", "display": "Dry eye", "designation": [{"value": "Sicca (SJOGREN)"}]},
            {"code": "4", "display": "Wasjogren"},
        )
    )
    assert await listed.matching("sjogren", await listed.everything()) == [2, 1, 0]
    assert await listed.matching("syn sjö", await listed.everything()) == [1, 0]
    assert await listed.matching("4", await listed.everything()) == [3]


async def test_what_is_not_as_it_should_be_is_left_out() -> None:
    listed = Listed(
        {
            "url": 5,
            "property": [{"uri": "x"}, 7],
            "concept": [
                {"display": "no code"},
                "text",
                {"code": "A", "display": 5, "property": [{"valueCode": "x"}, 3], "designation": {}, "concept": {}},
                {"code": "A", "display": "again", "concept": [{"code": "B"}]},
            ],
        }
    )
    assert [one.code for one in await listed.concepts([0, 1])] == ["A", "B"]
    assert await listed.children(0) == (1,)
    assert listed.head.url == ""


async def test_depth_and_breadth_do_no_harm() -> None:
    deep: Json = {"code": "0"}
    for one in range(1, 20_000):
        deep = {"code": str(one), "concept": [deep]}
    with within(10):
        listed = Listed(system(deep, *({"code": f"x{one}"} for one in range(100_000))))
        assert listed.head.count == 120_000
        assert len(await codes(listed, "concept", "is-a", "19999")) == 20_000


async def test_elements_of_r5_count() -> None:
    assert animals(versionAlgorithmString="semver").head.version_algorithm == "semver"
    assert animals(versionAlgorithmCoding={"code": "date"}).head.version_algorithm == "date"


def test_an_outline_says_the_same_as_the_whole() -> None:
    odd = system(
        {"code": "a", "concept": [{"code": "a"}, {"display": "no code", "concept": [{"code": "b"}]}]},
        {"code": "b", "property": [{"code": "parent", "valueCode": "b"}, {"code": "parent", "valueCode": "none"}]},
    )
    resources = [odd, system(), *load().terminology.code_systems.values()]
    assert [outline(one) for one in resources] == [Listed(one).head for one in resources]
