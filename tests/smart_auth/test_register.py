"""Dynamic registration, and the attacks on it."""

from dataclasses import replace
from typing import Any

import pytest

from smart_auth import administration, opaque, register
from smart_auth.exchange import Answer, Request
from smart_auth.realm import Policy
from smart_auth.records import Client
from tests.smart_auth.apps import key_set, rsa
from tests.smart_auth.house import BASE, ISSUER, House, posted

OPEN = Policy(ISSUER, BASE, registration="open")
PUBLIC = {"redirect_uris": ["https://new.example/cb"], "token_endpoint_auth_method": "none", "client_name": "New"}
BACKEND = {
    "token_endpoint_auth_method": "private_key_jwt",
    "grant_types": ["client_credentials"],
    "jwks": key_set(rsa()),
    "scope": "system/*.rs patient/*.rs",
}


async def built(policy: Policy = OPEN) -> House:
    return await House.built(policy)


async def asked(house: House, metadata: Any, token: str = "") -> Answer:
    return await register.respond(
        house.realm, posted({}, {"authorization": f"Bearer {token}"} if token else {}), metadata
    )


async def test_an_app_registers_and_is_used() -> None:
    house = await built()
    answer = await asked(house, PUBLIC)
    assert answer.status == 201
    assert answer.body["client_id"].startswith("app-")
    assert "client_secret" not in answer.body
    uri = "https://new.example/cb"
    code = await house.code(house.asking(answer.body["client_id"], redirect_uri=uri))
    assert (await house.redeem(code, answer.body["client_id"], redirect_uri=uri)).status == 200
    assert "client-registered" in house.kinds


async def test_a_confidential_app_gets_a_secret_of_which_only_the_digest_is_kept() -> None:
    house = await built()
    body = (await asked(house, {"redirect_uris": ["https://new.example/cb"]})).body
    assert body["client_secret_expires_at"] == 0
    client = await house.store.get(Client, body["client_id"])
    assert client
    assert (client.kind, client.secret) == ("confidential", opaque.digest(body["client_secret"]))


async def test_scope_escalation_by_registration_a_backend_waits_for_approval() -> None:
    house = await built()
    body = (await asked(house, BACKEND)).body
    assert (body["scope"], body["pending_approval"]) == ("system/*.rs", True)
    client = await house.store.get(Client, body["client_id"])
    assert client
    assert not client.usable


