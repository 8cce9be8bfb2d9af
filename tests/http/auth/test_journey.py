"""The pages of an authorization in a browser, and the attacks on them."""

from dataclasses import replace

import httpx
import pyotp
import pytest

from smart_auth.realm import Policy
from smart_auth.records import User
from tests.http.auth.conftest import browser
from tests.http.auth.surfing import forms, heading, onward, send, sign_in, visit
from tests.smart_auth.house import BASE, CALLBACK, ISSUER, House, answer_of

ALLOW, REFUSE = ("decision", "allow"), ("decision", "refuse")


def arrived(response: httpx.Response) -> dict[str, str]:
    assert response.status_code == 303, response.text
    assert response.headers["location"].startswith(CALLBACK)
    return answer_of(response.headers["location"])


async def test_a_person_signs_in_and_allows_an_app(client: httpx.AsyncClient, house: House) -> None:
    page = await visit(client, house)
    assert heading(page) == "Sign in"
    page = await sign_in(client, page)
    assert heading(page) == "Allow Public App?"
    answer = arrived(await send(client, forms(page)[0], ALLOW))
    assert (await house.redeem(answer["code"])).status == 200
    assert answer["iss"] == ISSUER


async def test_a_posted_request_survives_the_sign_in(client: httpx.AsyncClient, house: House) -> None:
    data = dict(house.asking().parameters)
    headers = {"Origin": "https://app.example", "Sec-Fetch-Site": "cross-site"}
    page = await onward(client, await client.post("/auth/authorize", data=data, headers=headers))
    page = await sign_in(client, page)
    assert "code" in arrived(await send(client, forms(page)[0], ALLOW))


async def test_a_person_refuses(client: httpx.AsyncClient, house: House) -> None:
    page = await sign_in(client, await visit(client, house))
    assert arrived(await send(client, forms(page)[0], REFUSE))["error"] == "access_denied"


async def test_a_person_who_is_signed_in_and_agreed_before_sees_no_page(
    client: httpx.AsyncClient, house: House
) -> None:
    page = await sign_in(client, await visit(client, house))
    await house.redeem(arrived(await send(client, forms(page)[0], ALLOW))["code"])
    assert "code" in arrived(await visit(client, house))


async def test_what_is_unticked_is_not_granted(client: httpx.AsyncClient, house: House) -> None:
    page = await visit(
        client, house, scope="patient/Patient.rs patient/Condition.rs patient/Observation.rs offline_access"
    )
    page = await sign_in(client, page)
    value = "Observation http://terminology.hl7.org/CodeSystem/observation-category|laboratory"
    ticks = (("extent-Observation", "some"), ("category", value), ("keep", "hour"))
    answer = arrived(await send(client, forms(page)[0], ALLOW, *ticks, without=("type=Condition",)))
    body = (await house.redeem(answer["code"])).body
    assert body["scope"] == (
        "patient/Patient.rs patient/Observation.rs?category="
        "http://terminology.hl7.org/CodeSystem/observation-category|laboratory launch/patient"
    )
    assert "refresh_token" not in body


async def test_a_proxy_chooses_the_patient(client: httpx.AsyncClient, house: House) -> None:
    page = await sign_in(client, await visit(client, house), "bo")
    assert heading(page) == "Whose record?"
    assert forms(page)[0].buttons == [("patient", "ann"), ("patient", "bo")]
    page = await send(client, forms(page)[0], ("patient", "ann"))
    body = (await house.redeem(arrived(await send(client, forms(page)[0], ALLOW))["code"])).body
    assert body["patient"] == "ann"


async def test_staff_search_a_patient_and_choose_a_role(client: httpx.AsyncClient, house: House) -> None:
    page = await sign_in(client, await visit(client, house), "two")
    assert heading(page) == "In which role do you work now?"
    page = await send(client, forms(page)[0], ("role", "PractitionerRole/b"))
    assert heading(page) == "Whose record?"
    page = await send(client, forms(page)[0], ("words", "c"))
    assert forms(page)[1].buttons == [("patient", "cy")]
    page = await send(client, forms(page)[1], ("patient", "cy"))
    body = (await house.redeem(arrived(await send(client, forms(page)[0], ALLOW))["code"])).body
    assert body["patient"] == "cy"


