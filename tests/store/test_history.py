"""History pages: newest first, without gaps or repetitions, whatever is written meanwhile."""

import asyncio
from datetime import datetime, timedelta
from functools import partial

from fhir_server.model.query import ANYTHING, NOTHING, Where
from fhir_server.model.stored import Stored
from fhir_server.store import Position, Store
from tests.store import records

MILLISECOND = timedelta(milliseconds=1)


def constantly(where: Where, resource_type: str) -> Where:
    return where


def names(versions: list[Stored]) -> list[str]:
    return [f"{version.resource_type}/{version.id}/{version.vid}" for version in versions]


async def walk(store: Store, resource_type: str | None, until: datetime | None, count: int) -> list[Stored]:
    versions: list[Stored] = []
    after: Position | None = None
    while True:
        page = await store.history(resource_type, None, records.anything, until=until, after=after, count=count)
        versions += page
        if len(page) < count:
            return versions
        after = Position.of(page[-1])


async def test_an_instance_has_its_versions_and_its_deletion(store: Store) -> None:
    patient = await records.create(store, born=1)
    await records.update(store, "Patient", patient, born=2)
    await records.delete(store, "Patient", patient)
    versions = await store.history("Patient", patient, records.anything, count=10)
    assert [(version.vid, version.method, version.deleted) for version in versions] == [
        (3, "DELETE", True),
        (2, "PUT", False),
        (1, "POST", False),
    ]
    assert [version.body[-10:] for version in versions] == [b"", b',"born":2}', b',"born":1}']
    first = await store.history("Patient", patient, records.anything, count=2)
    rest = await store.history("Patient", patient, records.anything, after=Position.of(first[-1]), count=2)
    assert names([*first, *rest]) == names(versions)
    assert await store.history("Patient", patient, lambda _: NOTHING, count=10) == []


async def test_every_id_that_had_a_second_version_or_an_end_has_a_history(store: Store) -> None:
    deleted, updated, new = [await records.create(store) for _ in range(3)]
    await records.delete(store, "Patient", deleted)
    await records.update(store, "Patient", updated)
    asked = [deleted, updated, new, f"{deleted}-longer", *(f"never-{number}" for number in range(1000))]
    assert await store.with_history("Patient", asked) == {deleted, updated}
    assert await store.with_history("Observation", [deleted]) == set()


async def test_versions_can_be_read_one_by_one(store: Store) -> None:
    patient = await records.create(store)
    await records.update(store, "Patient", patient)
    versions = [await store.read_version("Patient", patient, vid, ANYTHING) for vid in (1, 2, 3)]
    assert [version and version.vid for version in versions] == [1, 2, None]
    await records.delete(store, "Patient", patient)
    last = await store.last_version("Patient", patient, ANYTHING)
    assert last is not None
    assert (last.vid, last.deleted, last.body) == (3, True, b"")
    assert await store.read_version("Patient", patient, 3, ANYTHING) == last
    assert await store.last_version("Patient", "never", ANYTHING) is None


async def test_an_id_that_begins_like_another_has_a_history_of_its_own(store: Store) -> None:
    for resource_id in ("a", "a-b", "a.b", "a0", "ab"):
        await records.create(store, resource_id=resource_id)
        await records.update(store, "Patient", resource_id)
    versions = await store.history("Patient", "a", records.anything, count=10)
    assert names(versions) == ["Patient/a/2", "Patient/a/1"]


async def test_each_version_is_filtered_as_it_was(store: Store) -> None:
    patient = await records.create(store)
    live = await records.current(store, "Patient", patient)
    async with store.clock.writing() as stamp:
        moved = await records.successor(store, live, stamp.now)
        await store.commit([type(moved)("Patient", {**moved.doc, "f": "elsewhere"}, 1, live.document)])
    here, there = (Where("clause", {"f": facility}) for facility in ("org", "elsewhere"))
    for where, vid in ((here, 1), (there, 2)):
        of = partial(constantly, where)
        assert [version.vid for version in await store.history("Patient", patient, of, count=9)] == [vid]
        assert [version.vid for version in await store.history("Patient", None, of, count=9)] == [vid]
        assert await store.read_version("Patient", patient, vid, where)
        assert await store.read_version("Patient", patient, 3 - vid, where) is None


