"""Translation by concept maps: both directions, dependencies, products, codes without a row, several maps."""

from collections.abc import Sequence
from typing import Any

import pytest

from terminology.collection import Collection
from terminology.conceptmap import Dependency, Question, Translation, Translator
from terminology.mapping import Indexes
from tests.effort import within

Json = dict[str, Any]
LOCAL, LOINC = "urn:local", "http://loinc.org"


def concept_map(name: str, *elements: Json, source: str = LOCAL, target: str = LOINC, **more: Any) -> Json:
    group = {"source": source, "target": target, "element": list(elements), **more.pop("group", {})}
    return {"resourceType": "ConceptMap", "url": f"urn:map:{name}", "version": "1", "group": [group], **more}


def row(code: str, *targets: Json) -> Json:
    return {"code": code, "target": list(targets)}


def to(code: str, equivalence: str = "equivalent", **more: Any) -> Json:
    return {"code": code, "equivalence": equivalence, **more}


async def asked(question: Question, *maps: Json, others: Sequence[Json] = ()) -> Translation:
    return await Translator(Collection((*maps, *others)), Indexes()).translate(maps, question)


def codes(found: Translation) -> list[tuple[str | None, str]]:
    return [(match.concept["code"] if match.concept else None, match.equivalence) for match in found.matches]


async def test_a_code_is_translated_forth_and_back() -> None:
    given = concept_map("a", row("hb", to("718-7", "wider", display="Hemoglobin")), row("wbc", to("6690-2")))
    forth = await asked(Question("hb", LOCAL), given)
    assert forth.result
    (match,) = forth.matches
    assert match.concept == {"system": LOINC, "code": "718-7", "display": "Hemoglobin"}
    assert (match.equivalence, match.origin, match.given) == (
        "wider",
        "urn:map:a|1",
        {"system": LOCAL, "code": "hb"},
    )
    back = await asked(Question("718-7", LOINC, reverse=True), given)
    assert codes(back) == [("hb", "narrower")]
    assert not (await asked(Question("hb", LOCAL, reverse=True), given)).matches
    assert not (await asked(Question("718-7", LOINC), given)).matches


@pytest.mark.parametrize(
    ("question", "found"),
    [
        (Question("hb", "urn:other"), False),
        (Question("hb"), True),
        (Question("HB", LOCAL), False),
        (Question("hb", LOCAL, to=LOINC), True),
        (Question("hb", LOCAL, to="urn:other"), False),
        (Question("hb", LOCAL, version="1"), True),
        (Question("hb", LOCAL, version="2"), False),
        (Question("hb", LOCAL, scope="urn:vs:from|3"), True),
        (Question("hb", LOCAL, scope="urn:vs:other"), False),
        (Question("hb", LOCAL, target_scope="urn:vs:to"), True),
        (Question("hb", LOCAL, target_scope="urn:vs:from"), False),
    ],
)
async def test_a_map_counts_for_its_systems_versions_and_value_sets(question: Question, found: bool) -> None:
    given = concept_map(
        "a", row("hb", to("718-7")), group={"sourceVersion": "1"}, sourceUri="urn:vs:from", targetCanonical="urn:vs:to"
    )
    assert (await asked(question, given)).result is found


async def test_that_there_is_no_translation_is_an_answer_and_no_unmapped_code() -> None:
    fixed = {"unmapped": {"mode": "fixed", "code": "other"}}
    given = concept_map("a", row("x", {"equivalence": "unmatched"}), row("y", to("z", "disjoint")), group=fixed)
    none = await asked(Question("x", LOCAL), given)
    assert (codes(none), none.result) == ([(None, "unmatched")], False)
    apart = await asked(Question("y", LOCAL), given)
    assert (codes(apart), apart.result) == ([("z", "disjoint")], False)
    assert codes(await asked(Question("unknown", LOCAL), given)) == [("other", "relatedto")]


async def test_a_map_of_r5_says_the_same() -> None:
    elements: list[Json] = [
        {"code": "x", "noMap": True},
        row("y", {"code": "z", "relationship": "source-is-narrower-than-target"}),
    ]
    given = concept_map("a", *elements, source=f"{LOCAL}|1", group={"unmapped": {"mode": "use-source-code"}})
    assert codes(await asked(Question("x", LOCAL), given)) == [(None, "unmatched")]
    assert codes(await asked(Question("y", LOCAL, "1"), given)) == [("z", "wider")]
    assert not (await asked(Question("y", LOCAL, "2"), given)).matches
    assert codes(await asked(Question("w", LOCAL), given)) == [("w", "equal")]