async def test_scope_escalation_by_registration_an_app_gets_no_system_scope_and_no_introspection() -> None:
    house = await built()
    body = (await asked(house, {**PUBLIC, "scope": "system/*.rs patient/*.rs introspect openid"})).body
    assert body["scope"] == "patient/*.rs openid"


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"redirect_uris": []}, "invalid_redirect_uri"),
        ({"redirect_uris": ["http://new.example/cb"]}, "invalid_redirect_uri"),
        ({"redirect_uris": ["https://new.example/cb#x"]}, "invalid_redirect_uri"),
        ({"redirect_uris": ["https://*.example/cb"]}, "invalid_redirect_uri"),
        ({"redirect_uris": ["https://user@new.example/cb"]}, "invalid_redirect_uri"),
        ({"redirect_uris": ["javascript:alert(1)"]}, "invalid_redirect_uri"),
        ({"redirect_uris": ["http://localhost/cb"]}, "invalid_redirect_uri"),
        ({"redirect_uris": [f"https://new.example/{number}" for number in range(21)]}, "invalid_client_metadata"),
        ({"redirect_uris": "https://new.example/cb"}, "invalid_redirect_uri"),
        ({"redirect_uris": [1]}, "invalid_client_metadata"),
        ({"token_endpoint_auth_method": "client_secret_jwt"}, "invalid_client_metadata"),
        ({"grant_types": ["password"]}, "invalid_client_metadata"),
        ({"grant_types": ["refresh_token"]}, "invalid_client_metadata"),
        ({"grant_types": ["client_credentials"]}, "invalid_client_metadata"),
        ({"client_name": 5}, "invalid_client_metadata"),
        ({"logo_uri": "javascript:alert(1)"}, "invalid_client_metadata"),
        ({"jwks": key_set(rsa())}, "invalid_client_metadata"),
        ({"token_endpoint_auth_method": "private_key_jwt"}, "invalid_client_metadata"),
        (
            {"token_endpoint_auth_method": "private_key_jwt", "jwks": {"keys": [dict(rsa().as_dict(private=True))]}},
            "invalid_client_metadata",
        ),
        (
            {"token_endpoint_auth_method": "private_key_jwt", "jwks_uri": "http://new.example/"},
            "invalid_client_metadata",
        ),
        (
            {"token_endpoint_auth_method": "private_key_jwt", "jwks_uri": "https://n.example/", "jwks": key_set(rsa())},
            "invalid_client_metadata",
        ),
        ({"launch_uris": ["http://new.example/launch"]}, "invalid_client_metadata"),
        ({"contacts": "me"}, "invalid_client_metadata"),
        ({"token_endpoint_auth_method": ["none"]}, "invalid_client_metadata"),
        ({"token_endpoint_auth_method": {}}, "invalid_client_metadata"),
        ({"logo_uri": "https://a.example;frame-ancestors https://evil.example/"}, "invalid_client_metadata"),
        ({"logo_uri": "https://a.example;frame-ancestors/"}, "invalid_client_metadata"),
        ({"tos_uri": "https://["}, "invalid_client_metadata"),
        ({"client_uri": "https://\u202e.example/"}, "invalid_client_metadata"),
        ({"policy_uri": "https:///nowhere"}, "invalid_client_metadata"),
        ({"redirect_uris": ["https://a.example;script-src/cb"]}, "invalid_redirect_uri"),
        (
            {"token_endpoint_auth_method": "private_key_jwt", "jwks_uri": "https://[/"},
            "invalid_client_metadata",
        ),
    ],
)
async def test_metadata_that_cannot_be_registered_is_refused_with_a_reason(change: dict[str, Any], code: str) -> None:
    answer = await asked(await built(), {**PUBLIC, **change})
    assert answer.status == 400
    assert answer.body["error"] in {code, "invalid_redirect_uri" if "redirect" in code else "invalid_client_metadata"}
    assert answer.body["error_description"]


async def test_deceiving_by_a_name_that_people_do_not_see_as_it_is() -> None:
    """A name that turns the text around it, or that steers the terminal of an administrator."""
    name = "Hospital\x1b[2J\r\n\u202e ppA\x00\u2066 \u0915\u094d\u200d\u0937"
    house = await built()
    body = (await asked(house, {**PUBLIC, "client_name": name, "contacts": ["\x1b]0;a\x07me@new.example"]})).body
    assert body["client_name"] == "Hospital[2J ppA \u0915\u094d\u200d\u0937"
    assert body["contacts"] == ["]0;ame@new.example"]
    assert (await asked(house, {**PUBLIC, "client_name": "\u202e"})).body["client_name"] == "App without a name"


@pytest.mark.parametrize("metadata", [None, [], "x", 5, {}])
async def test_a_body_that_is_no_metadata_is_refused(metadata: Any) -> None:
    assert (await asked(await built(), metadata)).status == 400


