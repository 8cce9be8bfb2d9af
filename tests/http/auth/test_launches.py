"""The launch endpoint over HTTP, and the look that launched apps may take over."""

from dataclasses import replace
from typing import Any

import httpx
import pytest

from profiles.definitions.registry import load
from profiles.validate.validator import Validator
from smart_auth import opaque, style
from smart_auth.administration import Registration, add_client
from smart_auth.records import Client, Launch
from tests.http.auth.surfing import sign_in
from tests.smart_auth.house import BASE, ISSUER, SECRET, House, answer_of
from tests.smart_auth.test_token_endpoint import signed

ASKED = {"app": "public", "user": "doc", "patient": "cy", "intent": "review"}
EHR = ("secret", SECRET)


async def entitle(house: House, client_id: str, *more: str) -> None:
    client = await house.store.get(Client, client_id)
    assert client
    await house.store.swap(client, replace(client, scope=" ".join(("ehr-launch", *more))))


async def test_an_ehr_opens_an_app_for_one_of_its_people(client: httpx.AsyncClient, house: House) -> None:
    await entitle(house, "secret")
    response = await client.post("/auth/launches", json=ASKED, auth=EHR)
    assert response.status_code == 201
    assert response.headers["Cache-Control"] == "no-store"
    assert "Access-Control-Allow-Origin" not in response.headers
    body = response.json()
    assert body["launch_url"].startswith("https://app.example/launch?")
    assert answer_of(body["launch_url"]) == {"iss": BASE, "launch": body["launch"]}
    asking = house.asking(scope="launch patient/*.rs", launch=body["launch"])
    told = (await house.redeem(await house.code(asking, "u-doc"))).body
    assert (told["patient"], told["intent"], told["need_patient_banner"]) == ("cy", "review", False)
    (event,) = [one for one in house.store.events if one.kind == "launch-made"]  # type: ignore[attr-defined]
    assert (event.client_id, event.user_id, event.patient, event.detail["by"]) == ("public", "u-doc", "cy", "secret")


async def test_an_ehr_proves_itself_by_a_key_or_shows_its_own_token(client: httpx.AsyncClient, house: House) -> None:
    await entitle(house, "backend", "system/*.rs")
    assert (await client.post("/auth/launches", json={**ASKED, **signed(house)})).status_code == 201
    form = {"grant_type": "client_credentials", "scope": "system/*.rs", **signed(house)}
    token = (await client.post("/auth/token", data=form)).json()["access_token"]
    header = {"Authorization": f"Bearer {token}"}
    assert (await client.post("/auth/launches", json=ASKED, headers=header)).status_code == 201


async def test_a_client_without_the_right_is_refused(client: httpx.AsyncClient) -> None:
    response = await client.post("/auth/launches", json=ASKED, auth=EHR)
    assert (response.status_code, response.json()["error"]) == (403, "access_denied")
    assert "ehr-launch" in response.json()["error_description"]


async def test_a_token_that_a_client_holds_for_a_person_opens_no_apps(client: httpx.AsyncClient, house: House) -> None:
    token = (await house.redeem(await house.code())).body["access_token"]
    await entitle(house, "public")
    response = await client.post("/auth/launches", json=ASKED, headers={"Authorization": f"Bearer {token}"})
    assert response.status_code == 401


async def test_a_public_client_is_refused_even_with_the_right(client: httpx.AsyncClient, house: House) -> None:
    await entitle(house, "public")
    assert (await client.post("/auth/launches", json={**ASKED, "client_id": "public"})).status_code == 401


async def test_the_right_cannot_be_taken_by_registering(client: httpx.AsyncClient, house: House) -> None:
    metadata = {"redirect_uris": ["https://new.example/cb"], "scope": "ehr-launch introspect patient/*.rs"}
    body = (await client.post("/auth/register", json=metadata)).json()
    assert body["scope"] == "patient/*.rs"


async def test_an_administrator_gives_the_right(house: House) -> None:
    wanted = Registration("backend", "EHR", scope="ehr-launch", jwks=(await house.store.get(Client, "backend")).jwks)  # type: ignore[union-attr]
    ehr, _ = await add_client(house.realm, wanted)
    assert ehr.scope == "ehr-launch"
    assert not house.realm.permitted(house.realm.scopes("system/*.rs"), ehr).resources


