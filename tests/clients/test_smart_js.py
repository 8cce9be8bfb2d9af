"""npm `fhirclient`, the SMART JS client, in a real Chromium."""

from typing import Any
from urllib.parse import quote

import httpx
import pytest

from smart_auth.administration import Registration
from tests.clients.conftest import Clinic, Meet
from tests.clients.person import Person
from tests.clients.test_backend import KEYS

ADULT = ["Weight: 62 kg", "Weight: 61 kg", "Weight: 60 kg"]


def standalone(clinic: Clinic) -> str:
    return f"{clinic.app}/launch.html?iss={quote(clinic.base, safe='')}"


async def shown(person: Person, status: str = "Ready") -> tuple[str, list[str]]:
    """Return the name and the observations that the app shows, when it says this."""
    said = person.page.locator("#status:not(:has-text('…'))")
    assert await said.inner_text() == status
    await person.look("app")
    lines = await person.page.locator("#observations li").all_inner_texts()
    return await person.page.locator("#name").inner_text(), lines


async def response(person: Person) -> dict[str, Any]:
    """Return the token response that the library keeps."""
    found: dict[str, Any] = await person.page.evaluate("client.state.tokenResponse")
    return found


async def sign_out(person: Person) -> None:
    """Sign out by the app, and see that the server sends the browser back with the app's state.

    The library takes `state` off the address at once, so the request is what can be seen; then it misses its own state.
    """
    async with person.page.expect_request("**/index.html?state=bye"):
        await person.page.click("#out")
    await person.page.locator("#status", has_text="Failed").wait_for()


async def status_of(clinic: Clinic, path: str, token: str) -> int:
    async with httpx.AsyncClient(base_url=clinic.base) as client:
        return (await client.get(path, headers={"Authorization": f"Bearer {token}"})).status_code


async def test_standalone_launch_of_a_doctor_who_picks_a_patient(clinic: Clinic, meet: Meet) -> None:
    doctor = await meet("dr.grey", "Practitioner/grey")
    await doctor.page.goto(standalone(clinic))
    await doctor.sign_in()
    await doctor.choose_patient("lee", "ann")
    await doctor.allow()
    assert await doctor.back_at(f"{clinic.app}/index.html")
    name, lines = await shown(doctor)
    assert name == "Ann Lee"
    assert sorted(lines, reverse=True) == ADULT
    before = await response(doctor)
    assert before["patient"] == "ann"
    assert await doctor.page.evaluate("client.getIdToken().fhirUser") == f"{clinic.base}/Practitioner/grey"
    assert await doctor.page.evaluate("client.user.read().then((one) => one.name[0].family)") == "Grey"

    await doctor.page.click("#refresh")
    assert (await shown(doctor, "Refreshed"))[0] == "Ann Lee"
    after = await response(doctor)
    assert after["access_token"] != before["access_token"]
    assert after["refresh_token"] != before["refresh_token"]
    assert await status_of(clinic, "Patient/ann", after["access_token"]) == 200
    assert await status_of(clinic, "Patient/bo", after["access_token"]) == 404

    async with httpx.AsyncClient() as app:
        form = {"token": after["access_token"], "client_id": "growth"}
        assert (await app.post(f"{clinic.url}/auth/revoke", data=form)).status_code == 200
    assert await status_of(clinic, "Patient/ann", after["access_token"]) == 401
    later = "client.state.expiresAt = 0; client.request('Patient/ann').then((one) => one.id)"
    assert await doctor.page.evaluate(later) == "ann"
    last = await response(doctor)
    assert last["access_token"] != after["access_token"], "the library refreshes by itself what has expired"

    await sign_out(doctor)
    await doctor.page.goto(f"{clinic.url}/auth/apps")
    await doctor.look("signed-out")
    assert await doctor.page.locator("input[name=password]").count() == 1
    assert await status_of(clinic, "Patient/ann", last["access_token"]) == 200, "offline_access outlives the session"


