"""Code systems in the database count when they are whole, say what a walk through all of their concepts says, and go wholly."""

import asyncio
import random
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
import pytest_asyncio
from pymongo.asynchronous.database import AsyncDatabase

from fhir_server.model.errors import Conflict, Unavailable
from fhir_server.store import loading
from fhir_server.store.concepts import Concepts
from fhir_server.store.systems import Systems
from loadtests import nomenclature
from terminology.codesystem.listed import Listed
from terminology.codesystem.provider import Filter, InvalidFilter
from terminology.codesystem.stored import Stored
from terminology.concept import Designation, Property
from terminology.load.release import BrokenRelease, Release, Row
from tests.store.nomenclatures import release, resource

COUNT = 1_500
SMALL = (
    Row("A", "Everything"),
    Row("B", "Something", parents=("A",)),
    Row("C", "Nothing", parents=("A", "B"), inactive=True, status="retired"),
)


@pytest_asyncio.fixture(loop_scope="session")
async def concepts(database: AsyncDatabase[dict[str, Any]]) -> Concepts:
    return Concepts(database)


@pytest_asyncio.fixture(loop_scope="session")
async def both(concepts: Concepts) -> AsyncIterator[tuple[Stored, Listed]]:
    """The same nomenclature in the database and in memory."""
    loaded = await concepts.load(nomenclature.release(COUNT))
    yield concepts.provider(loaded.row), Listed(resource(nomenclature.rows(COUNT)))


async def state(database: AsyncDatabase[dict[str, Any]]) -> dict[str, int]:
    return {name: await database[name].count_documents({}) for name in ("tx_system", "tx_concept", "tx_piece")}


async def loaded(concepts: Concepts) -> list[tuple[str, int]]:
    return [(row.head.version, row.head.count) for row in await concepts.rows() if row.state == "loaded"]


async def test_a_stored_system_says_what_a_walk_through_all_concepts_says(both: tuple[Stored, Listed]) -> None:
    stored, listed = both
    assert stored.head.count == listed.head.count == COUNT
    assert await stored.everything() == await listed.everything()
    for ordinal in range(0, COUNT, 7):
        assert await stored.descendants(ordinal) == await listed.descendants(ordinal)
        assert await stored.ancestors(ordinal) == await listed.ancestors(ordinal)
        assert list(await stored.children(ordinal)) == list(await listed.children(ordinal))
    assert list(await stored.roots()) == list(await listed.roots())
    assert await stored.inactive() == await listed.inactive()
    assert await stored.abstract() == await listed.abstract()
    for one, other in zip(await stored.concepts(range(40)), await listed.concepts(range(40)), strict=True):
        assert (one.code, one.display, one.ordinal, one.designations) == (
            other.code, other.display, other.ordinal, other.designations,
        )  # fmt: skip
        assert set(one.parents) == set(other.parents)
        assert await stored.find(one.code) == one
    assert await stored.find("nowhere") is None
    for name in ("site", "module", "none"):
        assert await stored.stated(name) == await listed.stated(name)
    some = random.Random(1).sample(range(COUNT), 300)
    assert list(await stored.codes(some)) == list(await listed.codes(some))


async def test_filters_select_what_they_select_in_memory(both: tuple[Stored, Listed]) -> None:
    stored, listed = both
    top, inner, leaf = (nomenclature.code(one) for one in (0, 25, COUNT - 1))
    display = (await listed.concepts([30]))[0].display
    rules = [
        *(Filter("concept", op, code) for op in ("is-a", "descendent-of", "is-not-a", "generalizes", "child-of",
          "descendent-leaf", "=") for code in (top, inner, leaf)),
        *(Filter("code", op, f"{top}, {leaf},none") for op in ("in", "not-in")),
        Filter("code", "regex", "10000.*1"), Filter("code", "exists", "true"), Filter("code", "exists", "false"),
        *(Filter("module", op, value) for op in ("=", "in", "not-in", "regex") for value in ("3", "1,2", "[12]", "x")),
        *(Filter("site", "=", value) for value in (top, f"{nomenclature.URL}|{top}", "none")),
        *(Filter(name, "exists", value) for name in ("site", "module", "defined", "parent", "child", "display",
          "definition") for value in ("true", "false")),
        *(Filter(name, op, inner) for name in ("parent", "child") for op in ("=", "in", "not-in", "regex")),
        Filter("display", "=", display), Filter("display", "=", display.upper()), Filter("display", "regex", "(A|B).*ia"),
        Filter("display", "in", f"{display},-"),
        *(Filter(name, "=", value) for name in ("inactive", "notSelectable") for value in ("true", "false", "TRUE")),
    ]  # fmt: skip
    for rule in rules:
        assert await stored.select(rule) == await listed.select(rule), rule
        assert await stored.select(rule) == await listed.select(rule), rule
    for wrong in (("concept", "like", "x"), ("concept", "is-a", "none"), ("colour", "=", "red"), ("module", "is-a", "1"),
                  ("code", "regex", "(a"), ("module", "exists", "maybe")):  # fmt: skip
        with pytest.raises(InvalidFilter) as ours:
            await stored.select(Filter(*wrong))
        with pytest.raises(InvalidFilter) as theirs:
            await listed.select(Filter(*wrong))
        assert str(ours.value).partition("It has")[0] == str(theirs.value).partition("It has")[0]


