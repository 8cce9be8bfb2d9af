"""Expansions: includes, excludes, imports, versions, supplements, words, properties, pages."""

import contextlib
import json
import random
from collections.abc import Iterator, Sequence
from copy import deepcopy
from typing import Any

import pytest

from terminology.collection import Collection
from terminology.issue import TxError
from terminology.languages import Wanted
from terminology.valueset import block
from terminology.valueset.expand import Asked, expand
from terminology.versions import VersionRules
from tests.effort import within

Json = dict[str, Any]

FOOD, URL = "urn:food", "urn:set"
CORE = "http://hl7.org/fhir/StructureDefinition/"
PARAMETER = f"{CORE}valueset-expansion-parameter"


def system(*codes: str | Json, url: str = FOOD, **more: Any) -> Json:
    rows = [{"code": one, "display": one.title()} if isinstance(one, str) else one for one in codes]
    return {
        "resourceType": "CodeSystem",
        "url": url,
        "content": "complete",
        "status": "active",
        "concept": rows,
        **more,
    }


def value_set(*includes: Json, exclude: Sequence[Json] = (), url: str = URL, **more: Any) -> Json:
    compose: Json = {"include": list(includes), **({"exclude": list(exclude)} if exclude else {})}
    compose |= more.pop("compose", {})
    return {"resourceType": "ValueSet", "url": url, "status": "active", "compose": compose, **more}


def listed(*codes: str | Json, of: str = FOOD, **more: Any) -> Json:
    return {"system": of, "concept": [{"code": one} if isinstance(one, str) else one for one in codes], **more}


def chosen(name: str, op: str, value: str) -> Json:
    return {"system": FOOD, "filter": [{"property": name, "op": op, "value": value}]}


def matching(value: bool) -> Json:
    parts = [{"url": "name", "valueCode": "versionsMatch"}, {"url": "value", "valueBoolean": value}]
    return {"extension": [{"url": PARAMETER, "extension": parts}]}


async def expanded(resource: Json, *others: Json, **asked: Any) -> Json:
    answer = await expand(resource, Collection([resource, *others]), Asked(**asked))
    found: Json = answer["expansion"]
    return found


def codes(expansion: Json) -> list[str]:
    return [row["code"] + (f"@{row['version']}" if "version" in row else "") for row in expansion.get("contains", ())]


def told(expansion: Json, name: str) -> list[Any]:
    return [next(row[key] for key in row if key != "name") for row in expansion["parameter"] if row["name"] == name]


MEAL = system("apple", "bread", {"code": "cheese", "property": [{"code": "inactive", "valueBoolean": True}]}, "date")
TREE = system(
    {"code": "fruit", "concept": [{"code": "apple"}, {"code": "citrus", "concept": [{"code": "lime"}]}]}, "bread"
)


@pytest.mark.parametrize(
    ("resource", "expected"),
    [
        (value_set({"system": FOOD}), ["apple", "bread", "cheese", "date"]),
        (value_set(listed("date", "apple", "none")), ["date", "apple"]),
        (value_set(listed("date"), {"system": FOOD}), ["date", "apple", "bread", "cheese"]),
        (value_set(chosen("code", "regex", "[a-c].*")), ["apple", "bread", "cheese"]),
        (value_set({"system": FOOD}, exclude=[listed("bread", "none")]), ["apple", "cheese", "date"]),
        (value_set(listed("date", "apple"), exclude=[listed("date")]), ["apple"]),
        (value_set({"system": FOOD}, exclude=[{"system": FOOD}]), []),
        (value_set({"system": FOOD}, compose={"inactive": False}), ["apple", "bread", "date"]),
        (value_set(listed("cheese", "date"), compose={"inactive": False}), ["date"]),
        (value_set({**listed("apple", "bread"), **chosen("code", "=", "bread")}), ["bread"]),
        (value_set(), []),
    ],
)
async def test_includes_and_excludes(resource: Json, expected: list[str]) -> None:
    found = await expanded(resource, MEAL)
    assert codes(found) == expected
    assert found["total"] == len(expected)


