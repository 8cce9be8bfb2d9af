"""A whole server over HTTP, and hands like those of a conformance suite: an app, and a person with a browser before it."""

from base64 import b64encode
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit
from uuid import uuid4

import httpx
from joserfc import jwt
from joserfc.jwk import KeySet
from pydantic import SecretStr

from fhir_server.http.app import create_app
from fhir_server.main import Service, running
from fhir_server.settings import Auth, Mongo, Server, Settings
from smart_auth import administration, launch
from smart_auth.administration import Registration
from smart_auth.assertion import TYPE
from smart_auth.records import Client, LaunchContext, Link, User
from tests.http.auth.surfing import forms, heading, onward, send, sign_in
from tests.smart_auth.apps import assertion, ec, key_set, rsa
from tests.smart_auth.house import BASE, CHALLENGE, HASH, VERIFIER, answer_of

ORIGIN = "https://a.example"
KIT = "https://inferno.example"
"""Origin of the suite, which is the app here."""

REDIRECT, LAUNCH = f"{KIT}/redirect", f"{KIT}/launch"
TYPES = [
    "AllergyIntolerance",
    "CarePlan",
    "CareTeam",
    "Condition",
    "Device",
    "DiagnosticReport",
    "DocumentReference",
    "Encounter",
    "Goal",
    "Immunization",
    "Location",
    "Medication",
    "MedicationRequest",
    "Observation",
    "Organization",
    "Patient",
    "Practitioner",
    "PractitionerRole",
    "Procedure",
    "Provenance",
]
CATEGORY = "http://terminology.hl7.org/CodeSystem/observation-category"


def wanted(context: str, access: str, words: str) -> str:
    """Return the scopes that a suite asks for by default."""
    return " ".join([words, *(f"{context}/{kind}.{access}" for kind in TYPES)])


RECORD: tuple[dict[str, Any], ...] = (
    {"resourceType": "Organization", "id": "ward", "name": "Ward"},
    {"resourceType": "Practitioner", "id": "grey", "name": [{"family": "Grey"}]},
    {"resourceType": "Patient", "id": "ann", "name": [{"family": "Lee", "given": ["Ann"]}]},
    {"resourceType": "Patient", "id": "bo", "name": [{"family": "Lee", "given": ["Bo"]}]},
    {
        "resourceType": "Encounter",
        "id": "visit",
        "status": "finished",
        "class": {"code": "AMB"},
        "subject": {"reference": "Patient/ann"},
    },
    *(
        {
            "resourceType": "Observation",
            "id": f"{patient}-{category}",
            "status": "final",
            "code": {"text": category},
            "category": [{"coding": [{"system": CATEGORY, "code": category}]}],
            "subject": {"reference": f"Patient/{patient}"},
        }
        for patient in ("ann", "bo")
        for category in ("laboratory", "vital-signs")
    ),
)


@dataclass
class App:
    """An app that was registered.

    Attributes:
        client: Its registration.
        secret: Its secret, empty without one.
        key: What it signs with, or `None`.
    """

    client: Client
    secret: str = ""
    key: Any = None

    def proof(self, now: Any, **claims: Any) -> tuple[dict[str, str], dict[str, str]]:
        """Return the headers and parameters in which it says who it is."""
        if self.secret:
            text = b64encode(f"{self.client.id}:{self.secret}".encode()).decode()
            return {"Authorization": f"Basic {text}"}, {}
        if self.key is not None:
            text = assertion(self.client.id, self.key, now, aud=f"{ORIGIN}/auth/token", **claims)
            return {}, {"client_assertion_type": TYPE, "client_assertion": text}
        return {}, {"client_id": self.client.id}


