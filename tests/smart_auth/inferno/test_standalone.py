"""What Inferno asks of a standalone launch (SMART kit 1.2 to 1.5; (g)(10) 1, 2, 9.3, 9.4, 9.16 to 9.18, 9.21 to 9.28)."""

from typing import Any

import pytest

from tests.smart_auth.apps import ec, rsa
from tests.smart_auth.house import BASE, CHALLENGE
from tests.smart_auth.inferno.site import CATEGORY, KIT, App, Site, issued, wanted

WORDS = "launch/patient openid fhirUser offline_access"
KINDS: dict[str, dict[str, Any]] = {
    "public": {"kind": "public"},
    "symmetric": {"kind": "confidential"},
    "asymmetric-es384": {"kind": "asymmetric", "key": ec()},
    "asymmetric-rs384": {"kind": "asymmetric", "key": rsa()},
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("access", ["read", "rs"])
@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_a_standalone_launch_with_openid_and_refresh(site: Site, kind: str, access: str, method: str) -> None:
    app = await site.app(**KINDS[kind])
    scope = wanted("patient", access, WORDS)
    body = await site.launch_of(app, scope, method=method)
    assert set(body["scope"].split()) == set(scope.split())
    assert body["patient"] == "ann"

    claims = await site.claims(body["id_token"], app.client.id)
    assert claims["fhirUser"] == f"{BASE}/Patient/ann"
    person = await site.get(claims["fhirUser"].removeprefix(f"{BASE}/"), body["access_token"])
    assert person.status_code == 200
    assert person.headers["access-control-allow-origin"] in {"*", KIT}

    refused = await site.get("Patient/ann")
    assert refused.status_code == 401
    assert (await site.get("Patient/ann", body["access_token"])).status_code == 200

    again = issued(await site.refresh(app, body["refresh_token"]))
    assert set(again["scope"].split()) <= set(body["scope"].split())
    assert again["patient"] == "ann"
    assert (await site.get(f"Patient/{again['patient']}", again["access_token"])).status_code == 200
    narrowed = issued(await site.refresh(app, again["refresh_token"], scope=body["scope"]))
    assert set(narrowed["scope"].split()) <= set(body["scope"].split())
    assert (await site.refresh(app, "BAD_REFRESH_TOKEN")).status_code in {400, 401}


async def test_unrestricted_access_reads_and_searches_every_type(site: Site) -> None:
    body = await site.launch_of(await site.app("confidential"), wanted("patient", "rs", WORDS))
    token = body["access_token"]
    for kind in ("AllergyIntolerance", "Condition", "Device", "Encounter", "Observation", "Provenance"):
        by = "target=Patient/ann" if kind == "Provenance" else "patient=ann"
        found = await site.get(f"{kind}?{by}", token)
        assert found.status_code == 200, (kind, found.text)
    for place in ("Practitioner/grey", "Organization/ward", "Encounter/visit"):
        assert (await site.get(place, token)).status_code == 200, place


async def test_limited_access_is_what_the_person_left(site: Site) -> None:
    without = tuple(f"type={kind}" for kind in ("Condition", "Encounter", "Procedure"))
    body = await site.launch_of(await site.app("confidential"), wanted("patient", "rs", WORDS), without=without)
    kept = {scope.split("/")[1].split(".")[0] for scope in body["scope"].split() if scope.startswith("patient/")}
    assert not kept & {"Condition", "Encounter", "Procedure"}
    assert (await site.get("Observation?patient=ann", body["access_token"])).status_code == 200
    for kind in ("Condition", "Encounter", "Procedure"):
        assert (await site.get(f"{kind}?patient=ann", body["access_token"])).status_code in {401, 403}


async def test_granular_scopes_are_chosen_instead_of_whole_types(site: Site) -> None:
    """(g)(10) 9.28: resource scopes are asked for; granular ones are granted for Condition and Observation."""
    condition = "Condition http://terminology.hl7.org/CodeSystem/condition-category|problem-list-item"
    parts = (("category", f"Observation {CATEGORY}|laboratory"), ("category", condition))
    choices = (("extent-Observation", "some"), ("extent-Condition", "some"), *parts)
    scope = "launch/patient openid fhirUser patient/Patient.rs patient/Condition.rs patient/Observation.rs"
    body = await site.launch_of(await site.app(), scope, *choices)
    granted = body["scope"].split()
    assert "patient/Patient.rs" in granted
    assert not {"patient/Condition.rs", "patient/Observation.rs"} & set(granted)
    assert any(one.startswith("patient/Condition.rs?category=") for one in granted)
    assert (await site.get("Observation/ann-laboratory", body["access_token"])).status_code == 200
    assert (await site.get("Observation/ann-vital-signs", body["access_token"])).status_code != 200


async def test_granular_scopes_that_were_asked_for_are_granted_and_hold(site: Site) -> None:
    """(g)(10) 9.25: reads of what matches succeed, searches show that part and no more."""
    granular = f"patient/Observation.rs?category={CATEGORY}|laboratory"
    body = await site.launch_of(await site.app(), f"launch/patient openid fhirUser patient/Patient.rs {granular}")
    assert granular in body["scope"].split()
    found = (await site.get("Observation?patient=ann&_total=accurate", body["access_token"])).json()
    assert [one["resource"]["id"] for one in found["entry"]] == ["ann-laboratory"]
    assert found["total"] == 1
    assert (await site.get("Observation/ann-vital-signs", body["access_token"])).status_code != 200


@pytest.mark.parametrize("client", ["public", "symmetric"])
async def test_an_invalid_code_and_an_invalid_client_get_no_token(site: Site, client: str) -> None:
    app = await site.app(**KINDS[client])
    code = (await site.authorized(app, "launch/patient patient/Patient.rs"))["code"]
    assert (await site.redeem(app, "BAD_CODE")).status_code == 400
    other = App(client=type(app.client)(**{**fields(app.client), "id": "BAD_CLIENT_ID"}), secret=app.secret)
    assert (await site.redeem(other, code)).status_code in {400, 401}
    assert (await site.redeem(app, code)).status_code == 200


@pytest.mark.parametrize("client", ["public", "symmetric", "asymmetric-es384"])
@pytest.mark.parametrize("verifier", ["", "d2f1a3b4-8c2e-4f55-9a51-0f6d5f3a7b11-e7c7c1a0-1f0b-4d38", CHALLENGE])
async def test_an_invalid_code_verifier_gets_no_token(site: Site, client: str, verifier: str) -> None:
    app = await site.app(**KINDS[client])
    code = (await site.authorized(app, "launch/patient patient/Patient.rs"))["code"]
    assert (await site.redeem(app, code, code_verifier=verifier)).status_code in {400, 401}


async def test_a_blank_code_verifier_gets_no_token(site: Site) -> None:
    app = await site.app()
    code = (await site.authorized(app, "launch/patient patient/Patient.rs"))["code"]
    content = f"grant_type=authorization_code&code={code}&redirect_uri={KIT}/redirect&client_id={app.client.id}&code_verifier="
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    assert (await site.http.post("/auth/token", content=content, headers=headers)).status_code == 400


async def test_an_invalid_aud_gets_no_code(site: Site) -> None:
    form = site.asking(
        await site.app(), "launch/patient patient/Patient.rs", aud="https://inferno.healthit.gov/invalid_aud"
    )
    async with site.browser() as client:
        page = await site.asked(client, form)
    assert "code=" not in page.headers.get("location", "")


async def test_a_revoked_token_reads_nothing_and_refreshes_nothing(site: Site) -> None:
    app = await site.app("confidential")
    body = await site.launch_of(app, wanted("patient", "rs", WORDS))
    headers, proof = app.proof(site.realm.clock())
    revoked = await site.http.post("/auth/revoke", data={"token": body["refresh_token"], **proof}, headers=headers)
    assert revoked.status_code == 200
    assert (await site.get("Patient/ann", body["access_token"])).status_code == 401
    assert (await site.refresh(app, body["refresh_token"])).status_code in {400, 401}


async def test_a_proxy_picks_the_patient(site: Site) -> None:
    body = await site.launch_of(await site.app(), "launch/patient patient/Patient.rs", login="bo", patient="ann")
    assert body["patient"] == "ann"
    assert (await site.get("Patient/ann", body["access_token"])).status_code == 200
    assert (await site.get("Patient/bo", body["access_token"])).status_code == 404


def fields(record: Any) -> dict[str, Any]:
    return {name: getattr(record, name) for name in record.__slots__}