@pytest.mark.parametrize("frequent", [20_000, 20])
async def test_texts_match_as_they_match_in_memory(
    concepts: Concepts, frequent: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("terminology.load.derived.FREQUENT", frequent)
    monkeypatch.setattr("terminology.codesystem.postings.KEYS", 40)
    monkeypatch.setattr("terminology.codesystem.ranking.FEW", 50)
    stored = concepts.provider((await concepts.load(nomenclature.release(COUNT))).row)
    listed = Listed(resource(nomenclature.rows(COUNT)))
    chance = random.Random(3)
    whole, part = await listed.everything(), await listed.descendants(3)
    for number in range(60):
        display = (await listed.concepts([chance.randrange(COUNT)]))[0].display
        text = " ".join(word[: chance.randint(1, 6)] for word in chance.sample(display.split(), 1 + number % 2))
        for within in (whole, part):
            found = list(await stored.matching(text, within))
            assert found == list(await listed.matching(text, within)), text
            again = await stored.matching(text, within)
            assert (list(again[3:9:2]), list(again[-2:]), list(again[:4])) == (found[3:9:2], found[-2:], found[:4])
            assert len(again) == len(found)
            assert not found or again[len(found) // 2] == found[len(found) // 2]
    for text in ("", " - ", "10000", "CHRÔNIC dis", "zzz", "100000007"):
        assert list(await stored.matching(text, whole)) == list(await listed.matching(text, whole)), text


async def test_everything_that_is_said_of_a_concept_comes_back(concepts: Concepts) -> None:
    row = Row(
        "x", "Ex", "The letter", (Designation("Iks", "pl", {"code": "s"}, ({"url": "u", "valueDecimal": Decimal("1.0")},)),),
        (Property("weight", Decimal("1.50"), "decimal"), Property("kind", {"system": "s", "code": "c"}, "Coding"),
         Property("new", True, "boolean"), Property("rank", 3, "integer")),
        status="active", abstract=True,
    )  # fmt: skip
    stored = concepts.provider((await concepts.load(release([row]))).row)
    found = await stored.find("x")
    assert found is not None
    assert (found.code, found.display, found.definition) == (row.code, row.display, row.definition)
    assert found.designations == row.designations
    assert [str(one.value) for one in found.properties] == [str(one.value) for one in row.properties]
    assert found.properties == row.properties
    assert (found.status, found.abstract, found.inactive, found.parents, found.ordinal) == (
        "active",
        True,
        False,
        (),
        0,
    )
    assert list(await stored.select(Filter("weight", "=", "1.50"))) == [0]
    assert stored.head.properties["module"].kind == "code"
    assert stored.head.resource == {"name": "Small"}


async def test_case_counts_only_where_it_matters(concepts: Concepts) -> None:
    rows = (Row("Abc", "One"), Row("dEF", "Two", parents=("Abc",)))
    exact = concepts.provider((await concepts.load(release(rows, "1"))).row)
    loose = concepts.provider((await concepts.load(release(rows, "2", case_sensitive=False))).row)
    assert await exact.find("abc") is None
    found = await loose.find("ABC")
    assert found is not None
    assert found.code == "Abc"
    assert list(await loose.select(Filter("concept", "is-a", "aBC"))) == [0, 1]
    assert await loose.ordinals(["DEF", "def", "no"]) == {"DEF": 1, "def": 1}


@pytest.mark.parametrize(
    ("rows", "reason"),
    [
        ((Row("A", "a"), Row("A", "b")), "The code 'A' comes twice."),
        ((Row("A", "a"), Row("", "b")), "Concept 2 of the release has no code."),
        ((Row("A", "a", parents=("Z",)),), "The concept 'A' has the parent 'Z', which is not in the release."),
        ((Row("A", "a", parents=("A",)),), "The concept 'A' stands below itself"),
        ((Row("R", "r"), Row("A", "a", parents=("C", "R")), Row("B", "b", parents=("A",)), Row("C", "c", parents=("B",))),
         "stands below itself, by way of its parents."),
    ],
)  # fmt: skip
async def test_a_broken_release_leaves_nothing_behind(
    concepts: Concepts, database: AsyncDatabase[dict[str, Any]], rows: tuple[Row, ...], reason: str
) -> None:
    await concepts.load(release(SMALL))
    before = await state(database)
    with pytest.raises(BrokenRelease, match=reason):
        await concepts.load(release(rows, digest="b"))
    assert await state(database) == before
    assert await loaded(concepts) == [("1", 3)]


async def test_versions_stand_side_by_side_and_others_see_them_when_they_are_whole(
    concepts: Concepts, database: AsyncDatabase[dict[str, Any]]
) -> None:
    other = Concepts(database)
    assert (await other.version(), await other.rows()) == (0, [])
    first = await concepts.load(release(SMALL))
    assert await other.version() == 1
    reading = other.provider((await other.rows())[0])

    async def reads() -> None:
        for _ in range(5):
            assert await reading.find("B") is not None

    await asyncio.gather(concepts.load(release(SMALL, "2", "b")), reads())
    assert await loaded(other) == [("1", 3), ("2", 3)]
    assert await other.version() == 2
    assert (await concepts.load(release(SMALL))).unchanged
    assert await other.version() == 2
    assert first.row.key != (await other.rows())[1].key


async def test_the_same_version_from_something_else_takes_the_place_of_the_first(
    concepts: Concepts, database: AsyncDatabase[dict[str, Any]]
) -> None:
    old = concepts.provider((await concepts.load(release(SMALL))).row)
    await concepts.load(release(SMALL[:2], digest="b"))
    assert await loaded(concepts) == [("1", 2)]
    assert await old.find("C") is not None
    assert await concepts.sweep(3600) == 0
    assert await concepts.sweep(0) == 1
    assert await concepts.provider((await concepts.rows())[0]).find("C") is None
    with pytest.raises(Unavailable, match="was removed or replaced just now"):
        await old.concepts([1, 2])
    assert (await state(database))["tx_concept"] == 2


async def test_a_load_that_was_cut_off_goes_on_where_it_was(
    concepts: Concepts, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loading, "BATCH", 100)
    whole = nomenclature.release(COUNT)
    cut = replace(whole, rows=lambda: _cut(whole, 950))
    with pytest.raises(RuntimeError):
        await concepts.load(cut)
    assert await loaded(concepts) == []
    told: list[int] = []
    done = await concepts.load(whole, lambda one: told.append(one.done))
    assert 700 <= done.resumed < 950
    assert await loaded(concepts) == [("1", COUNT)]
    assert sorted(told) == told
    stored, listed = concepts.provider(done.row), Listed(resource(nomenclature.rows(COUNT)))
    assert await stored.codes(range(COUNT)) == await listed.codes(range(COUNT))
    assert [one.code for one in await stored.concepts(range(COUNT))] == await stored.codes(range(COUNT))


async def test_what_was_begun_from_something_else_is_given_up(
    concepts: Concepts, database: AsyncDatabase[dict[str, Any]]
) -> None:
    with pytest.raises(RuntimeError):
        await concepts.load(replace(release(SMALL), rows=lambda: _cut(release(SMALL), 2)))
    done = await concepts.load(release(SMALL[:1], digest="b"))
    assert done.resumed == 0
    assert await concepts.sweep(0) == 1
    assert await loaded(concepts) == [("1", 1)]
    assert (await state(database))["tx_concept"] == 1


async def test_of_two_processes_that_load_the_same_the_later_one_goes_on(
    concepts: Concepts, database: AsyncDatabase[dict[str, Any]]
) -> None:
    systems = Systems(database)
    await systems.prepare()
    first = await systems.claim(release(SMALL).head, "a")
    await concepts.load(release(SMALL))
    with pytest.raises(Conflict, match="Another process has begun to load"):
        await systems.reached(first, 3)
    with pytest.raises(Conflict, match="Another process has begun to load"):
        await systems.loaded(first, 3, 2)
    assert await loaded(concepts) == [("1", 3)]


async def test_a_version_that_is_dropped_goes_wholly(
    concepts: Concepts, database: AsyncDatabase[dict[str, Any]]
) -> None:
    await concepts.load(release(SMALL, "1"))
    await concepts.load(release(SMALL, "2", "b"))
    number = await concepts.version()
    one, two = await concepts.rows()
    assert await concepts.drop(one)
    assert not await concepts.drop(one)
    assert await concepts.version() > number
    assert await loaded(concepts) == [("2", 3)]
    assert await concepts.sweep(0) == 1
    assert await concepts.rows() == [two]
    assert (await state(database))["tx_concept"] == 3
    assert await database["tx_piece"].count_documents({"_id": {"$lt": f"{two.key:08x}/"}}) == 0


async def test_a_delta_makes_a_new_version_of_its_base(concepts: Concepts) -> None:
    await concepts.load(release(SMALL))
    delta = release(
        [Row("B", "Anything", parents=("A",)), Row("D", "Something else", parents=("B",))],
        "2", "d", base="1", removed=["C"],
    )  # fmt: skip
    done = await concepts.load(delta)
    assert await loaded(concepts) == [("1", 3), ("2", 3)]
    new = concepts.provider(done.row)
    assert await new.codes(range(3)) == ["A", "B", "D"]
    assert [one.display for one in await new.concepts([1, 2])] == ["Anything", "Something else"]
    assert list(await new.descendants(0)) == [1, 2]
    assert (await concepts.load(delta)).unchanged
    with pytest.raises(BrokenRelease, match="changes version 7 of"):
        await concepts.load(replace(delta, base="7"))
    with pytest.raises(BrokenRelease, match="has the parent 'A', which is not in the release"):
        await concepts.load(release([], "3", "e", base="1", removed=["A"]))


def _cut(whole: Release, count: int) -> Iterator[Row]:
    for number, row in enumerate(whole.rows()):
        if number == count:
            raise RuntimeError("cut off")
        yield row
