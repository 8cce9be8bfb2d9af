"""Rows of relationships and objections: found by index, put in place of those before, gone with their unit."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pymongo.asynchronous.database import AsyncDatabase

from fhir_server.store import EVERYBODY, Objection, Store, Tie, Unit
from fhir_server.store.relations import RELATIONS

NOW = datetime(2026, 11, 21, 9, tzinfo=UTC)
DAY = timedelta(days=1)
ALWAYS = (NOW - DAY, NOW + DAY)


async def relate(store: Store, source: str, patient: str, *ties: Tie, via: str = "") -> None:
    async def work(unit: Unit) -> None:
        await store.relations.relate(source, [patient], ties, unit.session, via)

    await store.transact(work)


async def test_relationships_of_one_facility_are_found_without_looking_at_those_of_others(
    store: Store, database: AsyncDatabase[dict[str, Any]]
) -> None:
    rows = [
        {"_id": f"Encounter/{n}", "p": [f"p{n}"], "ties": [{"w": f"Organization/{n % 20}", "from": NOW, "to": NOW + DAY * (n % 2)}]}
        for n in range(400)
    ]  # fmt: skip
    await database[RELATIONS].insert_many(rows)
    found = await store.relations.related(["Organization/3"], "TREAT", NOW)
    assert found == {f"p{n}" for n in range(400) if n % 20 == 3 and n % 2}

    tie = {"w": {"$in": ["Organization/3"]}, "to": {"$gt": NOW}, "from": {"$lte": NOW}, "pu": {"$in": [None, "TREAT"]}}
    plan = await database.command(
        {"explain": {"find": RELATIONS, "filter": {"ties": {"$elemMatch": tie}}}, "verbosity": "executionStats"}
    )
    assert plan["executionStats"]["totalKeysExamined"] <= len(found) + 1
    assert plan["executionStats"]["totalDocsExamined"] == len(found)


async def test_what_a_resource_says_now_replaces_what_it_said_before(store: Store) -> None:
    await relate(store, "Encounter/1", "x", Tie("Organization/a", *ALWAYS))
    await relate(store, "Encounter/1", "y", Tie("Organization/b", *ALWAYS))
    assert await store.relations.related(["Organization/a"], "TREAT", NOW) == frozenset()
    assert await store.relations.related(["Organization/b"], "TREAT", NOW) == {"y"}
    await relate(store, "Encounter/1", "y")
    assert await store.relations.related(["Organization/b"], "TREAT", NOW) == frozenset()


async def test_what_depends_on_a_resource_ends_with_it(store: Store) -> None:
    await relate(store, "Task/1", "x", Tie("Organization/a", *ALWAYS), via="ServiceRequest/1")
    await relate(store, "Task/2", "y", Tie("Organization/a", *ALWAYS), via="ServiceRequest/2")
    await store.transact(lambda unit: store.relations.end_via("ServiceRequest/1", unit.session))
    assert await store.relations.related(["Organization/a"], "TREAT", NOW) == {"y"}


async def test_a_unit_that_fails_leaves_neither_relationship_nor_objection(store: Store) -> None:
    objection = Objection("x", "b", (EVERYBODY,), *ALWAYS)

    async def work(unit: Unit) -> None:
        await store.relations.relate("Encounter/1", ["x"], [Tie("Organization/a", *ALWAYS)], unit.session)
        await store.relations.object("Consent/1", objection, unit.session)
        raise RuntimeError

    with pytest.raises(RuntimeError):
        await store.transact(work)
    assert await store.relations.related(["Organization/a"], "TREAT", NOW) == frozenset()
    assert await store.relations.objections(["Organization/a"], ["b"], NOW) == []


async def test_objections_are_those_of_the_facilities_that_are_asked_about(store: Store) -> None:
    objection = Objection("x", "b", ("Organization/a",), *ALWAYS, ("TREAT",))
    await store.transact(lambda unit: store.relations.object("Consent/1", objection, unit.session))
    assert await store.relations.objections(["Organization/a"], ["b"], NOW) == [objection]
    assert await store.relations.objections(["Organization/a"], ["c"], NOW) == []
    assert await store.relations.objections(["Organization/c"], ["b"], NOW) == []
    assert await store.relations.objections(["Organization/a"], ["b"], NOW + DAY) == []
