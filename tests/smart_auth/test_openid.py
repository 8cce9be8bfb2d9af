"""Userinfo and signing out at the wish of an app."""

import pytest

from smart_auth import openid
from tests.smart_auth.house import BASE, CALLBACK, House, posted


async def test_userinfo_says_what_the_id_token_says(house: House) -> None:
    body = (await house.redeem(await house.code(house.asking(scope="openid fhirUser profile patient/*.rs")))).body
    answer = await openid.userinfo(house.realm, posted({}, {"authorization": f"Bearer {body['access_token']}"}))
    assert answer.body == {"sub": "u-ann", "fhirUser": f"{BASE}/Patient/ann", "name": "Ann Lee"}


@pytest.mark.parametrize("header", ["", "Bearer", "Bearer wrong", "Basic x"])
async def test_userinfo_wants_a_token(house: House, header: str) -> None:
    answer = await openid.userinfo(house.realm, posted({}, {"authorization": header} if header else {}))
    assert answer.status == 401
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")


async def test_userinfo_wants_the_scope_openid(house: House) -> None:
    body = (await house.redeem(await house.code(house.asking(scope="patient/*.rs")))).body
    answer = await openid.userinfo(house.realm, posted({}, {"authorization": f"Bearer {body['access_token']}"}))
    assert answer.status == 403
    assert 'scope="openid"' in answer.headers["WWW-Authenticate"]


async def test_an_app_with_an_id_token_of_the_person_may_sign_the_person_out(house: House) -> None:
    body = (await house.redeem(await house.code())).body
    session, _ = await house.signed_in()
    asked = posted({"id_token_hint": body["id_token"], "post_logout_redirect_uri": CALLBACK, "state": "s"})
    out = await openid.end_session(house.realm, asked, session)
    assert (out.must_ask, out.redirect) == (False, f"{CALLBACK}?state=s")
    house.clock.pass_(days=3)
    assert not (await openid.end_session(house.realm, asked, session)).must_ask


async def test_open_redirect_after_signing_out_is_refused(house: House) -> None:
    body = (await house.redeem(await house.code())).body
    session, _ = await house.signed_in()
    for form in (
        {"post_logout_redirect_uri": CALLBACK},
        {"post_logout_redirect_uri": CALLBACK, "client_id": "public"},
        {"post_logout_redirect_uri": CALLBACK, "id_token_hint": "forged.id.token"},
        {"post_logout_redirect_uri": "https://evil.example", "id_token_hint": body["id_token"]},
        {"post_logout_redirect_uri": CALLBACK, "id_token_hint": body["id_token"], "client_id": "thief"},
    ):
        assert (await openid.end_session(house.realm, posted(form), session)).redirect == ""


async def test_csrf_on_signing_out_the_person_is_asked(house: House) -> None:
    session, _ = await house.signed_in()
    assert (await openid.end_session(house.realm, posted({}), session)).must_ask
    other = (await house.redeem(await house.code(user_id="u-bo", patient="bo"))).body
    asked = posted({"id_token_hint": other["id_token"]})
    assert (await openid.end_session(house.realm, asked, session)).must_ask
