"""What clients learn before they ask."""

import json
from dataclasses import replace

import pytest

from smart_auth import discovery, keys, rotation
from smart_auth.records import Key
from tests.smart_auth.house import ISSUER, House


async def test_the_smart_configuration_has_what_is_required(house: House) -> None:
    found = discovery.smart_configuration(house.realm.policy)
    assert found["issuer"] == ISSUER
    assert found["code_challenge_methods_supported"] == ["S256"]
    assert {"authorization_code", "client_credentials"} <= set(found["grant_types_supported"])
    assert {"launch-ehr", "launch-standalone", "authorize-post", "permission-v1"} <= set(found["capabilities"])
    assert {"RS384", "ES384"} <= set(found["token_endpoint_auth_signing_alg_values_supported"])
    urls = [value for name, value in found.items() if name.endswith(("_endpoint", "_uri"))]
    assert all(url.startswith("https://") for url in urls)
    assert "registration_endpoint" not in found


async def test_registration_is_announced_where_it_is_open(house: House) -> None:
    policy = replace(house.realm.policy, registration="open")
    assert discovery.smart_configuration(policy)["registration_endpoint"] == f"{ISSUER}/register"


async def test_every_scope_that_is_announced_is_understood(house: House) -> None:
    assert house.realm.scopes(" ".join(discovery.SCOPES)).refused == ()


async def test_the_openid_configuration_has_what_is_required(house: House) -> None:
    found = discovery.openid_configuration(house.realm.policy)
    assert found["issuer"] == ISSUER
    assert found["id_token_signing_alg_values_supported"] == ["RS256"]
    assert found["subject_types_supported"] == ["public"]


async def test_the_key_set_has_public_members_only(house: House) -> None:
    found = await discovery.key_set(house.realm)
    assert [key.keys() for key in found["keys"]] == [{"kty", "n", "e", "kid", "use", "alg"}] * 2
    assert '"d"' not in json.dumps(found)


@pytest.mark.parametrize("times", [1, 2])
async def test_after_a_rotation_old_tokens_are_still_checked_and_new_ones_signed_anew(house: House, times: int) -> None:
    body = (await house.redeem(await house.code())).body
    for _ in range(times):
        assert await rotation.rotate(house.realm)
    again = (await house.redeem(await house.code())).body
    ring = [key for state in ("signing", "next", "retired") for key in await house.store.find(Key, state=state)]
    assert len(ring) == 2 + times
    for token in (body["id_token"], again["id_token"]):
        found = keys.read(ring, token, house.clock())
        assert found
        assert found["sub"] == "u-ann"
    assert "keys-rotated" in house.kinds


async def test_a_server_is_founded_once(house: House) -> None:
    before = await discovery.key_set(house.realm)
    await rotation.found(house.realm)
    assert await discovery.key_set(house.realm) == before