class Site:
    """The server and everybody who uses it."""

    def __init__(self, application: Any, service: Service, settings: Settings) -> None:
        self.settings = settings
        self.service = service
        self.realm = service.realm
        self._application = application
        self.http = self.browser()

    def browser(self, address: str = "192.0.2.7") -> httpx.AsyncClient:
        """Return a browser, or a program, which keeps cookies and follows no redirect by itself."""
        transport = httpx.ASGITransport(self._application, raise_app_exceptions=True, client=(address, 50_000))
        return httpx.AsyncClient(transport=transport, base_url=ORIGIN)

    async def app(self, kind: str = "public", scope: str = "", key: Any = None, **more: Any) -> App:
        """Return a new app."""
        keys = key or (ec() if kind in {"asymmetric", "backend"} else None)
        uris = {} if kind == "backend" else {"redirect_uris": (REDIRECT,), "launch_uris": (LAUNCH,)}
        jwks = key_set(rsa(), ec()) if keys else None
        registration = Registration(kind, "Inferno", scope=scope, jwks=jwks, **{**uris, **more})  # type: ignore[arg-type]
        client, secret = await administration.add_client(self.realm, registration)
        return App(client, secret, keys)

    async def launched(self, app: App, user_id: str = "u-doc", **context: Any) -> dict[str, str]:
        """Return what an app is opened with: `iss` and `launch`."""
        user = await self.realm.store.get(User, user_id)
        assert user
        opened = await launch.mint(self.realm, app.client, user, LaunchContext(**context))
        assert opened.url.startswith(f"{LAUNCH}?")
        return answer_of(opened.url)

    def asking(self, app: App, scope: str, **more: str) -> dict[str, str]:
        """Return the parameters of an authorization request; one that is empty is left out."""
        named = {
            "response_type": "code",
            "client_id": app.client.id,
            "redirect_uri": REDIRECT,
            "scope": scope,
            "state": str(uuid4()),
            "aud": BASE,
            "code_challenge": CHALLENGE,
            "code_challenge_method": "S256",
        } | more
        return {name: value for name, value in named.items() if value}

    async def asked(self, client: httpx.AsyncClient, form: Mapping[str, str], method: str = "GET") -> httpx.Response:
        """Send a browser to the authorization endpoint, in either of the two ways."""
        if method == "GET":
            return await onward(client, await client.get("/auth/authorize", params=dict(form)))
        headers = {"Origin": KIT, "Sec-Fetch-Site": "cross-site"}
        return await onward(client, await client.post("/auth/authorize", data=dict(form), headers=headers))

    async def authorized(
        self,
        app: App,
        scope: str,
        *choices: tuple[str, str],
        login: str = "ann",
        method: str = "GET",
        patient: str = "ann",
        without: tuple[str, ...] = (),
        **more: str,
    ) -> dict[str, str]:
        """Return what comes back to the app when a person signs in, chooses the patient and allows everything it is asked."""
        form = self.asking(app, scope, **more)
        async with self.browser() as client:
            page = await sign_in(client, await self.asked(client, form, method), login)
            if heading(page) == "Whose record?":
                page = await send(client, forms(page)[0], ("patient", patient))
            if page.status_code != 303:
                page = await send(client, forms(page)[0], *choices, ("decision", "allow"), without=without)
        assert page.status_code == 303, page.text
        assert page.headers["location"].startswith(f"{REDIRECT}?")
        answer = answer_of(page.headers["location"])
        assert answer["state"] == form["state"]
        return answer

    async def token(self, app: App, **form: str) -> httpx.Response:
        """Return the answer of the token endpoint to an app."""
        headers, proof = app.proof(self.realm.clock())
        named = {name: value for name, value in {**proof, **form}.items() if value}
        return await self.http.post("/auth/token", data=named, headers={**headers, "Origin": KIT})

    async def redeem(self, app: App, code: str, **more: str) -> httpx.Response:
        """Return the answer to a code."""
        form = {"grant_type": "authorization_code", "code": code, "redirect_uri": REDIRECT, "code_verifier": VERIFIER}
        return await self.token(app, **(form | more))

    async def launch_of(self, app: App, scope: str, *choices: tuple[str, str], **how: Any) -> dict[str, Any]:
        """Return the token response of a whole launch, whose form and headers were looked at as a suite does."""
        answer = await self.authorized(app, scope, *choices, **how)
        assert answer["code"], answer
        response = await self.redeem(app, answer["code"])
        return issued(response)

    async def refresh(self, app: App, refresh_token: str, **more: str) -> httpx.Response:
        """Return the answer to a refresh token."""
        return await self.token(app, grant_type="refresh_token", refresh_token=refresh_token, **more)

    async def get(self, path: str, token: str = "", **headers: str) -> httpx.Response:
        """Return the answer of the FHIR API to a page of the app."""
        shown = {"Authorization": f"Bearer {token}"} if token else {}
        return await self.http.get(f"/fhir/{path}", headers={"Origin": KIT, **shown, **headers})

    async def claims(self, id_token: str, client_id: str) -> dict[str, Any]:
        """Return what an id token says, after everything that a suite checks on one."""
        configuration = (await self.http.get("/auth/.well-known/openid-configuration")).json()
        found = (await self.http.get(urlsplit(configuration["jwks_uri"]).path)).json()
        assert all(key["kty"] == "RSA" for key in found["keys"])
        token = jwt.decode(id_token, KeySet.import_key_set(found), algorithms=["RS256"])
        assert token.header["kid"] in {key["kid"] for key in found["keys"]}
        claims = dict(token.claims)
        now = self.realm.clock().timestamp()
        assert claims["iss"] == configuration["issuer"]
        assert claims["aud"] == client_id
        assert now - 60 < claims["iat"] <= now + 1
        assert claims["exp"] > now
        assert 0 < len(claims["sub"]) < 256
        return claims