async def test_value_sets_of_an_include_have_to_agree_and_includes_add_up() -> None:
    one = value_set(listed("apple", "bread", "date"), url="urn:one")
    other = value_set(listed("date", "cheese", "bread"), url="urn:other", version="2")
    both = await expanded(value_set({"valueSet": ["urn:one", "urn:other|2"]}), one, other, MEAL)
    assert codes(both) == ["bread", "date"]
    assert told(both, "used-valueset") == ["urn:one", "urn:other|2"]
    either = await expanded(value_set({"valueSet": ["urn:one"]}, {"valueSet": ["urn:other"]}), one, other, MEAL)
    assert codes(either) == ["apple", "bread", "date", "cheese"]
    narrowed = value_set({**chosen("code", "regex", "b.*|c.*"), "valueSet": ["urn:one"]})
    assert codes(await expanded(narrowed, one, MEAL)) == ["bread"]
    without = value_set({"system": FOOD}, exclude=[{"valueSet": ["urn:one"]}])
    assert codes(await expanded(without, one, MEAL)) == ["cheese"]
    contained = value_set({"valueSet": ["#in"]}, contained=[{**one, "id": "in"}])
    assert codes(await expanded(contained, MEAL)) == ["apple", "bread", "date"]


async def test_what_an_import_leaves_out_as_inactive_stays_out() -> None:
    one = value_set({"system": FOOD}, url="urn:one", compose={"inactive": False})
    assert codes(await expanded(value_set({"valueSet": ["urn:one"]}), one, MEAL)) == ["apple", "bread", "date"]


OLD, NEW = system("a", "b", "c", version="1.0"), system("a", "b", {"code": "d", "display": "New"}, version="2.0")
FIRST, SECOND = {"system": FOOD, "version": "1.0"}, {"system": FOOD, "version": "2.0"}


@pytest.mark.parametrize(
    ("resource", "expected"),
    [
        (value_set({"system": FOOD}), ["a", "b", "d"]),
        (value_set(FIRST), ["a", "b", "c"]),
        (value_set({**FIRST, "version": "1.x"}), ["a", "b", "c"]),
        (value_set(FIRST, SECOND), ["a@1.0", "b@1.0", "c@1.0", "a@2.0", "b@2.0", "d@2.0"]),
        (value_set(FIRST, SECOND, compose=matching(True)), ["a@2.0", "b@2.0", "d@2.0", "c@1.0"]),
        (value_set(SECOND, exclude=[FIRST]), ["d@2.0"]),
        (value_set(SECOND, exclude=[FIRST], compose=matching(False)), ["a@2.0", "b@2.0", "d@2.0"]),
        (value_set(FIRST, SECOND, exclude=[listed("a", version="1.0")]), ["b@1.0", "c@1.0", "b@2.0", "d@2.0"]),
        (value_set({**FIRST, "valueSet": ["urn:new"]}), ["a", "b"]),
    ],
)
async def test_versions_of_a_code_system(resource: Json, expected: list[str]) -> None:
    assert codes(await expanded(resource, OLD, NEW, value_set(SECOND, url="urn:new"))) == expected


async def test_versions_that_are_too_large_are_not_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(block, "MOST_COMPARED", 2)
    with pytest.raises(TxError, match="to compare"):
        await expanded(value_set(SECOND, exclude=[FIRST]), OLD, NEW)


async def test_a_parameter_says_which_version() -> None:
    rules = VersionRules.read({"force-system-version": [f"{FOOD}|1.x"]})
    found = await expanded(value_set(SECOND), OLD, NEW, rules=rules)
    assert codes(found) == ["a", "b", "c"]
    assert told(found, "force-system-version") == [f"{FOOD}|1.x"]
    assert told(found, "used-codesystem") == [f"{FOOD}|1.0"]
    checked = VersionRules.read({"check-system-version": [f"{FOOD}|1.x"]})
    with pytest.raises(TxError, match=r"required to be '1\.x'"):
        await expanded(value_set(SECOND), OLD, NEW, rules=checked)


