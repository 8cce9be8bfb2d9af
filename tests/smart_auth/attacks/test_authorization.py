"""Attacks on an authorization, over HTTP on the whole server: each test is named after its attack."""

import asyncio
import hmac
import json
import re
from base64 import urlsafe_b64encode
from typing import Any

import httpx
import pytest

from smart_auth import administration
from tests.smart_auth.apps import assertion, ec, rsa
from tests.smart_auth.house import CHALLENGE, ISSUER
from tests.smart_auth.inferno.site import KIT, ORIGIN, REDIRECT, App, Site, issued

SCOPE = "launch/patient openid fhirUser patient/Patient.rs offline_access"
BACKEND = {"grant_type": "client_credentials", "scope": "system/*.rs"}


async def asked(site: Site, app: App, **more: str) -> httpx.Response:
    async with site.browser() as client:
        return await site.asked(client, site.asking(app, SCOPE, **more))


async def sent(site: Site, text: str) -> httpx.Response:
    kind = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
    return await site.http.post(
        "/auth/token", data={**BACKEND, "client_assertion_type": kind, "client_assertion": text}
    )


@pytest.mark.parametrize(
    "uri", ["https://evil.example/redirect", f"{REDIRECT}/x", f"{REDIRECT}?x", f"{KIT}@evil.example/"]
)
async def test_wrong_redirect(site: Site, uri: str) -> None:
    page = await asked(site, await site.app(), redirect_uri=uri)
    assert page.status_code == 400
    assert "location" not in page.headers
    assert not re.search(r"(?:href|action|src)=.https?://evil", page.text)


async def test_scheme_downgrade(site: Site) -> None:
    page = await asked(site, await site.app(), redirect_uri=REDIRECT.replace("https:", "http:"))
    assert page.status_code == 400
    assert "location" not in page.headers
    body = {"redirect_uris": ["http://app.example/callback"], "token_endpoint_auth_method": "none"}
    refused = await site.http.post("/auth/register", json=body)
    assert (refused.status_code, refused.json()["error"]) == (400, "invalid_redirect_uri")


@pytest.mark.parametrize("kind", ["public", "confidential", "asymmetric"])
@pytest.mark.parametrize(
    "pkce", [{"code_challenge": ""}, {"code_challenge_method": ""}, {"code_challenge_method": "plain"}]
)
async def test_missing_or_plain_pkce(site: Site, kind: str, pkce: dict[str, str]) -> None:
    page = await asked(site, await site.app(kind), **pkce)
    assert page.headers["location"].startswith(f"{REDIRECT}?error=invalid_request")
    assert "code=" not in page.headers["location"].replace("error_description", "")


async def test_verifier_mismatch(site: Site) -> None:
    app = await site.app("confidential")
    code = (await site.authorized(app, SCOPE))["code"]
    for verifier in ("x" * 43, CHALLENGE, ""):
        assert (await site.redeem(app, code, code_verifier=verifier)).json()["error"] in {
            "invalid_grant",
            "invalid_request",
        }


async def test_code_replay_revokes_the_grant(site: Site) -> None:
    app = await site.app()
    code = (await site.authorized(app, SCOPE))["code"]
    body = issued(await site.redeem(app, code))
    assert (await site.get("Patient/ann", body["access_token"])).status_code == 200
    assert (await site.redeem(app, code)).status_code == 400
    assert (await site.get("Patient/ann", body["access_token"])).status_code == 401
    assert (await site.refresh(app, body["refresh_token"])).status_code == 400


async def test_code_replay_under_concurrency(site: Site) -> None:
    app = await site.app()
    code = (await site.authorized(app, SCOPE))["code"]
    answers = await asyncio.gather(*(site.redeem(app, code) for _ in range(20)))
    assert sorted(answer.status_code for answer in answers) == [200] + [400] * 19


async def test_refresh_reuse_revokes_the_family(site: Site) -> None:
    app = await site.app()
    first = await site.launch_of(app, SCOPE)
    second = issued(await site.refresh(app, first["refresh_token"]))
    third = issued(await site.refresh(app, second["refresh_token"]))
    assert (await site.refresh(app, first["refresh_token"])).status_code == 400
    assert (await site.refresh(app, third["refresh_token"])).status_code == 400
    assert (await site.get("Patient/ann", third["access_token"])).status_code == 401


async def test_foreign_client_with_a_stolen_code(site: Site) -> None:
    app, thief = await site.app(), await site.app("confidential")
    code = (await site.authorized(app, SCOPE))["code"]
    assert (await site.redeem(thief, code)).json()["error"] == "invalid_grant"
    assert issued(await site.redeem(app, code))


