"""Attacks on people and their browsers, over HTTP on the whole server: each test is named after its attack."""

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Awaitable
from dataclasses import replace

import httpx
import pytest
import pytest_asyncio
import structlog

from smart_auth import exchange, people, turns
from smart_auth.errors import OAuthError
from smart_auth.passwords import Passwords
from smart_auth.people import SignInFailed
from smart_auth.records import User
from smart_auth.sessions import COOKIE
from tests.http.auth.surfing import forms, heading, onward, send, sign_in
from tests.smart_auth.house import PASSWORD
from tests.smart_auth.inferno.site import REDIRECT, App, Site, issued

SCOPE = "launch/patient openid fhirUser patient/Patient.rs offline_access"
ALLOW = ("decision", "allow")
FOREIGN = {"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"}


@pytest_asyncio.fixture(loop_scope="session")
async def client(site: Site) -> AsyncIterator[httpx.AsyncClient]:
    async with site.browser() as client:
        yield client


async def opened(site: Site, client: httpx.AsyncClient) -> httpx.Response:
    return await site.asked(client, site.asking(await site.app(), SCOPE))


async def test_csrf_on_sign_in(site: Site, client: httpx.AsyncClient) -> None:
    """The attacker's own form, with which somebody would work in the attacker's account, and a form without any proof."""
    async with site.browser("198.51.100.1") as attacker:
        form = forms(await opened(site, attacker))[0]
    await opened(site, client)
    for headers in ({}, FOREIGN):
        page = await send(client, form, ("login", "ann"), ("password", PASSWORD), headers=headers)
        assert page.status_code == 403
    bare = await client.post("/auth/sign-in", data={"login": "ann", "password": PASSWORD})
    assert bare.status_code == 403
    assert COOKIE not in client.cookies


async def test_csrf_on_consent(site: Site, client: httpx.AsyncClient) -> None:
    page = await sign_in(client, await opened(site, client))
    form = forms(page)[0]
    assert (await send(client, form, ALLOW, headers=FOREIGN)).status_code == 403
    assert (await send(client, form, ALLOW, ("form", "made-up"))).status_code == 403
    async with site.browser("198.51.100.1") as attacker:
        theirs = forms(await sign_in(attacker, await opened(site, attacker), "bo"))[0]
    assert (await send(client, theirs, ALLOW)).status_code == 403
    assert (await send(client, form, ALLOW)).headers["location"].startswith(f"{REDIRECT}?code=")


async def test_session_fixation(site: Site, client: httpx.AsyncClient) -> None:
    """Neither a cookie that was made up nor one of before the sign-in stands for the session afterwards."""
    client.cookies.set(COOKIE, "known-to-the-attacker", domain="a.example")
    page = await opened(site, client)
    client.cookies.delete(COOKIE)
    before = dict(client.cookies)
    await sign_in(client, page)
    session = client.cookies[COOKIE]
    assert session != "known-to-the-attacker"
    assert session not in before.values()
    async with site.browser() as attacker:
        for value in ("known-to-the-attacker", *before.values()):
            attacker.cookies.set(COOKIE, value, domain="a.example")
            assert heading(await onward(attacker, await attacker.get("/auth/apps"))) == "Sign in"
            attacker.cookies.clear()


async def test_clickjacking(site: Site, client: httpx.AsyncClient) -> None:
    page = await opened(site, client)
    consent = await sign_in(client, page)
    for shown in (page, consent, await client.get("/auth/apps"), await client.get("/auth/authorize")):
        assert "frame-ancestors 'none'" in shown.headers["content-security-policy"]
        assert shown.headers["x-frame-options"] == "DENY"
        assert "no-store" in shown.headers["cache-control"]
        assert shown.headers["referrer-policy"] in {"no-referrer", "same-origin"}
        assert "max-age=" in shown.headers["strict-transport-security"]


async def test_clickjacking_by_the_logo_of_an_app(site: Site, client: httpx.AsyncClient) -> None:
    """The address of a picture stands in the policy of the page, and must not add a directive to it."""
    app = await site.app()
    logo = "https://a.example;frame-ancestors https://evil.example/x.png"
    kept = replace(app.client, logo_uri=logo)
    assert await site.realm.store.swap(app.client, kept)
    consent = await sign_in(client, await site.asked(client, site.asking(App(kept), SCOPE)))
    policy = consent.headers["content-security-policy"]
    directives = [one.split()[0] for one in policy.split(";")]
    assert len(directives) == len(set(directives))
    assert "frame-ancestors 'none'" in policy
    assert "a.example;" not in policy


