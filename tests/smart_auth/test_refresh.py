"""Refresh tokens at the token endpoint, and the attacks on them."""

import asyncio
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from smart_auth import sessions
from smart_auth.records import Client, Session, User
from smart_auth.scopes.coverage import within
from smart_auth.scopes.grammar import ResourceScope, of, parse
from tests.smart_auth.house import House
from tests.smart_auth.scopes.strategies import resource_scopes
from tests.smart_auth.test_token_endpoint import bearer, code_form, refused, signed


async def test_a_refresh_rotates_and_keeps_scope_and_context(house: House) -> None:
    first = await house.offline()
    answer = await house.refresh(first["refresh_token"])
    assert answer.status == 200
    assert answer.body["scope"] == first["scope"]
    assert answer.body["patient"] == "ann"
    assert answer.body["refresh_token"] != first["refresh_token"]
    assert answer.body["access_token"] != first["access_token"]
    assert await bearer(house, answer.body["access_token"])


async def test_a_public_client_may_leave_its_id_out_of_a_refresh(house: House) -> None:
    first = (await house.offline())["refresh_token"]
    answer = await house.refresh(first, client_id="")
    assert answer.status == 200
    house.clock.pass_(seconds=31)
    refused(await house.refresh(first, client_id=""))
    refused(await house.refresh(answer.body["refresh_token"], client_id=""))
    refused(await house.refresh("unknown", client_id=""), "invalid_client", 401)


async def test_a_client_that_must_prove_itself_cannot_leave_its_id_out_of_a_refresh(house: House) -> None:
    code = await house.code(house.asking("keyed", scope="patient/*.rs offline_access"))
    first = (await house.token({**code_form(code), **signed(house, "keyed")})).body["refresh_token"]
    refused(await house.refresh(first, client_id=""), "invalid_client", 401)
    form = {"grant_type": "refresh_token", "refresh_token": first}
    assert (await house.token({**form, **signed(house, "keyed")})).status == 200


async def test_a_refresh_whose_answer_was_lost_is_answered_the_same_again(house: House) -> None:
    first = await house.offline()
    answers = await asyncio.gather(*(house.refresh(first["refresh_token"]) for _ in range(20)))
    assert {answer.status for answer in answers} == {200}
    assert len({answer.body["refresh_token"] for answer in answers}) == 1
    assert len({answer.body["access_token"] for answer in answers}) == 1
    house.clock.pass_(seconds=29)
    again = await house.refresh(first["refresh_token"])
    assert again.body["access_token"] == answers[0].body["access_token"]
    assert again.body["expires_in"] == 3600 - 29


async def test_refresh_reuse_revokes_the_family(house: House) -> None:
    first = await house.offline()
    second = (await house.refresh(first["refresh_token"])).body
    house.clock.pass_(seconds=31)
    refused(await house.refresh(first["refresh_token"]))
    assert "refresh-reused" in house.kinds
    refused(await house.refresh(second["refresh_token"]))
    assert await bearer(house, second["access_token"]) is None


async def test_refresh_reuse_after_the_successor_was_used_revokes_the_family_at_once(house: House) -> None:
    first = await house.offline()
    second = (await house.refresh(first["refresh_token"])).body
    third = (await house.refresh(second["refresh_token"])).body
    refused(await house.refresh(first["refresh_token"]))
    refused(await house.refresh(third["refresh_token"]))


async def test_a_refresh_token_of_another_client_is_refused_and_stays(house: House) -> None:
    first = await house.offline()
    refused(await house.refresh(first["refresh_token"], "thief"))
    assert (await house.refresh(first["refresh_token"])).status == 200


@pytest.mark.parametrize("scope", ["patient/Observation.r", "patient/*.read", "patient/Observation.rs?category=a"])
async def test_a_refresh_may_narrow_by_meaning_and_the_grant_stays(house: House, scope: str) -> None:
    first = await house.offline()
    second = (await house.refresh(first["refresh_token"], scope=scope)).body
    assert second["scope"] == scope
    third = (await house.refresh(second["refresh_token"])).body
    assert third["scope"] == first["scope"]


@pytest.mark.parametrize(
    "scope", ["patient/*.cruds", "user/*.rs", "system/*.rs", "patient/*.rs online_access", "nonsense", "patient/X.rs"]
)
async def test_scope_escalation_on_refresh_is_refused(house: House, scope: str) -> None:
    refused(await house.refresh((await house.offline())["refresh_token"], scope=scope), "invalid_scope")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60)
@given(st.lists(resource_scopes, max_size=3))
async def test_scope_escalation_on_refresh_is_refused_whatever_is_asked(
    house: House, asked: list[ResourceScope]
) -> None:
    house = await House.built()
    first = await house.offline("patient/Observation.rs?category=a patient/Condition.cr offline_access")
    answer = await house.refresh(first["refresh_token"], scope=of(asked).text)
    if answer.status == 200:
        assert within(parse(answer.body["scope"]), parse(first["scope"])) == ()


async def test_a_refresh_token_lives_three_months_from_each_use(house: House) -> None:
    first = await house.offline()
    house.clock.pass_(days=95)
    second = await house.refresh(first["refresh_token"])
    assert second.status == 200
    house.clock.pass_(days=95)
    third = await house.refresh(second.body["refresh_token"])
    assert third.status == 200
    house.clock.pass_(days=101)
    refused(await house.refresh(third.body["refresh_token"]))


async def test_a_refresh_cannot_revive_what_a_disabled_person_granted(house: House) -> None:
    first = await house.offline()
    await house.disable_user("u-ann")
    refused(await house.refresh(first["refresh_token"]))
    assert await bearer(house, first["access_token"]) is None


async def test_a_refresh_of_a_disabled_client_is_refused(house: House) -> None:
    first = await house.offline()
    await house.disable_client("public")
    refused(await house.refresh(first["refresh_token"]), "invalid_client", 401)
    assert await bearer(house, first["access_token"]) is None


async def test_a_refresh_after_the_password_was_changed_is_refused(house: House) -> None:
    first = await house.offline()
    user = await house.store.get(User, "u-ann")
    assert user
    house.clock.pass_(seconds=1)
    await house.store.swap(user, replace(user, credentials_changed=house.clock()))
    refused(await house.refresh(first["refresh_token"]))


async def test_a_refresh_gives_no_more_than_the_client_may_still_have(house: House) -> None:
    first = await house.offline()
    client = await house.store.get(Client, "public")
    assert client
    await house.store.swap(client, replace(client, scope="patient/Patient.rs offline_access"))
    assert (await house.refresh(first["refresh_token"])).body["scope"] == (
        "patient/Patient.rs offline_access launch/patient"
    )


async def test_online_access_ends_with_the_session_and_offline_access_does_not(house: House) -> None:
    online = (await house.redeem(await house.code(house.asking(scope="patient/*.rs online_access")))).body
    offline = await house.offline()
    grant = await bearer(house, online["access_token"])
    assert grant
    session = await house.store.get(Session, grant.grant.session_id)
    assert session
    await sessions.end(house.realm, session)
    refused(await house.refresh(online["refresh_token"]))
    assert await bearer(house, online["access_token"]) is None
    assert (await house.refresh(offline["refresh_token"])).status == 200


async def test_online_access_ends_when_the_session_is_idle(house: House) -> None:
    online = (await house.redeem(await house.code(house.asking(scope="patient/*.rs online_access")))).body
    house.clock.pass_(minutes=31)
    refused(await house.refresh(online["refresh_token"]))