@pytest.mark.parametrize(
    ("resource", "said"),
    [
        (value_set({"system": "urn:none"}), "'urn:none' could not be found"),
        (value_set({**FIRST, "version": "7"}), "Valid versions: 1.0 or 2.0"),
        (value_set({"valueSet": ["urn:nowhere"]}), "included value set 'urn:nowhere'"),
        (value_set({"valueSet": ["urn:a|9"]}), "'urn:a' version '9'"),
        (value_set({"valueSet": ["#gone"]}), "included value set '#gone'"),
        (value_set({"valueSet": [FOOD]}), "actually a code system"),
        (value_set({"valueSet": ["urn:a"]}), r"pathway \[urn:set, urn:a, urn:b\]"),
        (value_set({"system": FOOD, "filter": [{"property": "concept", "op": "is-a"}]}), "has no value"),
        (value_set(chosen("wings", "=", "2")), '"wings = 2" from the value set urn:set was not understood'),
        ({"resourceType": "ValueSet", "url": URL}, "no compose and no expansion"),
        (value_set(FIRST, extension=[{"url": f"{CORE}valueset-supplement", "valueCanonical": "urn:s"}]), "urn:s"),
    ],
)
async def test_what_cannot_be_expanded_is_told(resource: Json, said: str) -> None:
    others = [value_set({"valueSet": [to]}, url=at) for at, to in (("urn:a", "urn:b"), ("urn:b", "urn:a"))]
    with pytest.raises(TxError, match=said):
        await expanded(resource, OLD, NEW, *others)


async def test_many_imports_of_the_same_are_worked_out_once() -> None:
    chain = [
        value_set({"valueSet": [f"urn:{one + 1}"]}, {"valueSet": [f"urn:{one + 1}"]}, url=f"urn:{one}")
        for one in range(40)
    ]
    last = value_set(listed("apple"), url="urn:40")
    assert codes(await expanded(chain[0], *chain[1:], last, MEAL)) == ["apple"]


async def test_imports_in_a_long_line_are_refused() -> None:
    chain = [value_set({"valueSet": [f"urn:{one + 1}"]}, url=f"urn:{one}") for one in range(200)]
    with pytest.raises(TxError, match="more than 50 others in a row"):
        await expanded(chain[0], *chain[1:], MEAL)


async def test_a_contained_value_set_is_known_to_its_own_only() -> None:
    inner = {**value_set(listed("apple"), url="urn:inner"), "id": "in"}
    other = value_set({"valueSet": ["#in"]}, url="urn:other")
    with pytest.raises(TxError, match="'#in'"):
        await expanded(value_set({"valueSet": ["urn:other"]}, contained=[inner]), other, MEAL)


async def test_thousands_of_includes_take_no_time() -> None:
    many = system(*(f"c{one}" for one in range(3_000)))
    resource = value_set(
        *(listed(f"c{one}") for one in range(3_000)), exclude=[listed(f"c{one}") for one in range(1, 3_000)]
    )
    with within(5):
        assert codes(await expanded(resource, many)) == ["c0"]


async def test_why_a_filter_cannot_be_is_told_besides() -> None:
    with pytest.raises(TxError) as refused:
        await expanded(value_set(chosen("wings", "=", "2")), OLD)
    (found,) = refused.value.issues
    assert "has no property 'wings'" in found.diagnostics
    assert found.path == "ValueSet[urn:set].compose.include[0].filter[0]"


async def test_filters_of_r5_stand_in_an_extension() -> None:
    url = "http://hl7.org/fhir/5.0/StructureDefinition/extension-ValueSet.compose.include.filter.op"
    rule = {"property": "concept", "value": "fruit", "_op": {"extension": [{"url": url, "valueCode": "child-of"}]}}
    assert codes(await expanded(value_set({"system": FOOD, "filter": [rule]}), TREE)) == ["apple", "citrus"]


async def test_a_tree_is_a_tree_unless_something_cuts_it() -> None:
    def shape(rows: Sequence[Json]) -> list[Any]:
        return [[row["code"], *shape(row.get("contains", ()))] for row in rows]

    whole = value_set({"system": FOOD})
    tree = [["fruit", ["apple"], ["citrus", ["lime"]]], ["bread"]]
    assert shape((await expanded(whole, TREE))["contains"]) == tree
    flat = ["fruit", "apple", "citrus", "lime", "bread"]
    for asked in ({"flat": True}, {"count": 9}, {"offset": 0}):
        assert codes(await expanded(whole, TREE, **asked)) == flat
    assert codes(await expanded(value_set({"valueSet": [URL]}, url="urn:x"), whole, TREE)) == flat
    below = await expanded(value_set(chosen("concept", "is-a", "fruit")), TREE)
    assert shape(below["contains"]) == tree[:1]