async def test_patient_switching_with_a_forged_choice_is_refused(client: httpx.AsyncClient, house: House) -> None:
    page = await sign_in(client, await visit(client, house), "bo")
    page = await send(client, forms(page)[0], ("patient", "cy"))
    assert page.status_code == 400
    assert "cannot open" in page.text


async def test_a_wrong_password_says_nothing_about_the_person(client: httpx.AsyncClient, house: House) -> None:
    pages = [await sign_in(client, await visit(client, house), login, "wrong") for login in ("ann", "nobody")]
    assert {page.status_code for page in pages} == {401}
    assert all("The login or the password is not right." in page.text for page in pages)


async def test_brute_force_at_the_form_is_slowed_down(client: httpx.AsyncClient, house: House) -> None:
    for _ in range(5):
        page = await sign_in(client, await visit(client, house), "ann", "wrong")
    page = await sign_in(client, await visit(client, house))
    assert page.status_code == 429
    assert page.headers["Retry-After"]


async def test_csrf_on_sign_in_a_form_of_another_browser_is_refused(client: httpx.AsyncClient, house: House) -> None:
    page = await visit(client, house)
    async with browser(house) as victim:
        await visit(victim, house)
        assert (await sign_in(victim, page)).status_code == 403
    async with browser(house) as fresh:
        assert (await sign_in(fresh, page)).status_code == 403


async def test_csrf_on_consent_a_form_of_another_session_is_refused(client: httpx.AsyncClient, house: House) -> None:
    page = await sign_in(client, await visit(client, house))
    form = forms(page)[0]
    async with browser(house) as victim:
        await sign_in(victim, await visit(victim, house), "bo")
        assert (await send(victim, form, ALLOW)).status_code == 403


@pytest.mark.parametrize(
    "headers",
    [{"Origin": "https://evil.example"}, {"Origin": "null"}, {"Origin": ""}, {"Sec-Fetch-Site": "cross-site"}],
)
async def test_csrf_on_consent_from_a_foreign_site_is_refused(
    client: httpx.AsyncClient, house: House, headers: dict[str, str]
) -> None:
    page = await sign_in(client, await visit(client, house))
    assert (await send(client, forms(page)[0], ALLOW, headers=headers)).status_code == 403


@pytest.mark.parametrize("form", ["", "x" * 43, "\u00e9"])
async def test_csrf_on_consent_without_the_right_token_is_refused(
    client: httpx.AsyncClient, house: House, form: str
) -> None:
    page = await sign_in(client, await visit(client, house))
    assert (await send(client, forms(page)[0], ALLOW, ("form", form))).status_code == 403


async def test_consent_cannot_be_changed_by_sending_other_parameters(client: httpx.AsyncClient, house: House) -> None:
    page = await sign_in(client, await visit(client, house, scope="patient/Patient.rs"))
    more = (("scope", "user/*.cruds"), ("redirect_uri", "https://evil.example"), ("type", "Observation"))
    answer = arrived(await send(client, forms(page)[0], ALLOW, *more))
    assert (await house.redeem(answer["code"])).body["scope"] == "patient/Patient.rs launch/patient"


async def test_session_fixation_the_cookie_changes_with_the_sign_in_and_with_the_second_factor(house: House) -> None:
    house.realm = replace(house.realm, policy=Policy(ISSUER, BASE))
    async with browser(house) as client:
        client.cookies.set("__Host-aquifer", "chosen-by-the-attacker", domain="a.example")
        page = await sign_in(client, await visit(client, house), "doc")
        first = client.cookies.get("__Host-aquifer", domain="a.example")
        assert heading(page) == "Set up a second factor"
        secret = page.text.partition('class="key">')[2].partition("<")[0].replace(" ", "")
        page = await send(client, forms(page)[0], ("digits", pyotp.TOTP(secret).at(house.clock())))
        assert heading(page) == "Whose record?"
        second = client.cookies.get("__Host-aquifer", domain="a.example")
        assert len({"chosen-by-the-attacker", first, second}) == 3
    assert [letter.subject for letter in house.letterbox.letters] == ["A second factor was set up (Aquifer)"]


async def test_a_session_without_the_second_factor_opens_nothing(house: House) -> None:
    doc = await house.store.get(User, "u-doc")
    assert doc
    await house.store.swap(doc, replace(doc, totp="GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"))
    async with browser(house) as client:
        page = await sign_in(client, await visit(client, house), "doc")
        assert heading(page) == "Second factor"
        assert heading(await client.get("/auth/apps")) == "Second factor"
        assert heading(await visit(client, house)) == "Second factor"
        page = await send(client, forms(page)[0], ("digits", "000000"))
        assert page.status_code == 401


