"""Reads by id: grouped, filtered, and answered each by its own."""

import asyncio
from typing import Any

from pymongo.asynchronous.database import AsyncDatabase

from fhir_server.model.query import ANYTHING, NOTHING, Where
from fhir_server.store import Store
from fhir_server.store.codecs import native
from tests.store import records

Database = AsyncDatabase[dict[str, Any]]
HERE, THERE = Where("clause", {"f": "org"}), Where("clause", {"f": "elsewhere"})


async def test_concurrent_reads_get_each_their_own(store: Store) -> None:
    made = [await records.create(store, number=number) for number in range(20)]
    wanted = [*made, "missing"] * 30
    answers = await asyncio.gather(*(store.read("Patient", patient, ANYTHING) for patient in wanted))
    for patient, answer in zip(wanted, answers, strict=True):
        assert answer is None if patient == "missing" else answer is not None and answer.id == patient


async def test_filters_are_not_mixed_up_by_grouping(store: Store) -> None:
    patient = await records.create(store)
    filters = [ANYTHING, NOTHING, HERE, THERE] * 20
    answers = await asyncio.gather(*(store.read("Patient", patient, where) for where in filters))
    assert [answer is not None for answer in answers] == [True, False, True, False] * 20
    assert await store.current("Patient", [patient], THERE) == {}
    assert await store.current("Patient", [patient], NOTHING) == {}


async def test_current_gives_the_whole_document(store: Store) -> None:
    patient = await records.create(store, deep={"list": [1, {"a": "b"}]})
    live = await records.current(store, "Patient", patient)
    assert live.document["f"] == "org"
    assert native(live.document)["r"]["deep"] == {"list": [1, {"a": "b"}]}
    assert live.document["lu"] == live.stored.last_updated


async def test_exists_answers_for_many_types_at_once(store: Store) -> None:
    patient = await records.create(store)
    encounter = await records.create(store, "Encounter")
    asked = [("Patient", patient), ("Patient", "x"), ("Encounter", encounter), ("Account", patient)]
    assert await store.exists(asked, records.anything) == {("Patient", patient), ("Encounter", encounter)}
    hidden = await store.exists(asked, lambda name: NOTHING if name == "Patient" else HERE)
    assert hidden == {("Encounter", encounter)}
    many = [("Patient", f"n{number}") for number in range(2500)]
    assert await store.exists([*many, *asked], records.anything) == {("Patient", patient), ("Encounter", encounter)}
    assert await store.exists([], records.anything) == set()


async def test_a_reader_who_gives_up_disturbs_nobody(store: Store) -> None:
    patient = await records.create(store)
    tasks = [asyncio.create_task(store.read("Patient", patient, ANYTHING)) for _ in range(40)]
    await asyncio.sleep(0)
    for task in tasks[::2]:
        task.cancel()
    answers = await asyncio.gather(*tasks, return_exceptions=True)
    assert all(isinstance(answer, asyncio.CancelledError) for answer in answers[::2])
    assert all(getattr(answer, "id", None) == patient for answer in answers[1::2])