async def test_deep_trees_and_circles_are_lists() -> None:
    deep: Json = {"code": "0"}
    for one in range(1, 300):
        deep = {"code": str(one), "concept": [deep]}
    assert len(codes(await expanded(value_set({"system": FOOD}), system(deep)))) == 300
    circle = system(*({"code": a, "property": [{"code": "parent", "valueCode": b}]} for a, b in ("ab", "ba")), "c")
    assert codes(await expanded(value_set({"system": FOOD}), circle)) == ["a", "b", "c"]


async def test_pages_go_through_all_blocks() -> None:
    other = system("x", "y", "z", url="urn:other")
    resource = value_set(listed("date", "apple"), {"system": "urn:other"}, listed("bread"))
    whole = codes(await expanded(resource, MEAL, other))
    assert whole == ["date", "apple", "x", "y", "z", "bread"]
    for size in (1, 2, 3, 4, 7):
        pages = [await expanded(resource, MEAL, other, offset=at, count=size) for at in range(0, 6, size)]
        assert [code for page in pages for code in codes(page)] == whole
        assert {page["total"] for page in pages} == {6}
    assert codes(await expanded(resource, MEAL, other, offset=99, count=1)) == []


async def test_more_than_the_limit_is_refused_but_for_pages() -> None:
    with pytest.raises(TxError, match=r">3\)\. Ask for a page") as refused:
        await expanded(value_set({"system": FOOD}), MEAL, limit=3)
    assert refused.value.issues[0].code == "too-costly"
    assert len(codes(await expanded(value_set({"system": FOOD}), MEAL, limit=3, count=100))) == 3


async def test_a_text_finds_words_of_the_value_set_too() -> None:
    resource = value_set(listed({"code": "bread", "display": "Our daily loaf"}, "date"))
    assert codes(await expanded(resource, MEAL, text="dai lo")) == ["bread"]
    assert codes(await expanded(resource, MEAL, text="dat")) == ["date"]
    assert codes(await expanded(resource, MEAL, text="xyz")) == []


async def test_active_and_selectable_concepts_only() -> None:
    abstract = system({"code": "g", "property": [{"code": "notSelectable", "valueBoolean": True}]}, "h")
    assert codes(await expanded(value_set({"system": FOOD}), abstract, selectable=True)) == ["h"]
    assert codes(await expanded(value_set({"system": FOOD}), MEAL, active=True)) == ["apple", "bread", "date"]
    row = (await expanded(value_set(listed("cheese")), MEAL))["contains"][0]
    assert row["inactive"] is True


async def test_code_systems_are_left_out() -> None:
    resource = value_set(FIRST, SECOND, listed("x", of="urn:other"))
    found = await expanded(resource, OLD, NEW, system("x", url="urn:other"), excluded=(f"{FOOD}|2.0", "urn:other"))
    assert codes(found) == ["a@1.0", "b@1.0", "c@1.0"]


WORDS = system(
    {
        "code": "a",
        "display": "Apple",
        "definition": "A fruit",
        "designation": [{"language": "de", "value": "Apfel"}, {"language": "fr", "value": "Pomme"}],
        "property": [{"code": "weight", "valueInteger": 5}, {"code": "kind", "valueCoding": {"code": "k"}}],
    },
    language="en",
    property=[{"code": "weight", "type": "integer", "uri": "urn:weight"}],
)


async def test_displays_and_designations_follow_the_languages() -> None:
    (row,) = (await expanded(value_set({"system": FOOD}), WORDS, languages=Wanted.read("de")))["contains"]
    assert (row["display"], "designation" in row) == ("Apfel", False)
    found = await expanded(value_set({"system": FOOD}), WORDS, languages=Wanted.read("de"), designations=True)
    assert [(one["language"], one["value"]) for one in found["contains"][0]["designation"]] == [
        ("en", "Apple"),
        ("fr", "Pomme"),
    ]
    (row,) = (await expanded(value_set({"system": FOOD}), WORDS, languages=Wanted.read("es, *;q=0")))["contains"]
    assert "display" not in row
    own = value_set(listed({"code": "a", "display": "An apple a day"}), language="en")
    (row,) = (await expanded(own, WORDS))["contains"]
    assert row["display"] == "An apple a day"


