"""The pages on which staff open an app with a patient."""

from dataclasses import replace

import httpx
import pytest

from smart_auth.records import Client
from tests.http.auth.conftest import browser
from tests.http.auth.surfing import forms, heading, send, sign_in
from tests.smart_auth.house import BASE, House, answer_of

SEARCH, OPEN, ALONE = ("act", "search"), ("act", "open"), ("act", "alone")


async def launching(client: httpx.AsyncClient, login: str = "doc") -> httpx.Response:
    await sign_in(client, await client.get("/auth/apps"), login)
    return await client.get("/auth/launch")


async def test_staff_open_an_app_with_a_patient_and_it_is_told_so(client: httpx.AsyncClient, house: House) -> None:
    page = await launching(client)
    assert heading(page) == "Open an app with a patient"
    page = await send(client, forms(page)[0], SEARCH, ("app", "public"), ("words", "c"))
    assert ("patient", "cy") in forms(page)[0].buttons
    page = await send(client, forms(page)[0], ("app", "public"), ("patient", "cy"))
    assert heading(page) == "Open Public App"
    assert "form-action 'self' https://app.example" in page.headers["Content-Security-Policy"]
    filled = (
        ("encounter", "cy-e2"),
        ("intent", "review"),
        ("banner", "yes"),
        ("context", "ImagingStudy/7\r\nTask/9\r\n"),
    )
    response = await send(client, forms(page)[0], OPEN, *filled)
    assert response.status_code == 303
    assert response.headers["Location"].startswith("https://app.example/launch?iss=")
    answer = answer_of(response.headers["Location"])
    assert answer["iss"] == BASE
    asking = house.asking(scope="launch patient/*.rs", launch=answer["launch"])
    told = (await house.redeem(await house.code(asking, "u-doc"))).body
    assert (told["patient"], told["encounter"], told["intent"]) == ("cy", "cy-e2", "review")
    assert told["need_patient_banner"] is True
    assert told["fhirContext"] == [{"reference": "ImagingStudy/7"}, {"reference": "Task/9"}]
    assert "launch-made" in house.kinds


async def test_an_app_is_opened_without_a_patient(client: httpx.AsyncClient, house: House) -> None:
    page = await launching(client)
    page = await send(client, forms(page)[0], ALONE, ("app", "public"))
    assert "without a patient" in page.text
    assert (await send(client, forms(page)[0], OPEN)).status_code == 303


async def test_what_is_wrong_is_said_beside_what_was_filled_in(client: httpx.AsyncClient) -> None:
    page = await launching(client)
    page = await send(client, forms(page)[0], ("app", "public"), ("patient", "cy"))
    for context, why in (("Patient/bo", "member"), ("[{", "JSON"), ("not a reference", "relative")):
        page = await send(client, forms(page)[0], OPEN, ("intent", "review"), ("context", context))
        assert page.status_code == 400
        assert why in page.text
        assert 'value="review"' in page.text
        assert 'href="#context"' in page.text


async def test_patient_switching_on_the_page_is_refused(client: httpx.AsyncClient, house: House) -> None:
    page = await launching(client)
    page = await send(client, forms(page)[0], ("app", "public"), ("patient", "nobody"))
    assert (page.status_code, heading(page)) == (400, "This did not work")
    page = await client.get("/auth/launch")
    page = await send(client, forms(page)[0], ("app", "public"), ("patient", "cy"))
    page = await send(client, forms(page)[0], OPEN, ("patient", "ann"), ("encounter", "cy-e1"))
    assert "not one of this patient" in page.text
    assert "launch-made" not in house.kinds


@pytest.mark.parametrize("app", ["backend", "thief", "nothing", ""])
async def test_an_app_without_a_launch_uri_is_not_opened(client: httpx.AsyncClient, app: str) -> None:
    page = await launching(client)
    assert f'value="{app}"' not in page.text or not app
    assert (await send(client, forms(page)[0], OPEN, ("app", app))).status_code == 400


async def test_a_launch_uri_of_somebody_else_is_refused(client: httpx.AsyncClient, house: House) -> None:
    page = await launching(client)
    page = await send(client, forms(page)[0], ("app", "public"), ALONE)
    page = await send(client, forms(page)[0], OPEN, ("launch_uri", "https://evil.example/launch"))
    assert page.status_code == 400
    assert "location" not in page.headers


async def test_a_disabled_app_is_not_shown(client: httpx.AsyncClient, house: House) -> None:
    for client_id in ("public", "secret", "keyed"):
        found = await house.store.get(Client, client_id)
        assert found
        await house.store.swap(found, replace(found, disabled=True))
    assert "No app can be opened" in (await launching(client)).text


async def test_patients_open_no_apps_here(client: httpx.AsyncClient) -> None:
    page = await launching(client, "ann")
    assert page.status_code == 400
    assert "those who work with records" in page.text
    assert "/auth/launch" not in (await client.get("/auth/apps")).text


async def test_nobody_opens_an_app_without_signing_in(client: httpx.AsyncClient) -> None:
    assert heading(await client.get("/auth/launch")) == "Sign in"


async def test_csrf_on_opening_an_app_is_refused(client: httpx.AsyncClient, house: House) -> None:
    page = await launching(client)
    async with browser(house) as victim:
        await launching(victim)
        assert (await send(victim, forms(page)[0], ALONE, ("app", "public"))).status_code == 403


async def test_staff_with_two_roles_change_from_one_to_the_other(client: httpx.AsyncClient, house: House) -> None:
    page = await sign_in(client, await client.get("/auth/apps"), "two")
    assert "/auth/role" in page.text
    page = await client.get("/auth/role")
    assert forms(page)[0].buttons == [("role", "PractitionerRole/a"), ("role", "PractitionerRole/b")]
    page = await send(client, forms(page)[0], ("role", "PractitionerRole/b"))
    assert heading(page) == "Connected apps"
    assert "role-chosen" in house.kinds
    page = await send(client, forms(await client.get("/auth/role"))[0], ("role", "PractitionerRole/c"))
    assert page.status_code == 400
