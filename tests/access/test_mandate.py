"""A job goes on under the rights of whoever asked for it, as they are now: attacks by what has been taken away since."""

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
import pytest_asyncio
from pydantic import SecretStr

from fhir_server.access.mandate import Mandates, mandate, same
from fhir_server.access.scope_filter import ScopeFilter
from fhir_server.model.errors import Forbidden
from smart_auth.records import Client, Grant, User
from tests.access.house import STAFF, Caller, House, opened


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def house(data_dir: Path, mongo_url: SecretStr) -> AsyncIterator[House]:
    async with opened(data_dir) as house:
        yield house


def mandates(house: House, *, later: timedelta = timedelta()) -> Mandates:
    realm = house.service.realm
    clock = lambda: realm.clock() + later  # noqa: E731 - one line
    return Mandates(replace(realm, clock=clock), house.service.grants, clock)


async def scope_of(house: House, caller: Caller) -> ScopeFilter:
    gate = house.service._gate
    assert gate is not None
    return await gate.scope({"authorization": f"Bearer {caller.token}"})


async def test_a_mandate_reaches_what_the_token_reached_and_is_its_holders_only(house: House) -> None:
    caller = await house.as_("patient/Observation.rs", patient="ann")
    other = await house.as_("patient/Observation.rs", patient="bo")
    scope = await scope_of(house, caller)
    given = mandate(scope)
    again = await mandates(house).scope(given, house.service.realm.clock())
    for kind in ("Observation", "Patient", "Condition"):
        now, then = again.where(kind, "r"), scope.where(kind, "r")
        assert now.kind == then.kind
        assert {**now.clause, "va": 0} == {**then.clause, "va": 0}, "but for the moment of what is visible"
    assert again.fingerprint == scope.fingerprint
    assert same(given, scope)
    assert not same(given, await scope_of(house, other))


async def test_a_service_goes_on_after_its_token_and_stops_with_its_registration(house: House) -> None:
    realm = house.service.realm
    caller = await house.registered("system/Observation.rs system/Patient.rs")
    scope = await scope_of(house, caller)
    given, since = mandate(scope), realm.clock()
    assert (await mandates(house, later=timedelta(hours=9)).scope(given, since)).where("Patient", "r").kind != "nothing"
    client = await realm.store.get(Client, given["client"])
    assert client is not None

    narrowed = replace(client, scope="system/Patient.rs")
    assert await realm.store.swap(client, narrowed, felt=True)
    now = await mandates(house).scope(given, since)
    assert now.where("Observation", "r").kind == "nothing", "what the registration no longer gives"
    assert now.where("Patient", "r").kind != "nothing"

    assert await realm.store.swap(narrowed, replace(narrowed, disabled=True), felt=True)
    with pytest.raises(Forbidden, match="disabled"):
        await mandates(house).scope(given, since)


async def taken_grant(house: House, grant_id: str) -> None:
    realm = house.service.realm
    assert await realm.store.end_grants(realm.clock(), "revoked", id=grant_id) == 1


async def taken_person(house: House, _: str) -> None:
    store = house.service.realm.store
    user = await store.get(User, STAFF)
    assert user is not None
    assert await store.swap(user, replace(user, disabled=True), felt=True)


@pytest.mark.parametrize("taken", [taken_grant, taken_person])
async def test_a_person_whose_rights_were_taken_reaches_nothing(
    house: House, taken: Callable[[House, str], Awaitable[None]]
) -> None:
    realm = house.service.realm
    scope = await scope_of(house, await house.as_(f"user/*.rs{'' if taken is taken_grant else ' openid'}", user=STAFF))
    given, since = mandate(scope), realm.clock()
    await mandates(house).scope(given, since)
    assert await realm.store.get(Grant, given["grant"]) is not None
    await taken(house, given["grant"])
    with pytest.raises(Forbidden, match="may not go on"):
        await mandates(house).scope(given, since)


async def test_a_token_of_another_issuer_lends_its_rights_for_a_day(house: House) -> None:
    realm = house.service.realm
    given = {**mandate(await scope_of(house, await house.registered("system/Patient.rs"))), "grant": ""}
    assert (await mandates(house).scope(given, realm.clock())).where("Patient", "r").kind != "nothing"
    with pytest.raises(Forbidden, match="more than a day ago"):
        await mandates(house).scope(given, realm.clock() - timedelta(hours=25))