async def test_properties_are_told_by_extensions() -> None:
    found = await expanded(value_set({"system": FOOD}), WORDS, properties=("weight", "definition", "kind", "none"))
    base = "http://hl7.org/fhir/5.0/StructureDefinition/extension-ValueSet.expansion."
    meanings = {
        parts[0]["valueCode"]: parts[1]["valueUri"] if len(parts) > 1 else ""
        for parts in (one["extension"] for one in found["extension"] if one["url"] == f"{base}property")
    }
    assert meanings == {
        "weight": "urn:weight",
        "definition": "http://hl7.org/fhir/concept-properties#definition",
        "kind": "",
    }
    rows = [one["extension"] for one in found["contains"][0]["extension"] if one["url"] == f"{base}contains.property"]
    assert rows == [
        [{"url": "code", "valueCode": "weight"}, {"url": "value", "valueInteger": 5}],
        [{"url": "code", "valueCode": "definition"}, {"url": "value", "valueString": "A fruit"}],
        [{"url": "code", "valueCode": "kind"}, {"url": "value", "valueCoding": {"code": "k"}}],
    ]


async def test_what_is_right_above_and_below_is_a_property_too() -> None:
    found = await expanded(value_set(listed("citrus")), TREE, properties=("parent", "child"))
    parts = [one["extension"] for one in found["contains"][0]["extension"]]
    assert [(one[0]["valueCode"], one[1]["valueCode"]) for one in parts] == [("parent", "fruit"), ("child", "lime")]


async def test_supplements_add_words_and_properties() -> None:
    supplement = {
        "resourceType": "CodeSystem",
        "url": "urn:more",
        "version": "3",
        "content": "supplement",
        "supplements": FOOD,
        "property": [{"code": "colour", "type": "string"}],
        "concept": [
            {
                "code": "a",
                "designation": [{"language": "nl", "value": "Appel"}],
                "property": [{"code": "colour", "valueString": "red"}],
            }
        ],
    }
    asked = {"supplements": ("urn:more|3",), "languages": Wanted.read("nl"), "properties": ("colour",)}
    found = await expanded(value_set(chosen("colour", "=", "red")), WORDS, supplement, **asked)
    (row,) = found["contains"]
    assert row["display"] == "Appel"
    assert row["extension"][0]["extension"][1] == {"url": "value", "valueString": "red"}
    assert told(found, "used-supplement") == ["urn:more|3"]
    assert codes(await expanded(value_set({"system": FOOD}), WORDS, supplement, text="app", **asked)) == ["a"]
    with pytest.raises(TxError, match=r"urn:more\|4"):
        await expanded(value_set({"system": FOOD}), WORDS, supplement, supplements=("urn:more|4",))


async def test_a_fragment_makes_an_unclosed_expansion() -> None:
    found = await expanded(value_set({"system": FOOD}), system("a", content="fragment"))
    assert [one.get("valueBoolean", one.get("valueString")) for one in found["extension"]] == [
        True,
        f"This extension is based on a fragment of the code system {FOOD}",
    ]
    assert told(found, "used-fragment") == [FOOD]


async def test_a_grammar_tells_its_well_known_codes_and_those_that_are_listed() -> None:
    from terminology.catalogue import Layered
    from terminology.codesystem.native import Native

    async def of(resource: Json) -> Json:
        answer = await expand(resource, Layered(Collection([resource]), Native()), Asked(limit=50_000))
        found: Json = answer["expansion"]
        return found

    ucum = "http://unitsofmeasure.org"
    whole = await of(value_set({"system": ucum}))
    assert "total" not in whole
    assert "mg" in codes(whole)
    assert whole["extension"][0]["valueBoolean"] is True
    some = await of(value_set(listed("10.mg{tablet}", "kg", "no unit", of=ucum)))
    assert (codes(some), some["total"]) == (["10.mg{tablet}", "kg"], 2)
    assert codes(
        await of(value_set(listed("10.mg{tablet}", "kg", of=ucum), exclude=[listed("10.mg{tablet}", of=ucum)]))
    ) == ["kg"]


