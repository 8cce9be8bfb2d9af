"""Taking access back."""

import pytest

from smart_auth import revoke, tokens
from smart_auth.exchange import Answer
from smart_auth.records import Client, User
from tests.smart_auth.house import House, posted


async def asked(house: House, token: str, client_id: str = "public", **more: str) -> Answer:
    return await revoke.respond(house.realm, posted({"token": token, "client_id": client_id, **more}))


async def lives(house: House, token: str) -> bool:
    return await tokens.find(house.realm, token) is not None


async def test_revoking_the_refresh_token_ends_the_access_tokens_too(house: House) -> None:
    first = await house.offline()
    answer = await asked(house, first["refresh_token"], token_type_hint="refresh_token")
    assert (answer.status, answer.headers["Cache-Control"]) == (200, "no-store")
    assert not await lives(house, first["access_token"])
    assert (await house.refresh(first["refresh_token"])).status == 400
    assert "grant-revoked" in house.kinds


async def test_revoking_an_access_token_keeps_the_refresh_token(house: House) -> None:
    first = await house.offline()
    epoch = await house.store.epoch()
    assert (await asked(house, first["access_token"])).status == 200
    assert not await lives(house, first["access_token"])
    assert await house.store.epoch() > epoch
    assert (await house.refresh(first["refresh_token"])).status == 200


@pytest.mark.parametrize("hint", ["", "access_token", "refresh_token", "nonsense"])
async def test_a_wrong_hint_does_not_keep_a_token_alive(house: House, hint: str) -> None:
    first = await house.offline()
    assert (await asked(house, first["access_token"], token_type_hint=hint)).status == 200
    assert not await lives(house, first["access_token"])


async def test_an_unknown_token_is_revoked_already(house: House) -> None:
    assert (await asked(house, "made-up")).status == 200


async def test_a_token_of_another_client_is_refused_and_stays(house: House) -> None:
    first = await house.offline()
    for kind in ("access_token", "refresh_token"):
        assert (await asked(house, first[kind], "thief")).status == 400
    assert await lives(house, first["access_token"])


async def test_an_unknown_client_is_refused(house: House) -> None:
    assert (await asked(house, "x", "nobody")).status == 401
    assert (await asked(house, "")).status == 400


async def test_a_person_sees_connected_apps_and_takes_one_back(house: House) -> None:
    first = await house.offline()
    await house.code()  # agreed to, and never redeemed
    user, other = await house.store.get(User, "u-ann"), await house.store.get(User, "u-bo")
    assert user
    assert other
    (grant,) = await revoke.connected(house.realm, user)
    assert (grant.client_id, grant.access, grant.used) == ("public", "offline", house.clock())
    assert not await revoke.by_person(house.realm, other, grant.client_id)
    assert await lives(house, first["access_token"])
    assert await revoke.by_person(house.realm, user, grant.client_id)
    assert not await lives(house, first["access_token"])
    assert await revoke.connected(house.realm, user) == []


async def test_an_administrator_takes_everything_back_of_a_client_or_a_person(house: House) -> None:
    client, user = await house.store.get(Client, "public"), await house.store.get(User, "u-ann")
    assert client
    assert user
    first = await house.offline()
    assert await revoke.of_client(house.realm, client)
    assert not await lives(house, first["access_token"])
    second = await house.offline()
    assert await revoke.of_user(house.realm, user)
    assert not await lives(house, second["access_token"])
    assert not await revoke.of_user(house.realm, user)
