"""What makes a caller reach patients of other facilities: by time, by purpose, by place, and only while agreements last."""

from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest_asyncio
from pymongo.asynchronous.database import AsyncDatabase

from fhir_server.access.care import NONE, Place, care
from fhir_server.access.principal import Principal
from fhir_server.search.types.date import EARLIEST, LATEST
from fhir_server.store import EVERYBODY, Broken, Objection, Store, Tie, Unit

NOW = datetime(2026, 11, 21, 9, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)
GP = Principal("staff", "app", "u-gp", (), fhir_user="Practitioner/gp", acting_as="PractitionerRole/gp-a")
PLACE = Place(frozenset({"a"}), frozenset({"net"}), frozenset({"b"}), frozenset({"b"}))


@pytest_asyncio.fixture(loop_scope="session")
async def store(database: AsyncDatabase[dict[str, Any]]) -> AsyncIterator[Store]:
    store = await Store.open(database, lambda _: ())
    yield store
    await store.close()


async def write(store: Store, work: Callable[[Any], Awaitable[None]]) -> None:
    async def unit_of(unit: Unit) -> None:
        await work(unit.session)

    await store.transact(unit_of)


async def relate(store: Store, source: str, *ties: Tie) -> None:
    await write(store, lambda session: store.relations.relate(source, ["pb"] if ties else [], ties, session))


async def deny(store: Store, *who: str, **more: Any) -> None:
    found = Objection("pb", "b", who, more.pop("start", EARLIEST), more.pop("end", LATEST), **more)
    await write(store, lambda session: store.relations.object("Consent/no", found, session))


async def break_glass(store: Store, **more: Any) -> None:
    stated = {
        "id": "g", "patient": "pb", "custodian": "b", "user": "u-gp", "role": "PractitionerRole/gp-a", "facility": "a",
        "at": NOW, "until": NOW + 4 * HOUR, "reason": "found unconscious", "code": "BTG", "task": "Task/1", **more,
    }  # fmt: skip
    await write(store, lambda session: store.glass.put(Broken(**stated), session))


async def test_nobody_is_reached_without_a_reason(store: Store) -> None:
    assert await care(store, GP, PLACE, NOW) == NONE


async def test_a_relationship_holds_from_its_beginning_to_its_end(store: Store) -> None:
    await relate(store, "Encounter/1", Tie("Organization/a", NOW, NOW + HOUR))
    assert (await care(store, GP, PLACE, NOW)).patients == {"pb"}
    assert (await care(store, GP, PLACE, NOW + HOUR)).patients == frozenset()
    assert (await care(store, GP, PLACE, NOW - HOUR)).patients == frozenset()
    await relate(store, "Encounter/1")
    assert (await care(store, GP, PLACE, NOW)).patients == frozenset()


async def test_a_relationship_of_another_facility_or_role_is_not_ours(store: Store) -> None:
    await relate(store, "Encounter/1", Tie("Organization/c", EARLIEST, LATEST))
    await relate(store, "Consent/1", Tie("PractitionerRole/gp-c", EARLIEST, LATEST))
    assert (await care(store, GP, PLACE, NOW)).patients == frozenset()
    await relate(store, "Consent/2", Tie("PractitionerRole/gp-a", EARLIEST, LATEST))
    assert (await care(store, GP, PLACE, NOW)).patients == {"pb"}


async def test_one_tie_must_fulfil_everything_by_itself(store: Store) -> None:
    await relate(store, "CareTeam/1", Tie("Organization/a", EARLIEST, NOW), Tie("Organization/c", EARLIEST, LATEST))
    assert (await care(store, GP, PLACE, NOW)).patients == frozenset()


async def test_what_is_granted_for_research_does_not_open_the_record_for_treatment(store: Store) -> None:
    await relate(store, "Consent/1", Tie("Organization/a", EARLIEST, LATEST, ("HRESCH",)))
    assert (await care(store, GP, PLACE, NOW)).patients == frozenset()
    await relate(store, "Consent/1", Tie("Organization/a", EARLIEST, LATEST, ("HRESCH", "TREAT")))
    assert (await care(store, GP, PLACE, NOW)).patients == {"pb"}


async def test_without_an_agreement_a_relationship_opens_nothing(store: Store) -> None:
    await relate(store, "Encounter/1", Tie("Organization/a", EARLIEST, LATEST))
    alone = Place(frozenset({"a"}))
    assert await care(store, GP, alone, NOW) == NONE


async def test_who_objects_objects_to_everybody_to_a_network_or_to_one_facility(store: Store) -> None:
    for who, objects in (
        (EVERYBODY, True),
        ("Organization/net", True),
        ("Organization/a", True),
        ("Organization/c", False),
    ):
        await deny(store, who)
        assert (await care(store, GP, PLACE, NOW)).objecting == (frozenset({"pb"}) if objects else frozenset()), who


async def test_an_objection_begins_and_ends_by_the_clock(store: Store) -> None:
    await deny(store, EVERYBODY, start=NOW + HOUR, end=NOW + 2 * HOUR)
    before = await care(store, GP, PLACE, NOW)
    assert (before.objecting, before.changes_at) == (frozenset(), NOW + HOUR)
    during = await care(store, GP, PLACE, NOW + HOUR)
    assert (during.objecting, during.changes_at) == (frozenset({"pb"}), NOW + 2 * HOUR)
    assert await care(store, GP, PLACE, NOW + 2 * HOUR) == NONE


async def test_an_objection_to_marketing_does_not_close_the_record_to_doctors(store: Store) -> None:
    await deny(store, EVERYBODY, purposes=("HMARKT",))
    assert (await care(store, GP, PLACE, NOW)).objecting == frozenset()


async def test_the_glass_is_broken_for_one_user_in_one_role_until_it_ends(store: Store) -> None:
    await break_glass(store)
    found = await care(store, GP, PLACE, NOW)
    assert (dict(found.glass), found.changes_at) == ({"pb": NOW + 4 * HOUR}, NOW + 4 * HOUR)
    assert not (await care(store, GP, PLACE, NOW + 4 * HOUR)).glass
    other_role = Principal("staff", "app", "u-gp", (), acting_as="PractitionerRole/gp-c")
    other_user = Principal("staff", "app", "u-x", (), acting_as="PractitionerRole/gp-a")
    patient = Principal("patient", "app", "u-gp", (), acting_as="PractitionerRole/gp-a")
    for principal in (other_role, other_user, patient):
        assert not (await care(store, principal, PLACE, NOW)).glass


async def test_broken_glass_is_whole_again_when_the_network_is_left(store: Store) -> None:
    await break_glass(store)
    left = Place(frozenset({"a"}), members=frozenset({"b"}))
    assert not (await care(store, GP, left, NOW)).glass


async def test_broken_glass_that_is_ended_does_not_open_again(store: Store) -> None:
    await break_glass(store)

    async def end(session: Any) -> None:
        await store.glass.end("u-gp", "PractitionerRole/gp-a", "pb", NOW, session)

    await write(store, end)
    assert not (await care(store, GP, PLACE, NOW)).glass