async def test_foreign_client_with_a_stolen_refresh_token(site: Site) -> None:
    app, thief = await site.app(), await site.app("confidential")
    body = await site.launch_of(app, SCOPE)
    assert (await site.refresh(thief, body["refresh_token"])).json()["error"] == "invalid_grant"
    assert issued(await site.refresh(app, body["refresh_token"]))


@pytest.mark.parametrize("algorithm", ["HS256", "none", "RS256"])
async def test_algorithm_confusion(site: Site, algorithm: str) -> None:
    """The public key as a shared secret, no signature at all, and an algorithm of another type of key."""
    app = await site.app("backend", "system/*.rs")
    genuine = app.proof(site.realm.clock())[1]["client_assertion"]
    header = {"alg": algorithm, "kid": ec().kid, "typ": "JWT"}
    signed = f"{encoded(header)}.{genuine.split('.')[1]}"
    mac = hmac.digest(rsa().as_pem(private=False), signed.encode(), "sha256")
    signature = "" if algorithm == "none" else urlsafe_b64encode(mac).rstrip(b"=").decode()
    refused = await sent(site, f"{signed}.{signature}")
    assert (refused.status_code, refused.json()["error"]) == (400, "invalid_client")


@pytest.mark.parametrize(
    "kid", ["", "../../etc/passwd", "' OR '1'='1", "r1\u0000", {"$ne": ""}, ["r1"], "https://evil.example/key"]
)
async def test_kid_injection(site: Site, kid: Any) -> None:
    app = await site.app("backend", "system/*.rs")
    _, body, signature = app.proof(site.realm.clock())[1]["client_assertion"].split(".")
    header = encoded({"alg": "ES384", "kid": kid, "typ": "JWT"})
    refused = await sent(site, f"{header}.{body}.{signature}")
    assert (refused.status_code, refused.json()["error"]) == (400, "invalid_client")


@pytest.mark.parametrize("life", [-120, 3600, 10**10])
async def test_expired_or_far_future_assertion(site: Site, life: float) -> None:
    app = await site.app("backend", "system/*.rs")
    refused = await sent(site, app.proof(site.realm.clock(), life=life)[1]["client_assertion"])
    assert (refused.status_code, refused.json()["error"]) == (400, "invalid_client")