def issued(response: httpx.Response) -> dict[str, Any]:
    """Return a token response, after everything that a suite checks on every one of them."""
    assert response.status_code == 200, response.text
    assert response.headers["content-type"].startswith("application/json")
    assert "no-store" in response.headers["cache-control"]
    assert "no-cache" in response.headers["pragma"]
    assert response.headers["access-control-allow-origin"] in {"*", KIT}
    body: dict[str, Any] = response.json()
    assert body["token_type"].lower() == "bearer"
    assert all(isinstance(body[name], str) and body[name] for name in ("access_token", "scope"))
    assert type(body["expires_in"]) is int
    assert 0 < body["expires_in"] <= 3600
    return body


@asynccontextmanager
async def standing(data_dir: Path, mongo_url: SecretStr, **auth: Any) -> AsyncIterator[Site]:
    """Yield a server with a small record and a few people."""
    settings = Settings(
        data_dir=data_dir,
        auth=Auth(mode="smart", staff_second_factor=False, **auth),
        server=Server(base_url=BASE),
        mongo=Mongo(database=f"inferno_{uuid4().hex[:8]}", cache_gb=0.25),
    )

    @asynccontextmanager
    async def given(_: Settings) -> AsyncIterator[Service]:
        yield service

    async with running(settings) as service:
        application = create_app(settings, given)
        for resource in RECORD:
            await service.repository.update(resource["resourceType"], resource["id"], resource)
        then = service.realm.clock()
        for user in (
            User("u-ann", "ann", "Ann Lee", "patient", then, HASH, links=(Link("Patient/ann", "ann"),)),
            User(
                "u-bo",
                "bo",
                "Bo Lee",
                "patient",
                then,
                HASH,
                links=(Link("Patient/bo", "bo"), Link("RelatedPerson/bo-ann", "ann")),
            ),
            User("u-doc", "doc", "Dr Grey", "staff", then, HASH, links=(Link("Practitioner/grey"),)),
        ):
            assert await service.realm.store.add(user)
        async with application.router.lifespan_context(application):
            site = Site(application, service, settings)
            async with site.http:
                yield site


def query(url: str) -> dict[str, list[str]]:
    """Return the query of a URL."""
    return parse_qs(urlsplit(url).query)
