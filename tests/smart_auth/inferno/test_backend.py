"""What Inferno asks of backend services and of introspection (SMART kit 3 and 4; (g)(10) 8.1 and 9.20)."""

import pytest

from tests.smart_auth.apps import ec, rsa
from tests.smart_auth.inferno.site import App, Site, issued

FORM = {"grant_type": "client_credentials", "scope": "system/*.read"}


async def backend(site: Site, key: object = None) -> App:
    return await site.app("backend", "system/*.rs", key=key)


@pytest.mark.parametrize("scope", ["system/*.read", "system/*.rs", "system/Patient.rs system/Observation.rs"])
@pytest.mark.parametrize("key", [ec(), rsa()], ids=["ES384", "RS384"])
async def test_a_backend_gets_a_short_token_and_reads(site: Site, key: object, scope: str) -> None:
    body = issued(await site.token(await backend(site, key), grant_type="client_credentials", scope=scope))
    assert set(body["scope"].split()) == set(scope.split())
    assert body["expires_in"] <= 300
    assert "refresh_token" not in body
    assert (await site.get("Patient/ann", body["access_token"])).status_code == 200


async def test_an_invalid_grant_type_is_exactly_400(site: Site) -> None:
    response = await site.token(await backend(site), grant_type="not_a_grant_type", scope="system/*.read")
    assert response.status_code == 400


async def test_an_invalid_client_assertion_type_is_exactly_400(site: Site) -> None:
    response = await site.token(await backend(site), **FORM, client_assertion_type="not_an_assertion_type")
    assert response.status_code == 400


async def test_an_assertion_whose_issuer_is_no_client_is_400_or_401(site: Site) -> None:
    app = await backend(site)
    _, proof = app.proof(site.realm.clock(), iss="not_a_valid_iss")
    assert (await site.http.post("/auth/token", data={**FORM, **proof})).status_code in {400, 401}


async def test_an_active_token_is_described_as_its_response_did(site: Site) -> None:
    app = await site.app("confidential")
    body = await site.launch_of(app, "launch/patient openid fhirUser offline_access patient/*.rs")
    claims = await site.claims(body["id_token"], app.client.id)
    headers, _ = app.proof(site.realm.clock())
    headers |= {"Accept": "application/json"}
    found = (await site.http.post("/auth/introspect", data={"token": body["access_token"]}, headers=headers)).json()
    assert found["active"] is True
    assert found["client_id"] == app.client.id
    assert sorted(found["scope"].split()) == sorted(body["scope"].split())
    assert type(found["exp"]) is int
    assert found["exp"] > site.realm.clock().timestamp()
    assert found["patient"] == body["patient"]
    assert (found["iss"], found["sub"], found["fhirUser"]) == (claims["iss"], claims["sub"], claims["fhirUser"])


async def test_an_invalid_token_is_inactive_and_nothing_else(site: Site) -> None:
    headers, _ = (await site.app("confidential")).proof(site.realm.clock())
    response = await site.http.post("/auth/introspect", data={"token": "invalid_token_value"}, headers=headers)
    assert response.status_code == 200
    assert response.json() == {"active": False}


async def test_a_resource_server_introspects_the_token_of_an_app_and_an_app_does_not(site: Site) -> None:
    body = await site.launch_of(await site.app(), "launch/patient patient/*.rs")
    for scope, active in (("introspect", True), ("", False)):
        headers, _ = (await site.app("confidential", scope)).proof(site.realm.clock())
        found = await site.http.post("/auth/introspect", data={"token": body["access_token"]}, headers=headers)
        assert found.json()["active"] is active


async def test_introspection_without_authentication_is_refused(site: Site) -> None:
    assert (await site.http.post("/auth/introspect", data={"token": "x"})).status_code == 401
    assert (await site.http.get("/auth/introspect")).status_code == 405