async def test_jti_replay_under_concurrency(site: Site) -> None:
    app = await site.app("backend", "system/*.rs")
    text = app.proof(site.realm.clock())[1]["client_assertion"]
    answers = await asyncio.gather(*(sent(site, text) for _ in range(20)))
    assert [answer.status_code for answer in answers].count(200) == 1
    assert {answer.status_code for answer in answers} <= {200, 400, 429}


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]", "[::ffff:127.0.0.1]", "2130706433"])
async def test_jwks_url_to_a_private_address(site: Site, host: str) -> None:
    """SSRF: the server is made to fetch keys from itself or from its network; here from a listener that nobody reaches."""
    reached: list[object] = []

    async def count(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        reached.append(writer)
        writer.close()

    async with await asyncio.start_server(count, "127.0.0.1", 0) as listener:
        port = listener.sockets[0].getsockname()[1]
        metadata = {
            "client_name": "Probe",
            "redirect_uris": [REDIRECT],
            "token_endpoint_auth_method": "private_key_jwt",
            "jwks_uri": f"https://{host}:{port}/jwks",
        }
        registered = await site.http.post("/auth/register", json=metadata)
        client_id = registered.json().get("client_id", "")
        proof = ec_proof(site, client_id)
        refused = await site.http.post("/auth/token", data={"grant_type": "authorization_code", "code": "x", **proof})
        assert (refused.status_code, refused.json()["error"]) == (400, "invalid_client")
        assert str(port) not in refused.text
    assert reached == []


async def test_mix_up(site: Site) -> None:
    """Every answer says whose it is, and nothing that is meant for another server is taken."""
    app = await site.app()
    assert (await site.authorized(app, SCOPE))["iss"] == ISSUER
    page = await asked(site, app, response_type="token")
    assert f"iss={ISSUER.replace(':', '%3A').replace('/', '%2F')}" in page.headers["location"]
    found = (await site.get(".well-known/smart-configuration")).json()
    assert found["authorization_response_iss_parameter_supported"] is True
    backend = await site.app("backend", "system/*.rs")
    foreign = ec_proof(site, backend.client.id, aud="https://honest.example/token")["client_assertion"]
    assert (await sent(site, foreign)).status_code == 400


async def test_scope_escalation_on_refresh(site: Site) -> None:
    app = await site.app()
    token = (await site.launch_of(app, SCOPE))["refresh_token"]
    for scope in (
        "patient/*.rs",
        "patient/Patient.cruds",
        "user/Patient.rs",
        "system/*.rs",
        "patient/Observation.read",
    ):
        refused = await site.refresh(app, token, scope=scope)
        assert (refused.status_code, refused.json()["error"]) == (400, "invalid_scope")
    assert issued(await site.refresh(app, token, scope="patient/Patient.r"))["scope"] == "patient/Patient.r"


async def test_outliving_a_narrowed_registration(site: Site) -> None:
    """What is taken from an app is out of reach from the next request on, also with a token of before."""
    app = await site.app(scope="launch/patient patient/Patient.rs patient/Observation.rs")
    token = (await site.launch_of(app, "launch/patient patient/Patient.rs patient/Observation.rs"))["access_token"]
    assert (await site.get("Observation/ann-laboratory", token)).status_code == 200
    await administration.enable_client(site.realm, app.client.id, "launch/patient patient/Patient.rs")
    assert (await site.get("Observation/ann-laboratory", token)).status_code == 403
    assert (await site.get("Patient/ann", token)).status_code == 200


async def test_patient_switching_through_launch(site: Site) -> None:
    """The launch of somebody else, one for another app, one that was used, and a patient in the form of a picker."""
    app, other = await site.app(), await site.app()
    scope = "launch patient/Patient.rs"
    opened = (await site.launched(app, patient="bo"))["launch"]
    assert "error" in await site.authorized(app, scope, launch=opened, login="ann")
    async with site.browser() as client:
        page = await site.asked(client, site.asking(other, scope, launch=opened))
    assert "error=invalid_request" in page.headers["location"]
    mine = (await site.launched(app, patient="ann"))["launch"]
    body = await site.launch_of(app, scope, login="doc", launch=mine, patient="bo")
    assert body["patient"] == "ann"
    assert (await site.get("Patient/bo", body["access_token"])).status_code == 404
    async with site.browser() as client:
        page = await site.asked(client, site.asking(app, scope, launch=mine))
    assert "error=invalid_request" in page.headers["location"]


async def test_open_redirect(site: Site) -> None:
    """By the authorization endpoint, by an app that somebody registered, and by signing out."""
    page = await asked(site, App((await site.app()).client), client_id="nobody", redirect_uri="https://evil.example/")
    assert "location" not in page.headers
    metadata = {"redirect_uris": ["https://evil.example/cb"], "token_endpoint_auth_method": "none"}
    client_id = (await site.http.post("/auth/register", json=metadata)).json()["client_id"]
    parameters = {"client_id": client_id, "redirect_uri": "https://evil.example/cb", "response_type": "nonsense"}
    assert (await site.http.get("/auth/authorize", params=parameters)).status_code == 400
    for back in ("https://evil.example/", "//evil.example/", "/\\evil.example/", "/\t/evil.example"):
        page = await site.http.get("/auth/language", params={"to": "de", "back": back})
        assert "evil" not in page.headers.get("location", "")
    out = await site.http.get("/auth/end-session", params={"post_logout_redirect_uri": "https://evil.example/"})
    assert "location" not in out.headers


@pytest.mark.parametrize("path", ["/auth/token", "/auth/introspect", "/auth/revoke", "/auth/authorize"])
async def test_oversized_requests(site: Site, path: str) -> None:
    response = await site.http.post(path, data={"token": "x" * 200_000})
    assert response.status_code == 413
    many = await site.http.post(path, data={f"p{number}": "x" for number in range(5_000)})
    assert many.status_code == 400


async def test_oversized_registration(site: Site) -> None:
    assert (await site.http.post("/auth/register", json={"client_name": "x" * 200_000})).status_code == 413


async def test_token_in_url(site: Site) -> None:
    app = await site.app()
    token = (await site.launch_of(app, SCOPE))["access_token"]
    assert (await site.http.get(f"/fhir/Patient/ann?access_token={token}")).status_code == 401
    assert (await site.http.get(f"/auth/userinfo?access_token={token}")).status_code == 401
    url = f"/auth/revoke?token={token}&client_id={app.client.id}"
    assert (await site.http.post(url)).status_code == 400
    assert (await site.http.post("/fhir/Patient/_search", data={"access_token": token})).status_code == 401
    assert (await site.get("Patient/ann", token)).status_code == 200


def encoded(value: object) -> str:
    return urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


def ec_proof(site: Site, client_id: str, aud: str = f"{ORIGIN}/auth/token") -> dict[str, str]:
    text = assertion(client_id, ec(), site.realm.clock(), aud=aud)
    kind = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
    return {"client_assertion_type": kind, "client_assertion": text}