async def test_cookies_are_for_this_site_over_tls_only_and_out_of_reach_of_scripts(
    client: httpx.AsyncClient, house: House
) -> None:
    page = await visit(client, house)
    form = forms(page)[0]
    data = dict(form.fields) | {"login": "ann", "password": "lantern gravel otter nine"}
    response = await client.post(form.action, data=data, headers={"Origin": "https://a.example"})
    cookies = response.headers.get_list("set-cookie")
    assert len(cookies) == 3
    for cookie in cookies:
        assert cookie.startswith("__Host-")
        assert {"HttpOnly", "Secure", "Path=/"} <= {part.strip() for part in cookie.split(";")}
        assert "samesite=lax" in cookie.lower() or "samesite=strict" in cookie.lower()
        assert "domain" not in cookie.lower()


async def test_clickjacking_every_page_forbids_frames_and_foreign_content(
    client: httpx.AsyncClient, house: House
) -> None:
    page = await visit(client, house)
    pages = [page, await sign_in(client, page), await client.get("/auth/apps"), await client.get("/auth/continue")]
    for shown in pages:
        policy = shown.headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "frame-ancestors 'none'" in policy
        assert shown.headers["X-Frame-Options"] == "DENY"
        assert shown.headers["Referrer-Policy"] == "same-origin"
        assert shown.headers["Cache-Control"] == "no-store"
        assert "<script" not in shown.text
        assert "style=" not in shown.text


async def test_forms_may_lead_to_the_app_and_nowhere_else(client: httpx.AsyncClient, house: House) -> None:
    page = await visit(client, house)
    assert "form-action 'self' https://app.example" in page.headers["Content-Security-Policy"]
    async with browser(house) as other:
        page = await visit(other, house, redirect_uri="com.example.app:/callback")
        assert page.headers["Content-Security-Policy"].endswith("form-action 'self' com.example.app:")


async def test_markup_of_an_app_or_of_a_person_is_text(client: httpx.AsyncClient, house: House) -> None:
    page = await visit(client, house, login_hint='"><script>alert(1)</script>')
    assert "<script" not in page.text
    assert "&lt;script&gt;" in page.text


async def test_wrong_redirect_is_a_page_and_never_a_redirect(client: httpx.AsyncClient, house: House) -> None:
    page = await visit(client, house, redirect_uri="https://evil.example/")
    assert page.status_code == 400
    assert "redirect_uri" in page.text
    assert "location" not in page.headers


async def test_a_refusal_that_may_be_told_goes_to_the_app(client: httpx.AsyncClient, house: House) -> None:
    answer = arrived(await visit(client, house, code_challenge_method="plain"))
    assert (answer["error"], answer["state"], answer["iss"]) == ("invalid_request", "s t+a%te", ISSUER)
    assert arrived(await visit(client, house, prompt="none"))["error"] == "login_required"


@pytest.mark.parametrize("path", ["/auth/continue", "/auth/continue?request=made-up", "/auth/continue?request=%00"])
async def test_a_request_that_is_not_there_is_a_page(client: httpx.AsyncClient, path: str) -> None:
    assert (await client.get(path)).status_code == 400


async def test_an_oversized_form_is_refused(client: httpx.AsyncClient, house: House) -> None:
    response = await client.post("/auth/authorize", content=b"x" * 200_000)
    assert response.status_code == 413


async def test_open_redirect_by_registering_an_app_is_refused(client: httpx.AsyncClient, house: House) -> None:
    metadata = {"redirect_uris": ["https://phish.example/"], "token_endpoint_auth_method": "none"}
    client_id = (await client.post("/auth/register", json=metadata)).json()["client_id"]
    for more in ({"scope": "nonsense"}, {"prompt": "none"}, {"code_challenge": ""}):
        page = await visit(client, house, client_id=client_id, redirect_uri="https://phish.example/", **more)
        assert page.status_code == 400
        assert "location" not in page.headers
        assert "Nobody has checked" in page.text


async def test_a_flood_of_requests_is_stopped(client: httpx.AsyncClient, house: House) -> None:
    for _ in range(1000):
        await house.store.count("authorize 192.0.2.1", house.clock(), house.clock() + house.realm.policy.request_life)
    assert (await visit(client, house)).status_code == 429
