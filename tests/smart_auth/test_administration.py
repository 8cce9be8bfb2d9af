"""What an administrator does with clients."""

from dataclasses import replace

import pytest

from smart_auth import administration
from smart_auth.administration import Registration, Unacceptable
from smart_auth.records import Client
from smart_auth.scopes.advice import ADVICE
from tests.smart_auth.apps import ec, key_set, rsa
from tests.smart_auth.house import CALLBACK, House
from tests.smart_auth.test_token_endpoint import basic, code_form, signed


async def test_a_public_app_is_added_and_used(house: House) -> None:
    client, secret = await administration.add_client(house.realm, Registration("public", "New", [CALLBACK]))
    assert (client.verified, secret) == (True, "")
    assert (await house.redeem(await house.code(house.asking(client.id)), client.id)).status == 200
    assert client in await administration.clients(house.realm)


async def test_a_backend_is_added_and_has_what_it_was_given(house: House) -> None:
    wanted = Registration("backend", "ETL", scope="system/Patient.rs", jwks=key_set(rsa()))
    client, _ = await administration.add_client(house.realm, wanted)
    form = {"grant_type": "client_credentials", "scope": "system/*.cruds", **signed(house, client.id)}
    assert (await house.token(form)).body["scope"] == "system/Patient.rs"


async def test_a_secret_is_rotated_and_the_old_one_is_void(house: House) -> None:
    client, old = await administration.add_client(house.realm, Registration("confidential", "New", [CALLBACK]))
    new = await administration.rotate_secret(house.realm, client.id)
    code = await house.code(house.asking(client.id))
    assert (await house.token(code_form(code), basic(client.id, old))).status == 401
    assert (await house.token(code_form(code), basic(client.id, new))).status == 200
    with pytest.raises(Unacceptable, match="no secret"):
        await administration.rotate_secret(house.realm, "public")


@pytest.mark.parametrize(
    ("wanted", "says"),
    [
        (Registration("public", "x"), "redirect URIs"),
        (Registration("public", "x", ["http://app.example/"]), "https"),
        (Registration("backend", "x", scope="system/*.rs"), "jwks"),
        (Registration("backend", "x", jwks=key_set(rsa())), "system/"),
        (Registration("public", "x", [CALLBACK], scope="patient/Nothing.rs"), "Nothing is not a resource type"),
    ],
)
async def test_a_client_that_cannot_be_registered_is_refused_with_a_reason(
    house: House, wanted: Registration, says: str
) -> None:
    with pytest.raises(Unacceptable, match=says):
        await administration.add_client(house.realm, wanted)


async def test_a_disabled_client_loses_what_it_was_granted(house: House) -> None:
    first = await house.offline()
    await administration.disable_client(house.realm, "public")
    assert (await house.refresh(first["refresh_token"])).status == 401
    client = await house.store.get(Client, "public")
    assert client
    assert client.disabled
    with pytest.raises(Unacceptable, match="no client"):
        await administration.disable_client(house.realm, "nobody")


async def test_a_client_that_is_enabled_again_works_and_has_nothing_of_what_it_was_granted(house: House) -> None:
    first = await house.offline()
    await administration.disable_client(house.realm, "public")
    await administration.enable_client(house.realm, "public")
    assert (await house.refresh(first["refresh_token"])).status == 400
    assert (await house.redeem(await house.code())).status == 200


async def test_a_service_that_registered_itself_is_enabled_with_less_than_it_asked_for(house: House) -> None:
    wanted = Registration("backend", "ETL", scope="system/*.cruds", jwks=key_set(rsa()))
    client, _ = await administration.add_client(house.realm, wanted)
    await house.store.swap(client, replace(client, pending=True))
    form = {"grant_type": "client_credentials", "scope": "system/*.cruds"}
    assert (await house.token({**form, **signed(house, client.id)})).status == 400
    await administration.enable_client(house.realm, client.id, "system/Patient.rs")
    assert (await house.token({**form, **signed(house, client.id)})).body["scope"] == "system/Patient.rs"
    with pytest.raises(Unacceptable, match="cannot be granted"):
        await administration.enable_client(house.realm, client.id, "system/Nothing.rs")


async def test_keys_are_replaced_and_the_old_ones_are_void(house: House) -> None:
    wanted = Registration("backend", "ETL", scope="system/Patient.rs", jwks=key_set(ec()))
    client, _ = await administration.add_client(house.realm, wanted)
    form = {"grant_type": "client_credentials", "scope": "system/Patient.rs"}
    assert (await house.token({**form, **signed(house, client.id)})).status != 200
    await administration.replace_keys(house.realm, client.id, jwks=key_set(rsa()))
    assert (await house.token({**form, **signed(house, client.id)})).status == 200
    for client_id, says in (("public", "has no keys"), (client.id, "either jwks or jwks_uri")):
        with pytest.raises(Unacceptable, match=says):
            await administration.replace_keys(house.realm, client_id)


async def test_a_client_has_the_id_that_it_was_given_and_nobody_else_gets_it(house: House) -> None:
    wanted = Registration("public", "New", [CALLBACK], id="chosen")
    client, _ = await administration.add_client(house.realm, wanted)
    assert client.id == "chosen"
    with pytest.raises(Unacceptable, match="already"):
        await administration.add_client(house.realm, wanted)


async def test_AI_1_an_advisor_that_asks_for_everything_gets_a_reduced_grant(house: House) -> None:
    wanted = Registration("backend", "NEWS2", scope="system/*.cruds", jwks=key_set(rsa()), advisory=True)
    client, _ = await administration.add_client(house.realm, wanted)

    async def given(scope: str) -> list[str]:
        form = {"grant_type": "client_credentials", "scope": scope, **signed(house, client.id)}
        return sorted(str((await house.token(form)).body.get("scope", "")).split())

    creating = sorted(f"system/{name}.c" for name in ADVICE)
    assert await given("system/*.c") == creating
    assert await given("system/*.cruds") == sorted([*creating, "system/*.rs"])
    assert await given("system/Observation.cu system/Patient.rs") == ["system/Patient.rs"]
    assert await given("system/Observation.cud") == []


async def test_a_service_gets_no_more_than_the_types_that_it_is_registered_for(house: House) -> None:
    wanted = Registration(
        "backend", "Lab", scope="system/*.rs", jwks=key_set(rsa()), types=["Observation", "Patient"],
        facilities=["lab", "ward", "lab"], purpose="TREAT",
    )  # fmt: skip
    client, _ = await administration.add_client(house.realm, wanted)
    assert (client.facility, client.facilities, client.purpose) == ("lab", ("lab", "ward"), "TREAT")
    form = {"grant_type": "client_credentials", "scope": "system/*.cruds", **signed(house, client.id)}
    assert (await house.token(form)).body["scope"] == "system/Observation.rs system/Patient.rs"


@pytest.mark.parametrize(
    ("wanted", "says"),
    [
        (Registration("public", "x", [CALLBACK], advisory=True), "backend services"),
        (Registration("confidential", "x", [CALLBACK], facilities=["a"]), "backend services"),
        (Registration("public", "x", [CALLBACK], types=["Patient"]), "backend services"),
        (
            Registration("backend", "x", scope="system/*.rs ehr-launch", jwks=key_set(rsa()), advisory=True),
            "ehr-launch",
        ),
    ],
)
async def test_a_policy_that_makes_no_sense_is_refused(house: House, wanted: Registration, says: str) -> None:
    with pytest.raises(Unacceptable, match=says):
        await administration.add_client(house.realm, wanted)
