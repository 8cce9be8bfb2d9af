"""The sample app that the server brings, in a real Chromium, under its own content security policy."""

import httpx

from smart_auth.administration import Registration
from tests.clients.conftest import Clinic, Meet
from tests.clients.person import Person


async def shown(person: Person) -> str:
    """Return the text of the app when it has read everything."""
    await person.page.locator("#said:not(:has-text('…'))").wait_for(state="attached")
    await person.look("sample-app")
    return await person.page.locator("main").inner_text()


async def test_a_stranger_pastes_a_client_id_and_sees_a_record(clinic: Clinic, meet: Meet) -> None:
    await clinic.register(Registration("public", "My app", (f"{clinic.url}/sample-app/index.html",), id="mine"))
    patient = await meet("bo.sample", "Patient/bo")
    blocked: list[str] = []
    patient.page.on("console", lambda said: blocked.append(said.text) if said.type == "error" else None)
    await patient.page.goto(f"{clinic.url}/sample-app/".replace("127.0.0.1", "localhost"))
    assert patient.place == f"{clinic.url}/sample-app/", "apps and cookies know one name of this machine"
    await patient.look("form")
    await patient.page.fill("#client", "mine")
    await patient.page.click("button[type=submit]")
    await patient.sign_in()
    await patient.allow()
    await patient.back_at(f"{clinic.url}/sample-app/index.html")
    text = await shown(patient)
    assert "Bo Lee" in text
    assert "born 2016-07-01" in text
    assert "Weight\t20 kg" in text
    assert "Granted for 60 minutes" in text
    assert "code=" not in patient.page.url
    assert blocked == []

    await patient.page.goto(f"{clinic.url}/auth/apps".replace("127.0.0.1", "localhost"))
    assert "My app" in await patient.page.locator("main").inner_text()
    await patient.page.go_back()
    assert "not the answer to a launch of this tab" in await shown(patient)


async def test_an_unknown_client_id_and_a_refusal_are_explained(clinic: Clinic, meet: Meet) -> None:
    await clinic.register(Registration("public", "No app", (f"{clinic.url}/sample-app/index.html",), id="refused"))
    patient = await meet("ann.sample", "Patient/ann")
    await patient.page.goto(f"{clinic.url}/sample-app/launch.html?client_id=nobody")
    await patient.page.click("button[type=submit]")
    await patient.page.wait_for_url("**/auth/authorize?*")
    assert "client_id" in await patient.page.locator("main").inner_text()

    await patient.page.goto(f"{clinic.url}/sample-app/launch.html?client_id=refused")
    await patient.page.click("button[type=submit]")
    await patient.sign_in()
    await patient.allow("refuse")
    await patient.back_at(f"{clinic.url}/sample-app/index.html")
    assert "access_denied: The person did not agree." in await shown(patient)


async def test_a_record_opens_it(clinic: Clinic, meet: Meet) -> None:
    place = f"{clinic.url}/sample-app"
    wanted = Registration(
        "public", "Opened app", (f"{place}/index.html",), (f"{place}/launch.html?client_id=opened",), id="opened"
    )
    await clinic.register(wanted)
    ehr = Registration("confidential", "Other EHR", ("https://ehr.example/",), scope="ehr-launch", id="other-ehr")
    secret = await clinic.register(ehr)
    doctor = await meet("dr.yang", "Practitioner/grey")
    asked = {"app": "opened", "user": "dr.yang", "patient": "ann"}
    async with httpx.AsyncClient(auth=("other-ehr", secret)) as client:
        opened = (await client.post(f"{clinic.url}/auth/launches", json=asked)).json()
    await doctor.page.goto(opened["launch_url"])
    await doctor.sign_in()
    await doctor.allow()
    await doctor.back_at(f"{place}/index.html")
    assert "Ann Lee" in await shown(doctor)