async def test_user_enumeration_by_text(site: Site) -> None:
    said = []
    async with site.browser("198.51.100.20") as client:
        page = await opened(site, client)
        for login in ("ann", "nobody-of-this-name"):
            answer = await sign_in(client, page, login, "wrong wrong wrong")
            said.append((answer.status_code, answer.text.replace(login, "…"), sorted(answer.headers)))
    assert said[0] == said[1]
    assert said[0][0] == 401


async def test_user_enumeration_by_time(site: Site) -> None:
    """What a wrong password costs is the same work, whether or not somebody has the login."""
    async with site.browser("198.51.100.30") as client:  # the hash of a test becomes that of the deployment
        await sign_in(client, await opened(site, client), "bo")
    spent = {"bo": 0.0, "nobody": 0.0}
    async with site.browser("198.51.100.30") as client:
        page = await opened(site, client)
        for _ in range(2):
            for login in spent:
                before = time.process_time()
                page = await sign_in(client, page, login, "wrong wrong wrong")
                spent[login] += time.process_time() - before
                assert page.status_code == 401
    assert 0.4 < spent["bo"] / spent["nobody"] < 2.5


async def test_brute_force(site: Site) -> None:
    """Guessing one password is slowed down, and neither the owner elsewhere nor anybody else waits for it."""
    async with site.browser("198.51.100.40") as client:
        page = await opened(site, client)
        for _ in range(5):
            assert (await sign_in(client, page, "doc", "wrong wrong wrong")).status_code == 401
        refused = await sign_in(client, page, "doc", PASSWORD)
        assert refused.status_code == 429
        assert int(refused.headers["retry-after"]) >= 1
    async with site.browser("203.0.113.9") as owner:
        assert heading(await sign_in(owner, await opened(site, owner), "doc")) == "Whose record?"


async def test_brute_force_at_one_moment(site: Site) -> None:
    """Guesses that are sent all at once are not looked at before the first failures count."""
    address = exchange.Request((), {}, "POST", "198.51.100.41", "")
    ann = await site.realm.store.get(User, "u-ann")
    assert ann
    with_factor = replace(ann, totp="JBSWY3DPEHPK3PXP")
    for guess in (
        lambda: people.sign_in(site.realm, address, "bo", "wrong wrong wrong"),
        lambda: people.second_factor(site.realm, address, with_factor, "no"),
    ):
        results = await asyncio.gather(*(guess() for _ in range(60)), return_exceptions=True)
        looked_at = sum(isinstance(result, SignInFailed) for result in results)
        assert looked_at <= 5
        assert {result.code for result in results if isinstance(result, OAuthError)} == {"slow_down"}


async def test_memory_exhaustion_by_sign_ins(site: Site) -> None:
    """However many sign in at once, to however many accounts from wherever, only a few hashes are made at the same moment."""
    hashing, most = 0, 0
    counted = threading.Lock()

    class Counting(Passwords):
        def check(self, kept: str, password: str) -> bool:
            nonlocal hashing, most
            with counted:
                hashing += 1
                most = max(most, hashing)
            try:
                return super().check(kept, password)
            finally:
                with counted:
                    hashing -= 1

    realm = replace(site.realm, passwords=Counting())
    async with asyncio.TaskGroup() as group:
        for number in range(24):
            place = exchange.Request((), {}, "POST", f"198.51.100.{100 + number}", "")
            group.create_task(_refused(people.sign_in(realm, place, f"nobody{number}", "wrong wrong wrong")))
    assert 0 < most <= turns.AT_ONCE


async def _refused(attempt: Awaitable[object]) -> None:
    with pytest.raises(SignInFailed):
        await attempt


async def test_secrets_in_logs(site: Site) -> None:
    """Whoever reads the logs finds no password, code, token, cookie or secret of a whole launch."""
    app = await site.app("confidential")
    with structlog.testing.capture_logs() as logs:
        code = (await site.authorized(app, SCOPE))["code"]
        body = issued(await site.redeem(app, code))
        await site.get("Patient/ann", body["access_token"])
        await site.get(f"Patient/ann?access_token={body['access_token']}")
        await site.redeem(app, code)
    text = str(logs)
    for secret in (PASSWORD, code, body["access_token"], body["refresh_token"], app.secret):
        assert secret not in text