async def test_changing_a_service_while_it_is_being_approved(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither what an approval has not seen is approved, nor does an approval reach what comes after it."""
    house = await built()
    body = (await asked(house, {**BACKEND, "scope": "system/Patient.rs"})).body
    client_id, wider = body["client_id"], {**BACKEND, "scope": "system/*.cruds"}
    owner = posted({}, {"authorization": f"Bearer {body['registration_access_token']}"})
    swap = house.store.swap

    async def after_the_approval(before: Client, after: Client, **how: Any) -> bool:
        monkeypatch.setattr(house.store, "swap", swap)
        await administration.enable_client(house.realm, client_id)
        return await swap(before, after, **how)

    async def after_the_change(before: Client, after: Client, **how: Any) -> bool:
        monkeypatch.setattr(house.store, "swap", swap)
        assert (await register.update(house.realm, owner, client_id, wider)).status == 200
        return await swap(before, after, **how)

    monkeypatch.setattr(house.store, "swap", after_the_change)
    with pytest.raises(administration.Unacceptable, match="at this moment"):
        await administration.enable_client(house.realm, client_id)
    assert (
        await register.update(house.realm, owner, client_id, {**BACKEND, "scope": "system/Patient.rs"})
    ).status == 200
    monkeypatch.setattr(house.store, "swap", after_the_approval)
    assert (await register.update(house.realm, owner, client_id, wider)).status == 400
    client = await house.store.get(Client, client_id)
    assert client
    assert (client.scope, client.pending) == ("system/Patient.rs", False)


async def test_a_closed_server_registers_nobody() -> None:
    assert (await asked(await built(Policy(ISSUER, BASE)), PUBLIC)).status == 403


async def test_an_initial_access_token_opens_and_guessing_it_is_slowed_down() -> None:
    house = await built(replace(OPEN, registration="token", registration_token=opaque.digest("letmein")))
    assert (await asked(house, PUBLIC, "letmein")).status == 201
    statuses = [(await asked(house, PUBLIC, "guess")).status for _ in range(7)]
    assert statuses[:5] == [401] * 5
    assert statuses[-1] == 429


async def test_a_flood_of_registrations_is_stopped() -> None:
    house = await built()
    statuses = [(await asked(house, PUBLIC)).status for _ in range(22)]
    assert statuses.count(201) == 20
    assert statuses[-1] == 429
    other = Request((), {}, address="198.51.100.7")
    assert (await register.respond(house.realm, other, PUBLIC)).status == 201


async def test_who_registered_can_read_change_and_remove() -> None:
    house = await built()
    body = (await asked(house, PUBLIC)).body
    client_id = body["client_id"]
    mine = posted({}, {"authorization": f"Bearer {body['registration_access_token']}"})
    assert (await register.read(house.realm, mine, client_id)).body["client_name"] == "New"
    changed = await register.update(house.realm, mine, client_id, {**PUBLIC, "client_name": "Newer"})
    assert (changed.status, changed.body["client_name"], changed.body["client_id"]) == (200, "Newer", client_id)
    other = {**PUBLIC, "token_endpoint_auth_method": "client_secret_basic"}
    assert (await register.update(house.realm, mine, client_id, other)).status == 400
    assert (await register.remove(house.realm, mine, client_id)).status == 204
    assert (await register.read(house.realm, mine, client_id)).status == 401


async def test_nobody_else_can_and_clients_of_administrators_have_no_such_token() -> None:
    house = await built()
    body = (await asked(house, PUBLIC)).body
    thief = posted({}, {"authorization": "Bearer guess"})
    for client_id in (body["client_id"], "public", "nobody"):
        assert (await register.read(house.realm, thief, client_id)).status == 401
        assert (await register.update(house.realm, thief, client_id, PUBLIC)).status == 401
        assert (await register.remove(house.realm, posted({}), client_id)).status == 401


@pytest.mark.parametrize(
    "said",
    [
        {"advisory": True},
        {"advisory": False},
        {"facilities": []},
        {"facility": "x"},
        {"types": ["Patient"]},
        {"purpose": "TREAT"},
    ],
)
async def test_nobody_gives_itself_a_policy_by_registering(said: dict[str, Any]) -> None:
    house = await built()
    answer = await asked(house, {**BACKEND, **said})
    assert (answer.status, answer.body["error"]) == (400, "invalid_client_metadata")
    assert next(iter(said)) in answer.body["error_description"]


async def test_an_update_keeps_the_policy_that_an_administrator_gave() -> None:
    house = await built()
    body = (await asked(house, BACKEND)).body
    client = await house.store.get(Client, body["client_id"])
    assert client
    policy: dict[str, Any] = {
        "facility": "a",
        "facilities": ("a",),
        "types": ("Patient",),
        "purpose": "TREAT",
        "advisory": True,
    }
    await house.store.swap(client, replace(client, **policy), felt=True)
    headers = {"authorization": f"Bearer {body['registration_access_token']}"}
    answer = await register.update(house.realm, posted({}, headers), client.id, BACKEND)
    assert answer.status == 200, answer.body
    kept = await house.store.get(Client, client.id)
    assert kept
    assert {name: getattr(kept, name) for name in policy} == policy