async def test_listed_codes_of_an_unknown_code_system_are_told_as_they_are() -> None:
    found = await expanded(value_set(listed({"code": "q", "display": "Queue"}, of="urn:unknown")))
    assert found["contains"] == [{"system": "urn:unknown", "code": "q", "display": "Queue"}]
    assert told(found, "warning-unknown-codesystem") == ["urn:unknown"]


async def test_a_stored_expansion_counts_where_there_is_no_compose() -> None:
    rows = [{"system": FOOD, "code": "date", "contains": [{"system": FOOD, "code": "gone", "display": "Gone"}]}]
    kept = {"resourceType": "ValueSet", "url": "urn:kept", "expansion": {"contains": rows}}
    found = await expanded(kept, MEAL)
    assert [(row["code"], row["display"]) for row in found["contains"]] == [("date", "Date"), ("gone", "Gone")]
    assert codes(await expanded(value_set({"valueSet": ["urn:kept"]}), kept, MEAL)) == ["date", "gone"]
    assert codes(await expanded({**kept, "expansion": {}}, MEAL)) == []


async def test_status_of_what_is_used_is_told() -> None:
    draft = system("a", status="draft")
    assert told(await expanded(value_set({"system": FOOD}), draft), "warning-draft") == [FOOD]
    known = await expanded(value_set({"system": FOOD}, status="draft"), draft)
    assert told(known, "warning-draft") == []
    old = system("a", extension=[{"url": f"{CORE}structuredefinition-standards-status", "valueCode": "withdrawn"}])
    assert told(await expanded(value_set({"system": FOOD}), old), "warning-withdrawn") == [FOOD]


async def test_the_definition_is_told_when_asked() -> None:
    resource = value_set({"system": FOOD}, description="Words", publisher="Us")
    answer = await expand(resource, Collection([resource, MEAL]), Asked())
    assert set(answer) == {"resourceType", "url", "status", "expansion"}
    answer = await expand(resource, Collection([resource, MEAL]), Asked(definition=True))
    assert {key: answer[key] for key in resource} == resource


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    for key, one in list(value.items() if isinstance(value, dict) else enumerate(value)):
        yield value, key
        if isinstance(one, dict | list):
            yield from _places(one)


@pytest.mark.parametrize("seed", range(8))
async def test_what_is_not_as_it_should_be_is_passed_over_or_refused(seed: int) -> None:
    chance = random.Random(seed)
    junk: list[Any] = [None, 5, [], {}, "x", True, [None], [{}], {"url": []}, [["x"]], -1, ""]
    label = {"extension": [{"url": f"{CORE}valueset-label", "valueString": "a."}]}
    resource = value_set(
        {**chosen("code", "regex", "[a-d].*"), "valueSet": ["urn:one"], "version": "1"},
        exclude=[listed("c")],
        compose=matching(True),
        extension=[{"url": f"{CORE}valueset-supplement", "valueCanonical": "urn:more"}],
    )
    one = value_set(listed("a", {"code": "b", "display": "Bee", **label}, version="1"), listed("c"), url="urn:one")
    more = system({"code": "a", "designation": [{"value": "Ah", "language": "de"}]}, url="urn:more", supplements=FOOD)
    others = [one, {**more, "content": "supplement"}, {**WORDS, "version": "1"}, system("a", "c", version="2")]
    for _ in range(60):
        everything = deepcopy([resource, *others])
        for _ in range(chance.randint(1, 3)):
            holder, key = chance.choice(list(_places(everything[chance.randrange(len(everything))])))
            holder[key] = deepcopy(chance.choice(junk))
        asked = Asked(text=chance.choice(["", "a"]), designations=True, properties=("weight", "parent"))
        with contextlib.suppress(TxError):
            json.dumps(await expand(everything[0], Collection(everything), asked), default=str)


async def test_a_page_of_many_is_quick() -> None:
    many = Collection([system(*(f"c{one}" for one in range(25_000)))])
    resource = value_set({"system": FOOD}, exclude=[listed("c5")])
    await expand(resource, many, Asked(count=1))
    with within(2):
        for at in range(20):
            await expand(resource, many, Asked(offset=at * 1000, count=100))
