"""The pages of an account."""

import httpx
from starlette.applications import Starlette
from starlette.types import Message, Receive, Scope, Send

from fhir_server.http.auth.site import routes
from smart_auth import people, tokens
from smart_auth.records import User
from tests.http.auth.conftest import browser
from tests.http.auth.surfing import forms, heading, send, sign_in
from tests.smart_auth.house import CALLBACK, House


async def test_a_person_sees_connected_apps_and_takes_access_back(client: httpx.AsyncClient, house: House) -> None:
    first = await house.offline()
    page = await sign_in(client, await client.get("/auth/apps"))
    assert heading(page) == "Connected apps"
    assert "Public App" in page.text
    (button,) = forms(page)[0].buttons
    page = await send(client, forms(page)[0], button)
    assert "No app has access" in page.text
    assert await tokens.find(house.realm, first["access_token"]) is None


async def test_somebody_else_cannot_take_it_back(client: httpx.AsyncClient, house: House) -> None:
    first = await house.offline()
    found = await tokens.find(house.realm, first["access_token"])
    assert found
    await house.redeem(await house.code(user_id="u-bo", patient="bo"))
    page = await sign_in(client, await client.get("/auth/apps"), "bo")
    await send(client, forms(page)[0], ("client", found.grant.client_id))
    assert await tokens.find(house.realm, first["access_token"])


async def test_a_person_signs_out(client: httpx.AsyncClient, house: House) -> None:
    page = await sign_in(client, await client.get("/auth/apps"))
    old = dict(client.cookies)
    page = await send(client, forms(page)[-1])
    assert heading(page) == "You are signed out"
    client.cookies.update(old)
    assert heading(await client.get("/auth/apps")) == "Sign in"


async def test_an_app_signs_the_person_out_and_gets_the_browser_back(client: httpx.AsyncClient, house: House) -> None:
    await sign_in(client, await client.get("/auth/apps"))
    body = (await house.redeem(await house.code())).body
    query = {"id_token_hint": body["id_token"], "post_logout_redirect_uri": CALLBACK, "state": "x"}
    response = await client.get("/auth/end-session", params=query)
    assert response.headers["location"] == f"{CALLBACK}?state=x"
    assert heading(await client.get("/auth/apps")) == "Sign in"


async def test_csrf_on_signing_out_the_person_is_asked(client: httpx.AsyncClient, house: House) -> None:
    await sign_in(client, await client.get("/auth/apps"))
    page = await client.get("/auth/end-session")
    assert heading(page) == "Sign out?"
    assert heading(await client.get("/auth/apps")) == "Connected apps"
    assert heading(await send(client, forms(page)[0])) == "You are signed out"


async def test_open_redirect_after_signing_out_is_refused(client: httpx.AsyncClient) -> None:
    response = await client.get("/auth/end-session", params={"post_logout_redirect_uri": "https://evil.example"})
    assert response.status_code == 200
    assert "location" not in response.headers


async def test_a_person_chooses_a_password_with_the_link_of_an_invitation(
    client: httpx.AsyncClient, house: House
) -> None:
    user = await house.store.get(User, "u-ann")
    assert user
    house.clock.pass_(seconds=1)
    link = await people.invite(house.realm, user)
    page = await client.get("/auth/password", params={"link": link})
    page = await send(client, forms(page)[0], ("password", "short"))
    assert page.status_code == 400
    assert "12 or more" in page.text
    page = await send(client, forms(page)[0], ("password", "another four words here"))
    assert heading(page) == "Your password is set"
    async with browser(house) as other:
        page = await sign_in(other, await other.get("/auth/apps"), password="another four words here")
        assert heading(page) == "Connected apps"


async def test_a_forgotten_password_is_replaced_by_the_link_of_a_letter(
    client: httpx.AsyncClient, house: House
) -> None:
    house.clock.pass_(seconds=1)
    page = await client.get("/auth/apps")
    assert 'href="/auth/forgot"' in page.text
    page = await send(client, forms(await client.get("/auth/forgot"))[0], ("login", "ann"))
    assert heading(page) == "Look into your mailbox"
    page = await client.get("/auth/password", params={"link": house.letterbox.link()})
    page = await send(client, forms(page)[0], ("password", "another four words here"))
    assert heading(page) == "Your password is set"
    assert house.letterbox.letters[-1].subject == "Your password was changed (Aquifer)"
    async with browser(house) as other:
        page = await sign_in(other, await other.get("/auth/apps"), password="another four words here")
        assert heading(page) == "Connected apps"


async def test_letters_are_in_the_language_of_the_pages(client: httpx.AsyncClient, house: House) -> None:
    client.headers["Accept-Language"] = "de"
    await send(client, forms(await client.get("/auth/forgot"))[0], ("login", "ann"))
    letter = house.letterbox.letters[-1]
    assert letter.subject == "Ein neues Passwort für Aquifer"
    assert letter.text.startswith("Guten Tag, Ann Lee,\n\nJemand, wahrscheinlich Sie,")
    assert "bis zum 21. November 2026, 08:30 UTC." in letter.text
    page = await client.get("/auth/password", params={"link": house.letterbox.link()})
    await send(client, forms(page)[0], ("password", "another four words here"))
    assert house.letterbox.letters[-1].subject == "Ihr Passwort wurde geändert (Aquifer)"


async def test_user_enumeration_by_a_forgotten_password_finds_no_difference(
    client: httpx.AsyncClient, house: House
) -> None:
    form = forms(await client.get("/auth/forgot"))[0]
    pages = [await send(client, form, ("login", login)) for login in ("ann", "bo", "nobody", "", "\u00e9")]
    house.letterbox.broken = True
    pages.append(await send(client, form, ("login", "ann")))
    assert {page.status_code for page in pages} == {200}
    assert len({page.text for page in pages}) == 1
    assert len(house.letterbox.letters) == 1


async def test_user_enumeration_by_the_time_of_a_forgotten_password_has_nothing_to_measure(house: House) -> None:
    """The answer is on its way before the record is asked for the person."""
    order: list[str] = []
    app = Starlette(routes=routes(lambda: house.realm))

    async def watched(scope: Scope, receive: Receive, send_on: Send) -> None:
        async def answer(message: Message) -> None:
            if message["type"] == "http.response.body" and not message.get("more_body"):
                order.append(" ".join(house.kinds))
            await send_on(message)

        await app(scope, receive, answer)

    transport = httpx.ASGITransport(watched, client=("192.0.2.1", 50000))
    async with httpx.AsyncClient(transport=transport, base_url="https://a.example") as client:
        form = forms(await client.get("/auth/forgot"))[0]
        await send(client, form, ("login", "ann"))
    assert order == ["", ""]
    assert house.kinds == ["reset-asked", "invited"]
    assert house.letterbox.letters


async def test_csrf_on_a_forgotten_password_is_refused(client: httpx.AsyncClient, house: House) -> None:
    form = forms(await client.get("/auth/forgot"))[0]
    async with browser(house) as victim:
        await victim.get("/auth/forgot")
        assert (await send(victim, form, ("login", "ann"))).status_code == 403
    assert house.letterbox.letters == []


async def test_a_flood_of_forgotten_passwords_is_slowed_down(client: httpx.AsyncClient, house: House) -> None:
    form = forms(await client.get("/auth/forgot"))[0]
    for _ in range(20):
        await send(client, form, ("login", "bo"))
    page = await send(client, form, ("login", "bo"))
    assert page.status_code == 429
    assert page.headers["Retry-After"] == "3600"