async def test_standalone_launch_of_a_patient_whose_record_is_the_only_one(clinic: Clinic, meet: Meet) -> None:
    patient = await meet("bo.lee", "Patient/bo")
    await patient.page.goto(standalone(clinic))
    await patient.sign_in()
    await patient.allow()
    await patient.back_at(f"{clinic.app}/index.html")
    assert await shown(patient) == ("Bo Lee", ["Weight: 20 kg"])
    token = (await response(patient))["access_token"]
    assert await status_of(clinic, "Patient/ann", token) == 404

    await patient.page.goto(f"{clinic.url}/auth/apps")
    await patient.look("connected-apps")
    async with patient.page.expect_navigation():
        await patient.page.click("form[action='/auth/apps/revoke'] button")
    assert await status_of(clinic, "Patient/bo", token) == 401


@pytest.mark.parametrize("kind", ["confidential", "asymmetric"])
async def test_an_app_that_proves_itself(clinic: Clinic, meet: Meet, kind: Any) -> None:
    key, redirect = KEYS["ES384"], f"{clinic.app}/index.html"
    jwks = {"keys": [key.as_dict(private=False)]} if kind == "asymmetric" else None
    secret = await clinic.register(Registration(kind, "Clinic app", (redirect,), id=f"js-{kind}", jwks=jwks))
    proof = {"clientSecret": secret} if secret else {"clientPrivateJwk": {**key.as_dict(private=True), "ext": True}}
    scope = "launch/patient openid fhirUser patient/*.read online_access"
    settings = {"clientId": f"js-{kind}", "scope": scope, "iss": clinic.base, "redirectUri": redirect, **proof}
    patient = await meet(f"bo.{kind}", "Patient/bo")
    await patient.page.goto(redirect)
    await patient.page.evaluate("(settings) => { FHIR.oauth2.authorize(settings); }", settings)
    await patient.sign_in()
    await patient.allow()
    await patient.back_at(f"{redirect}?")
    assert await shown(patient) == ("Bo Lee", ["Weight: 20 kg"])
    assert (await response(patient))["scope"] == scope


async def test_a_refusal_reaches_the_app(clinic: Clinic, meet: Meet) -> None:
    patient = await meet("ann.lee", "Patient/ann")
    await patient.page.goto(standalone(clinic))
    await patient.sign_in()
    await patient.allow("refuse")
    await patient.back_at(f"{clinic.app}/index.html?error=access_denied")
    said = patient.page.locator("#status", has_text="Failed")
    await said.wait_for()
    assert "The person did not agree." in await said.inner_text()


async def test_launch_from_within_a_record_in_which_the_doctor_is(clinic: Clinic, meet: Meet) -> None:
    doctor = await meet("dr.shepherd", "Practitioner/grey")
    wanted = Registration("confidential", "Our EHR", ("https://ehr.example/",), scope="ehr-launch", id="ehr")
    secret = await clinic.register(wanted)
    asked = {"app": "growth", "user": "dr.shepherd", "patient": "ann", "encounter": "ann-visit", "intent": "growth"}
    async with httpx.AsyncClient(auth=("ehr", secret)) as ehr:
        opened = (await ehr.post(f"{clinic.url}/auth/launches", json=asked)).json()
    await doctor.page.goto(opened["launch_url"])
    await doctor.sign_in()
    await doctor.allow()
    await doctor.back_at(f"{clinic.app}/index.html")
    name, lines = await shown(doctor)
    assert name == "Ann Lee"
    assert len(lines) == 3
    told = await response(doctor)
    assert told["encounter"] == "ann-visit"
    assert told["intent"] == "growth"
    assert told["need_patient_banner"] is False
    assert (await doctor.page.evaluate("(url) => fetch(url).then((one) => one.json())", told["smart_style_url"]))[
        "color_background"
    ]

    await doctor.page.click("#refresh")
    await shown(doctor, "Refreshed")
    await sign_out(doctor)
    token = (await response_of_before(doctor))["refresh_token"]
    async with httpx.AsyncClient() as app:
        form = {"grant_type": "refresh_token", "refresh_token": token, "client_id": "growth"}
        refused = await app.post(f"{clinic.url}/auth/token", data=form)
    assert refused.json()["error"] == "invalid_grant", "online_access ends with the session"


async def response_of_before(person: Person) -> dict[str, Any]:
    """Return the token response from the browser's storage, where the library left it."""
    script = "JSON.parse(sessionStorage[JSON.parse(sessionStorage.SMART_KEY)]).tokenResponse"
    found: dict[str, Any] = await person.page.evaluate(script)
    return found