async def test_a_row_counts_where_what_it_depends_on_holds() -> None:
    male = {"property": "urn:sex", "system": "urn:sexes", "value": "m"}
    female = {"property": "urn:sex", "value": "f"}
    product = {"property": "urn:site", "system": "urn:sites", "value": "arm", "display": "Arm"}
    given = concept_map(
        "a",
        row("hb", to("M", dependsOn=[male], product=[product]), to("F", dependsOn=[female])),
        group={"unmapped": {"mode": "fixed", "code": "other"}},
    )

    def known(system: str, value: str) -> Question:
        return Question("hb", LOCAL, dependencies=(Dependency("urn:sex", frozenset({(system, value)})),))

    (match,) = (await asked(known("urn:sexes", "m"), given)).matches
    assert match.concept == {"system": LOINC, "code": "M"}
    assert match.products == (("urn:site", {"system": "urn:sites", "code": "arm", "display": "Arm"}),)
    assert codes(await asked(known("urn:elsewhere", "f"), given)) == [("F", "equivalent")]
    assert codes(await asked(known("urn:elsewhere", "m"), given)) == [("other", "relatedto")]
    unknown = await asked(Question("hb", LOCAL), given)
    assert (unknown.matches, unknown.wanting) == ([], {"urn:sex"})


async def test_codes_without_a_row_go_to_another_map_and_never_round_in_circles() -> None:
    def led(name: str, url: str, *elements: Json) -> Json:
        return concept_map(name, *elements, group={"unmapped": {"mode": "other-map", "url": url}})

    last = concept_map("c", row("x", to("found")))
    chain = [led("a", "urn:map:b|1"), led("b", "urn:map:c"), last]
    found = await asked(Question("x", LOCAL), chain[0], others=chain[1:])
    assert [(match.concept, match.origin) for match in found.matches] == [
        ({"system": LOINC, "code": "found"}, "urn:map:c|1")
    ]
    circle = [led("a", "urn:map:b"), led("b", "urn:map:a")]
    lost = await asked(Question("x", LOCAL), circle[0], others=circle[1:])
    assert (lost.matches, lost.circles, lost.missing) == ([], {"urn:map:a"}, set())
    absent = await asked(Question("x", LOCAL), led("a", "urn:map:b|7"), others=[circle[1]])
    assert absent.missing == {"urn:map:b|7"}


async def test_several_maps_answer_together_and_each_translation_once() -> None:
    one, other = concept_map("a", row("x", to("1"), to("1"))), concept_map("b", row("x", to("2"), to("1", "wider")))
    found = await asked(Question("x", LOCAL), one, other)
    assert codes(found) == [("1", "equivalent"), ("2", "equivalent"), ("1", "wider")]


@pytest.mark.parametrize(
    "broken",
    [
        {"group": "x"},
        {"group": [1, {"element": [None, {"code": 1}, {"code": "x", "target": [1, {"code": 2}]}]}]},
        {"group": [{"element": [{"code": "x", "target": {}}], "unmapped": 1}], "url": 1, "sourceUri": []},
        {"group": [{"unmapped": {"mode": "fixed"}}, {"unmapped": {"mode": "other-map"}}, {"unmapped": {"mode": []}}]},
    ],
)
async def test_what_is_no_map_translates_nothing(broken: Json) -> None:
    for reverse in (False, True):
        assert not (await asked(Question("x", LOCAL, reverse=reverse), {**concept_map("a"), **broken})).result


async def test_a_large_map_is_put_in_order_once() -> None:
    elements = [row(str(code), to(f"t{code}")) for code in range(100_000)]
    given = concept_map("a", *elements)
    indexes = Indexes()
    translator = Translator(Collection(), indexes)
    await translator.translate([given], Question("1", LOCAL))
    with within(1):
        for code in range(1000):
            found = await translator.translate([given], Question(str(code), LOCAL))
            back = await translator.translate([given], Question(f"t{code}", LOINC, reverse=True))
            assert codes(found) == [(f"t{code}", "equivalent")]
            assert codes(back) == [(str(code), "equivalent")]
    assert indexes.of(given) is indexes.of(given)


async def test_maps_that_were_not_asked_for_longest_are_let_go_of(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("terminology.mapping.MOST_ROWS", 4)
    indexes = Indexes()
    first, second, third = (concept_map(name, row("x", to("1"))) for name in "abc")
    kept = [indexes.of(one) for one in (first, second)]
    assert indexes.of(first) is kept[0]
    indexes.of(third)
    assert indexes.of(first) is kept[0]
    assert indexes.of(second) is not kept[1]
