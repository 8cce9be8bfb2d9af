"""Running queries: pages, counts, referrers, limits."""

from typing import Any

import pytest
from msgspec.structs import replace
from pymongo.asynchronous.database import AsyncDatabase

from fhir_server.model.errors import TooCostly
from fhir_server.model.query import ANYTHING, NOTHING, Query, Where
from fhir_server.store import Create, Store, Unit, searches
from tests.store import records

Database = AsyncDatabase[dict[str, Any]]
BY_ID = (("_id", 1),)


async def fill(store: Store, count: int, **envelope: Any) -> list[str]:
    async with store.clock.writing() as stamp:
        docs = [
            records.document("Patient", f"p{number:03d}", 1, stamp.now, store.clock.order()) for number in range(count)
        ]
        await store.commit([Create("Patient", {**doc, **envelope}) for doc in docs])
    return [doc["_id"] for doc in docs]


async def test_a_page_is_sorted_limited_and_has_the_fields_asked_for(store: Store) -> None:
    made = await fill(store, 200)
    query = Query(
        "Patient", Where("clause", {"f": "org"}), (("d", -1), ("o", -1)), 150, "facility_date", ("o", "f", "k")
    )
    page = await store.find(query)
    assert [found.id for found in page] == made[:49:-1]
    assert page[0].envelope["f"] == "org"
    assert "o" in page[0].envelope
    assert not page[0].envelope.keys() & {"k", "s", "r"}
    assert page[0].body.startswith(b'{"resourceType":"Patient"')
    assert await store.find(replace(query, where=NOTHING)) == []
    assert await store.find(replace(query, resource_type="Account")) == []


async def test_a_type_that_another_process_stores_first_is_found_from_then_on(store: Store, another: Store) -> None:
    query = Query("Patient", Where("clause", {"f": "org"}), (("d", -1), ("o", -1)), 10, "facility_date")
    assert await another.find(query) == []
    made = await fill(store, 3, f="other")
    assert await another.find(query) == []
    found = await another.find(replace(query, where=Where("clause", {"f": "other"})))
    assert [one.id for one in found] == made[::-1]


async def test_a_page_above_the_16_mb_of_an_answer_is_whole(store: Store) -> None:
    texts = {f"t{number}": "x" * 60_000 for number in range(17)}
    async with store.clock.writing() as stamp:
        docs = [records.document("Basic", f"b{n:02d}", 1, stamp.now, store.clock.order(), **texts) for n in range(30)]
        for doc in docs:
            await store.commit([Create("Basic", {**doc, "r": {}})])
    ids = [doc["_id"] for doc in docs]
    assert [found.id for found in await store.find(Query("Basic", ANYTHING, BY_ID, 40))] == ids
    assert (await store.current("Basic", ids, ANYTHING)).keys() == set(ids)


async def test_counts_stop_at_their_limit(store: Store) -> None:
    await fill(store, 30)
    first = Where("clause", {"_id": {"$lt": "p010"}})
    assert await store.count("Patient", ANYTHING, None) == 30
    assert await store.count("Patient", ANYTHING, 20) == 20
    assert await store.count("Patient", first, None) == 10
    assert await store.count("Patient", first, 5) == 5
    assert await store.count("Patient", NOTHING, None) == 0
    assert await store.count("Account", ANYTHING, None) == 0


async def test_referrers_of_any_type_are_found_except_the_ignored(store: Store) -> None:
    await fill(store, 2, rf=["Organization/1"])
    assert await store.referrers("Organization", "1") in {("Patient", "p000"), ("Patient", "p001")}
    assert await store.referrers("Organization", "1", {("Patient", "p000")}) == ("Patient", "p001")
    ignoring = {("Patient", "p000"), ("Patient", "p001"), ("Encounter", "p001")}
    assert await store.referrers("Organization", "1", ignoring) is None
    async with store.clock.writing() as stamp:
        doc = records.document("Encounter", "e", 1, stamp.now, stamp.order)
        await store.commit([Create("Encounter", {**doc, "rf": ["Organization/1"]})])
    assert await store.referrers("Organization", "1", ignoring) == ("Encounter", "e")
    assert await store.referrers("Organization", "2") is None

    async def work(unit: Unit) -> object:
        return await store.referrers("Organization", "1", ignoring, unit.session)

    assert await store.transact(work) == ("Encounter", "e")


async def test_whether_any_of_many_is_referred_to_is_asked_at_once(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    await fill(store, 2, rf=["Organization/1"])
    monkeypatch.setattr(searches, "MOST_TARGETS", 2)
    many = [("Organization", str(number)) for number in range(2, 7)]
    assert not await store.referred(many)
    assert await store.referred([*many, ("Organization", "1")])
    assert not await store.referred([])

    async def work(unit: Unit) -> object:
        return await store.referred([*many, ("Organization", "1")], unit.session)

    assert await store.transact(work) is True


async def test_a_search_above_its_time_limit_is_too_costly(database: Database) -> None:
    store = await Store.open(database, records.indexes_of, time_limit_ms=50)
    await fill(store, 20)
    body = "function() { sleep(20); return true; }"
    slow = Where("clause", {"$expr": {"$function": {"body": body, "args": [], "lang": "js"}}})
    with pytest.raises(TooCostly, match="time limit"):
        await store.find(Query("Patient", slow, BY_ID, 50))
    with pytest.raises(TooCostly, match="time limit"):
        await store.count("Patient", slow, None)
    with pytest.raises(TooCostly, match="time limit"):
        await store.history("Patient", None, lambda _: slow, count=50)
    await store.close()


async def test_a_full_page_that_is_sorted_in_memory_is_read_once(store: Store, database: Database) -> None:
    made = await fill(store, 20)
    await database.command({"profile": 2})
    found = await store.find(Query("Patient", ANYTHING, (("_id", -1), ("o", -1)), 7))
    await database.command({"profile": 0})
    assert [one.id for one in found] == made[:12:-1]
    assert await database["system.profile"].count_documents({"command.find": "Patient"}) == 1
    assert await database["system.profile"].count_documents({"command.killCursors": "Patient"}) == 0
