"""Introspection, and who may do it."""

from dataclasses import replace

import pytest

from smart_auth import introspect
from smart_auth.exchange import Answer, Request
from smart_auth.records import Client
from tests.smart_auth.house import BASE, ISSUER, House, posted
from tests.smart_auth.test_token_endpoint import basic, signed

INACTIVE = {"active": False}


async def asked(house: House, token: str, headers: dict[str, str] | None = None, **more: str) -> Answer:
    return await introspect.respond(house.realm, posted({"token": token, **more}, headers))


async def resource_server(house: House) -> dict[str, str]:
    client = await house.store.get(Client, "secret")
    assert client
    await house.store.swap(client, replace(client, scope="introspect"))
    return basic()


async def test_a_token_is_described_as_its_token_response_did(house: House) -> None:
    first = await house.offline()
    answer = await asked(house, first["access_token"], await resource_server(house))
    assert answer.status == 200
    now = int(house.clock().timestamp())
    assert answer.body == {
        "active": True,
        "scope": first["scope"],
        "client_id": "public",
        "iss": ISSUER,
        "sub": "u-ann",
        "aud": BASE,
        "exp": now + 3600,
        "iat": now,
        "fhirUser": f"{BASE}/Patient/ann",
        "token_type": "Bearer",
        "patient": "ann",
    }


async def test_a_client_may_ask_about_its_own_tokens_with_a_token(house: House) -> None:
    first = await house.offline()
    header = {"authorization": f"Bearer {first['access_token']}"}
    assert (await asked(house, first["access_token"], header)).body["active"] is True
    assert (await asked(house, first["refresh_token"], header)).body["active"] is True


async def test_a_token_of_another_client_looks_as_if_it_had_never_been(house: House) -> None:
    first = await house.offline()
    assert (await asked(house, first["access_token"], basic())).body == INACTIVE
    assert (await asked(house, first["refresh_token"], await resource_server(house))).body == INACTIVE


@pytest.mark.parametrize("token", ["made-up", "x" * 60_000, "a.b.c", "\ud800"])
async def test_what_is_no_token_is_inactive_and_nothing_else(house: House, token: str) -> None:
    answer = await asked(house, token, await resource_server(house))
    assert (answer.status, answer.body) == (200, INACTIVE)


async def test_an_expired_or_revoked_token_is_inactive_and_nothing_else(house: House) -> None:
    first, header = await house.offline(), await resource_server(house)
    house.clock.pass_(hours=1)
    assert (await asked(house, first["access_token"], header)).body == INACTIVE
    second = await house.offline()
    await house.store.end_grants(house.clock(), "person", user_id="u-ann")
    assert (await asked(house, second["access_token"], header)).body == INACTIVE


@pytest.mark.parametrize("headers", [{}, {"authorization": "Bearer wrong"}])
async def test_nobody_may_ask_without_saying_who_it_is(house: House, headers: dict[str, str]) -> None:
    answer = await asked(house, "x", headers)
    assert answer.status == 401
    assert answer.headers["WWW-Authenticate"]


async def test_a_public_client_cannot_ask_by_its_name_alone(house: House) -> None:
    first = await house.offline()
    assert (await asked(house, first["access_token"], client_id="public")).status == 401


async def test_a_backend_may_ask_with_its_key(house: House) -> None:
    token = await house.token({"grant_type": "client_credentials", "scope": "system/*.rs", **signed(house)})
    answer = await asked(house, token.body["access_token"], None, **signed(house))
    assert (answer.body["active"], answer.body["sub"]) == (True, "backend")


async def test_a_missing_or_repeated_token_is_an_invalid_request(house: House) -> None:
    assert (await asked(house, "", basic())).body["error"] == "invalid_request"
    twice = Request((("token", "a"), ("token", "b")), basic())
    assert (await introspect.respond(house.realm, twice)).body["error"] == "invalid_request"