async def test_the_system_history_is_that_of_all_types_in_one_order(store: Store) -> None:
    for number in range(4):
        for resource_type in ("Patient", "Encounter", "Observation"):
            await records.create(store, resource_type, f"n{number}")
            await records.update(store, resource_type, f"n{number}")
    await records.delete(store, "Encounter", "n0")
    everything = await walk(store, None, None, 100)
    assert len(everything) == 25
    moments = [(version.last_updated, version.envelope["o"]) for version in everything]
    assert moments == sorted(moments, reverse=True)
    for count in (1, 3, 7):
        assert names(await walk(store, None, None, count)) == names(everything)
    encounters = await walk(store, "Encounter", None, 4)
    assert names(encounters) == [name for name in names(everything) if name.startswith("Encounter/")]
    only = await store.history(None, None, lambda name: ANYTHING if name == "Patient" else NOTHING, count=100)
    assert names(only) == [name for name in names(everything) if name.startswith("Patient/")]


async def test_since_includes_its_moment_and_at_means_current_then(store: Store) -> None:
    patient = await records.create(store)
    for _ in range(3):
        await asyncio.sleep(0.003)
        await records.update(store, "Patient", patient)
    await asyncio.sleep(0.003)
    await records.delete(store, "Patient", patient)
    versions = await store.history("Patient", patient, records.anything, count=10)
    moments = {version.vid: version.last_updated for version in versions}

    async def vids(resource_id: str | None, since: int = 0, at: tuple[datetime, datetime] | None = None) -> list[int]:
        first = moments.get(since)
        found = await store.history("Patient", resource_id, records.anything, since=first, at=at, count=10)
        return [version.vid for version in found]

    for whose in (patient, None):
        assert await vids(whose, since=3) == [5, 4, 3]
        assert await vids(whose, at=(moments[2], moments[2] + MILLISECOND)) == [2]
        assert await vids(whose, at=(moments[2] + MILLISECOND, moments[3])) == [2]
        assert await vids(whose, at=(moments[2] - MILLISECOND, moments[4] + MILLISECOND)) == [4, 3, 2, 1]
        assert await vids(whose, at=(moments[5], moments[5] + MILLISECOND)) == [5]
        assert await vids(whose, at=(moments[5] + MILLISECOND, moments[5] + timedelta(days=1))) == []
        assert await vids(whose, at=(moments[1] - timedelta(days=1), moments[1])) == []


async def test_pages_have_no_gaps_or_repetitions_while_others_write(store: Store, another: Store) -> None:
    patients = [await records.create(store) for _ in range(20)]
    for patient in patients:
        await records.update(store, "Patient", patient)
    writing = True

    async def writer(mine: Store, part: list[str]) -> None:
        while writing:
            for patient in part:
                await records.update(mine, "Patient", patient)
            await records.create(mine)

    writers = [
        asyncio.create_task(writer(mine, part)) for mine, part in ((store, patients[:10]), (another, patients[10:]))
    ]
    walks = []
    for count in (3, 5, 8, 13):
        horizon = await store.horizon()
        walks.append((horizon, names(await walk(store, "Patient", horizon, count))))
        horizon = await another.horizon()
        walks.append((horizon, names(await walk(another, None, horizon, count))))
    writing = False
    await asyncio.gather(*writers)
    for horizon, walked in walks:
        settled = await store.history("Patient", None, records.anything, until=horizon, count=100_000)
        assert walked == names(settled)
    assert len(walks[-1][1]) > len(walks[0][1]) >= 40