async def test_staff_open_an_app_from_a_page_of_this_site(client: httpx.AsyncClient, house: House) -> None:
    await sign_in(client, await client.get("/auth/apps"), "doc")
    here = {"Origin": "https://a.example"}
    response = await client.post("/auth/launches", json={"app": "public", "patient": "cy"}, headers=here)
    assert response.status_code == 201
    launched = await house.store.get(Launch, opaque.digest(response.json()["launch"]))
    assert launched
    assert launched.user_id == "u-doc"


@pytest.mark.parametrize("headers", [{}, {"Origin": "https://evil.example"}, {"Origin": "null"}])
async def test_csrf_on_launching_from_anywhere_else_is_refused(
    client: httpx.AsyncClient, headers: dict[str, str]
) -> None:
    await sign_in(client, await client.get("/auth/apps"), "doc")
    assert (await client.post("/auth/launches", json=ASKED, headers=headers)).status_code == 401


async def test_a_patient_launches_nothing(client: httpx.AsyncClient) -> None:
    await sign_in(client, await client.get("/auth/apps"), "ann")
    here = {"Origin": "https://a.example"}
    assert (await client.post("/auth/launches", json=ASKED, headers=here)).status_code == 403


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"app": "nothing"}, "no client"),
        ({"app": "backend"}, "launch URI"),
        ({"app": 7}, "string"),
        ({"user": "nobody"}, "nobody"),
        ({"launch_uri": "https://evil.example/launch"}, "launch URI"),
        ({"patient": "none"}, "cannot open"),
        ({"encounter": "ann-e1"}, "not one of this patient"),
        ({"fhirContext": [{"reference": "Patient/x"}]}, "member 'patient'"),
    ],
)
async def test_a_launch_that_cannot_be_is_refused_with_what_to_change(
    client: httpx.AsyncClient, house: House, changed: dict[str, Any], why: str
) -> None:
    await entitle(house, "secret")
    response = await client.post("/auth/launches", json=ASKED | changed, auth=EHR)
    assert (response.status_code, response.json()["error"]) == (400, "invalid_request")
    assert why in response.json()["error_description"]


@pytest.mark.parametrize("content", [b"", b"[]", b"{", b'"x"'])
async def test_a_body_that_is_no_object_is_refused(client: httpx.AsyncClient, content: bytes) -> None:
    response = await client.post("/auth/launches", content=content, headers={"Content-Type": "application/json"})
    assert (response.status_code, response.json()["error"]) == (400, "invalid_request")


async def test_a_preflight_of_a_foreign_page_is_not_granted(client: httpx.AsyncClient) -> None:
    headers = {"Origin": "https://app.example", "Access-Control-Request-Method": "POST"}
    response = await client.options("/auth/launches", headers=headers)
    assert "Access-Control-Allow-Origin" not in response.headers


async def test_the_look_is_json_for_everybody_and_its_url_is_its_content(
    client: httpx.AsyncClient, house: House
) -> None:
    url = style.url(ISSUER, house.realm.policy.style)
    response = await client.get(url, headers={"Origin": "https://app.example", "Accept": "*/*"})
    assert response.status_code == 200
    assert response.headers["Content-Type"] == "application/json"
    assert response.headers["Access-Control-Allow-Origin"] == "*"
    assert response.json()["color_text"].startswith("#")
    house.realm = replace(house.realm, policy=replace(house.realm.policy, style={"color_text": "#000000"}))
    assert (await client.get(url)).status_code == 404
    assert (await client.get(style.url(ISSUER, house.realm.policy.style))).json() == {"color_text": "#000000"}


@pytest.mark.parametrize("code", ["launch-app-ehr", "launch-app-standalone"])
def test_a_task_that_launches_an_app_is_a_valid_task(code: str) -> None:
    system = "http://hl7.org/fhir/smart-app-launch/CodeSystem/smart-codes"

    def kind(name: str) -> dict[str, Any]:
        return {"coding": [{"system": system, "code": name}]}

    task = {
        "resourceType": "Task",
        "status": "ready",
        "intent": "proposal",
        "code": kind(code),
        "for": {"reference": "Patient/cy"},
        "input": [
            {"type": kind("smartonfhir-application"), "valueUrl": "https://app.example/launch"},
            {"type": kind("smartonfhir-appcontext"), "valueString": '{"card": 7}'},
        ],
    }
    assert [issue for issue in Validator(load()).check(task) if issue.severity in {"error", "fatal"}] == []
