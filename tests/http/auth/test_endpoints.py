"""The endpoints for programs over HTTP."""

from typing import Any

import httpx
import pytest

from tests.http.auth.conftest import browser
from tests.smart_auth.house import BASE, CALLBACK, ISSUER, VERIFIER, House
from tests.smart_auth.test_token_endpoint import signed

FORMS = ("/auth/token", "/auth/introspect", "/auth/revoke")
WELL_KNOWN = (
    "/fhir/.well-known/smart-configuration",
    "/auth/.well-known/openid-configuration",
    "/.well-known/oauth-authorization-server/auth",
    "/auth/jwks",
)


async def test_an_app_redeems_reads_who_it_is_and_revokes(client: httpx.AsyncClient, house: House) -> None:
    form = {
        "grant_type": "authorization_code",
        "code": await house.code(),
        "redirect_uri": CALLBACK,
        "client_id": "public",
        "code_verifier": VERIFIER,
    }
    response = await client.post("/auth/token", data=form, headers={"Origin": "https://app.example"})
    assert response.status_code == 200
    assert response.headers["Content-Type"] == "application/json"
    assert response.headers["Cache-Control"] == "no-store"
    assert response.headers["Pragma"] == "no-cache"
    assert response.headers["Access-Control-Allow-Origin"] == "*"
    assert "Access-Control-Allow-Credentials" not in response.headers
    token = response.json()["access_token"]
    header = {"Authorization": f"Bearer {token}"}
    assert (await client.get("/auth/userinfo", headers=header)).json() == {
        "sub": "u-ann",
        "fhirUser": f"{BASE}/Patient/ann",
    }
    assert (await client.post("/auth/revoke", data={"token": token, "client_id": "public"})).status_code == 200
    assert (await client.get("/auth/userinfo", headers=header)).status_code == 401


async def test_a_backend_service_introspects_its_token(client: httpx.AsyncClient, house: House) -> None:
    form = {"grant_type": "client_credentials", "scope": "system/*.read", **signed(house)}
    token = (await client.post("/auth/token", data=form)).json()["access_token"]
    answer = await client.post("/auth/introspect", data={"token": token}, headers={"Authorization": f"Bearer {token}"})
    assert answer.json()["active"] is True


@pytest.mark.parametrize("path", FORMS)
async def test_refusals_have_the_headers_of_answers(client: httpx.AsyncClient, path: str) -> None:
    response = await client.post(path, data={"x": "y"})
    assert response.status_code in {400, 401}
    assert response.headers["Access-Control-Allow-Origin"] == "*"
    assert response.headers["Cache-Control"] == "no-store"
    assert response.headers["Pragma"] == "no-cache"
    assert response.json()["error"]


@pytest.mark.parametrize("path", FORMS)
async def test_token_in_url_is_refused(client: httpx.AsyncClient, path: str) -> None:
    response = await client.post(f"{path}?token=x&client_id=public", data={})
    assert response.status_code == 400
    assert "URL" in response.json()["error_description"]


@pytest.mark.parametrize("path", FORMS)
async def test_other_methods_and_bodies_are_refused(client: httpx.AsyncClient, path: str) -> None:
    assert (await client.get(path)).status_code == 405
    assert (await client.put(path)).status_code == 405
    response = await client.post(path, json={"grant_type": "authorization_code"})
    assert (response.status_code, response.json()["error"]) == (400, "invalid_request")


@pytest.mark.parametrize(
    "content", [b"grant_type=%ff", b"grant_type=%zz", b"a=" + b"x" * 200_000, b"&".join([b"a=b"] * 20_000), b"a=1&a=2"]
)
async def test_oversized_requests_and_broken_forms_are_refused(client: httpx.AsyncClient, content: bytes) -> None:
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    response = await client.post("/auth/token", content=content, headers=headers)
    assert response.status_code in {400, 413}
    assert response.json()["error"] == "invalid_request"


async def test_two_authorization_headers_are_refused(client: httpx.AsyncClient) -> None:
    headers = [("Authorization", "Basic eDp5"), ("Authorization", "Bearer x")]
    response = await client.post("/auth/introspect", data={"token": "x"}, headers=headers)
    assert response.status_code == 400


@pytest.mark.parametrize("path", [*FORMS, "/auth/userinfo", "/auth/register"])
async def test_a_preflight_is_answered_without_a_token(client: httpx.AsyncClient, path: str) -> None:
    headers = {"Origin": "https://app.example", "Access-Control-Request-Method": "POST"}
    response = await client.options(path, headers=headers)
    assert response.status_code == 204
    assert "POST" in response.headers["Access-Control-Allow-Methods"]
    assert {"authorization", "content-type"} <= set(
        response.headers["Access-Control-Allow-Headers"].lower().split(", ")
    )


@pytest.mark.parametrize("path", WELL_KNOWN)
@pytest.mark.parametrize("accept", ["*/*", "application/fhir+xml", "text/html"])
async def test_what_clients_read_first_is_json_for_everybody(client: httpx.AsyncClient, path: str, accept: str) -> None:
    response = await client.get(path, headers={"Accept": accept, "Origin": "https://anywhere.example"})
    assert response.status_code == 200
    assert response.headers["Content-Type"] == "application/json"
    assert response.headers["Access-Control-Allow-Origin"] == "*"
    assert (await client.head(path)).status_code == 200
    body: dict[str, Any] = response.json()
    assert body.get("issuer", ISSUER) == ISSUER


async def test_every_endpoint_that_is_announced_answers(client: httpx.AsyncClient) -> None:
    for path in WELL_KNOWN[:2]:
        found = (await client.get(path)).json()
        for name, url in found.items():
            if name.endswith("_endpoint") or name == "jwks_uri":
                response = await client.get(url)
                assert response.status_code not in {404, 500}, name


async def test_a_stranger_registers_over_http(client: httpx.AsyncClient) -> None:
    metadata = {"redirect_uris": ["https://new.example/cb"], "token_endpoint_auth_method": "none", "client_name": "New"}
    response = await client.post("/auth/register", json=metadata)
    assert response.status_code == 201
    body = response.json()
    header = {"Authorization": f"Bearer {body['registration_access_token']}"}
    assert (await client.get(body["registration_client_uri"], headers=header)).json()["client_name"] == "New"
    assert (await client.put(body["registration_client_uri"], headers=header, json=metadata)).status_code == 200
    assert (await client.delete(body["registration_client_uri"], headers=header)).status_code == 204
    assert (await client.get(body["registration_client_uri"], headers=header)).status_code == 401


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"a":1,"a":2}', b"[" * 10_000])
async def test_a_body_that_is_no_metadata_is_refused(client: httpx.AsyncClient, content: bytes) -> None:
    response = await client.post("/auth/register", content=content, headers={"Content-Type": "application/json"})
    assert (response.status_code, response.json()["error"]) == (400, "invalid_client_metadata")


async def test_a_bug_shows_nothing_of_its_insides(house: House) -> None:
    class Broken:
        def __getattr__(self, name: str) -> Any:
            raise RuntimeError("secret insides")

    house.realm = Broken()  # type: ignore[assignment]
    async with browser(house) as client:
        response = await client.get("/auth/jwks")
    assert response.status_code == 500
    assert "secret insides" not in response.text
