"""What an administrator does."""

import pytest

from smart_auth import administration, people
from smart_auth.administration import Registration, Unacceptable
from smart_auth.people import SignInFailed
from smart_auth.records import Client, Link
from tests.smart_auth.apps import key_set, rsa
from tests.smart_auth.house import CALLBACK, PASSWORD, House, posted
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


async def test_a_person_is_added_with_a_password_or_with_a_link_to_choose_one(house: House) -> None:
    _, link = await administration.add_user(
        house.realm, "New@X.org", "New", "patient", password="four quiet owls dancing"
    )
    assert link == ""
    assert await people.sign_in(house.realm, posted({}), "new@x.org", "four quiet owls dancing")
    _, link = await administration.add_user(house.realm, "other", "Other", "staff", links=[Link("Practitioner/1")])
    assert administration.invitation_url(house.realm, link).startswith("https://a.example/auth/password?link=")
    await people.choose_password(house.realm, posted({}), link, "four quiet owls dancing")
    assert await people.sign_in(house.realm, posted({}), "other", "four quiet owls dancing")


@pytest.mark.parametrize(
    ("login", "more", "says"),
    [
        ("ANN", {}, "taken"),
        ("", {}, "1 to 200"),
        ("a b", {}, "no spaces"),
        ("x", {"password": "short"}, "12 or more"),
        ("x", {"links": [Link("Organization/1")]}, "linked to one of"),
        ("x", {"links": [Link("Patient/../1")]}, "linked to one of"),
        ("x", {"links": [Link("RelatedPerson/1")]}, "for which"),
    ],
)
async def test_a_person_who_cannot_be_added_is_refused_with_a_reason(
    house: House, login: str, more: dict[str, list[Link]], says: str
) -> None:
    with pytest.raises(Unacceptable, match=says):
        await administration.add_user(house.realm, login, "X", "patient", **more)  # type: ignore[arg-type]


async def test_a_person_is_linked_once(house: House) -> None:
    proxy = Link("RelatedPerson/r", "cy")
    for _ in range(2):
        user = await administration.link(house.realm, "ann", proxy)
    assert [link.reference for link in user.links] == ["Patient/ann", "RelatedPerson/r"]
    with pytest.raises(Unacceptable, match="nobody"):
        await administration.link(house.realm, "nobody", proxy)


async def test_a_disabled_person_is_out_at_once(house: House) -> None:
    first = await house.offline()
    await administration.disable_user(house.realm, "ann")
    assert (await house.refresh(first["refresh_token"])).status == 400
    with pytest.raises(SignInFailed):
        await people.sign_in(house.realm, posted({}), "ann", PASSWORD)


async def test_a_reset_gives_a_link_and_takes_the_second_factor_only_if_asked(house: House) -> None:
    await administration.add_user(house.realm, "new", "New", "staff", password="four quiet owls dancing")
    assert await administration.reset(house.realm, "new", second_factor=True)
    assert (await administration.find_user(house.realm, "NEW")).totp == ""
