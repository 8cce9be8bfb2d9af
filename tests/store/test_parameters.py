"""The register of search parameters, and how who changes it learns that every writer keeps to it."""

import asyncio
from typing import Any

from fhir_server.store import Register, Store
from tests.store import records


async def test_every_change_raises_the_version_and_none_is_lost(store: Store, another: Store) -> None:
    def with_one(name: str) -> Any:
        return lambda register: [*register.rows, {"id": name}]

    names = [f"r{number}" for number in range(10)]
    places = [(store, another)[number % 2] for number in range(10)]
    await asyncio.gather(*(place.parameters.change(with_one(name)) for place, name in zip(places, names, strict=True)))
    register = await store.parameters.read()
    assert register.version == await another.parameters.version() == 10
    assert sorted(row["id"] for row in register.rows) == sorted(names)
    assert await store.parameters.change(lambda _: None) == register


async def test_units_that_change_it_at_the_same_time_come_one_after_the_other(store: Store, another: Store) -> None:
    async def add(place: Store, name: str) -> None:
        async def work(unit: Any) -> None:
            register = await place.parameters.read(unit.session)
            rows = [*register.rows, {"id": name}]
            await place.parameters.write(Register(register.version + 1, rows), unit.session)

        await place.transact(work)

    await asyncio.gather(*(add((store, another)[number % 2], f"r{number}") for number in range(6)))
    register = await store.parameters.read()
    assert (register.version, len({row["id"] for row in register.rows})) == (6, 6)


async def test_a_writer_counts_as_behind_until_it_has_learnt(store: Store, another: Store) -> None:
    known = 1

    async def renew() -> int:
        return known

    another.clock.follow(renew)
    assert await store.clock.following(2), "who does not write will learn before it does"
    async with another.clock.writing():
        assert not await store.clock.following(2)
        known = 2
        async with asyncio.timeout(10):
            while not await store.clock.following(2):  # noqa: ASYNC110 - the database cannot set an event
                await asyncio.sleep(0.02)
        assert not await store.clock.following(3)


async def test_a_writer_learns_before_its_first_write(store: Store, another: Store) -> None:
    asked = []

    async def renew() -> int:
        asked.append(store.clock.now())
        return 5

    another.clock.follow(renew)
    await records.create(another)
    assert asked
