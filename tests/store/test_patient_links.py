"""Confirmed links between Patients: followed over several steps, bounded, and there only when their transaction commits."""

import asyncio
from datetime import UTC, datetime
from typing import Any

import pytest

from fhir_server.access.links import linked
from fhir_server.store import Confirmed, Store
from fhir_server.store.patient_links import MOST

AT = datetime(2026, 11, 1, tzinfo=UTC)


async def join(store: Store, *pairs: tuple[str, str]) -> None:
    async def work(unit: Any) -> None:
        for one, other in pairs:
            for patient, target in ((one, other), (other, one)):
                await store.patient_links.put(patient, Confirmed(target, "seealso", "u-1", AT), unit.session)

    await store.transact(work)


async def test_who_has_no_link_is_alone_and_nobody_is_nobody(store: Store) -> None:
    assert await linked(store, frozenset({"a"})) == {"a"}
    assert await linked(store, frozenset()) == frozenset()


async def test_links_are_followed_both_ways_and_over_several_steps(store: Store, another: Store) -> None:
    await join(store, ("a", "b"), ("b", "c"), ("x", "y"))
    for patient in "abc":
        assert await linked(another, frozenset({patient})) == {"a", "b", "c"}
    assert await linked(store, frozenset({"a", "x"})) == {"a", "b", "c", "x", "y"}


async def test_a_link_that_is_taken_away_parts_what_it_joined(store: Store) -> None:
    await join(store, ("a", "b"), ("b", "c"))

    async def part(unit: Any) -> None:
        await store.patient_links.take("b", "c", unit.session)
        await store.patient_links.take("c", "b", unit.session)

    await store.transact(part)
    assert await linked(store, frozenset({"a"})) == {"a", "b"}
    assert await linked(store, frozenset({"c"})) == {"c"}


async def test_a_link_says_who_confirmed_it_and_is_there_once(store: Store) -> None:
    await join(store, ("a", "b"))
    await join(store, ("a", "b"))
    assert await store.patient_links.of(["a", "b", "c"]) == {
        "a": [Confirmed("b", "seealso", "u-1", AT)],
        "b": [Confirmed("a", "seealso", "u-1", AT)],
    }


async def test_a_unit_that_fails_leaves_no_link(store: Store) -> None:
    async def work(unit: Any) -> None:
        await store.patient_links.put("a", Confirmed("b", "seealso", "u-1", AT), unit.session)
        raise RuntimeError

    with pytest.raises(RuntimeError):
        await store.transact(work)
    assert await linked(store, frozenset({"a"})) == {"a"}


async def test_a_hub_of_links_made_at_the_same_time_is_bounded(store: Store) -> None:
    others = [f"p{number:03d}" for number in range(MOST + 10)]
    await asyncio.gather(*(join(store, ("hub", other)) for other in others[:8]))
    assert len(await linked(store, frozenset({"p000"}))) == 9
    await join(store, *(("hub", other) for other in others[8:]))
    assert len(await linked(store, frozenset({"p000"}))) == MOST + 1
