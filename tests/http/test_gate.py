"""Access tokens over HTTP: two servers on one record, so that what one is told the other one must know at once."""

import re
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
import pytest_asyncio
from pydantic import SecretStr

from fhir_server.http.app import create_app
from fhir_server.main import Service, running
from fhir_server.settings import Auth, Mongo, Server, Settings
from smart_auth import opaque, tokens
from smart_auth.records import Client, Grant, LaunchContext, Link, User

BASE = "http://127.0.0.1:8080/fhir"


@dataclass
class House:
    """Two servers and who asks them."""

    servers: list[httpx.AsyncClient]
    service: Service

    async def token(self, scope: str, *, patient: str = "", user: str = "") -> str:
        """Return an access token of a grant of its own."""
        realm = self.service.realm
        now = realm.clock()
        client = Client(f"c-{uuid4().hex}", "App", "public" if user else "backend", "none", now, scope=scope)
        await realm.store.add(client)
        grant = Grant(
            opaque.new(), client.id, user, scope, "once", now, now + timedelta(days=1), LaunchContext(patient)
        )
        await realm.store.add(grant)
        self.last = client, grant
        return str((await tokens.issue(realm, grant, client))["access_token"])

    async def get(self, path: str, token: str = "", server: int = 0, **headers: str) -> httpx.Response:
        shown = {"Authorization": f"Bearer {token}"} if token else {}
        return await self.servers[server].get(path, headers={**shown, **headers})


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def house(data_dir: Path, mongo_url: SecretStr) -> AsyncIterator[House]:
    settings = Settings(
        data_dir=data_dir,
        auth=Auth(mode="smart"),
        server=Server(base_url=BASE),
        mongo=Mongo(database=f"gate_{uuid4().hex[:8]}", cache_gb=0.25),
    )
    async with AsyncExitStack() as stack:
        servers, services = [], []
        for _ in range(2):
            service = await stack.enter_async_context(running(settings))
            app = create_app(settings, _given(service))
            await stack.enter_async_context(app.router.lifespan_context(app))
            transport = httpx.ASGITransport(app, raise_app_exceptions=True)
            servers.append(
                await stack.enter_async_context(
                    httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8080")
                )
            )
            services.append(service)
        for one in ("ann", "bo"):
            await services[0].repository.update("Patient", one, {"resourceType": "Patient", "id": one})
        since = services[0].realm.clock() - timedelta(days=1)
        await services[0].realm.store.add(
            User("u-ann", "ann", "Ann", "patient", since, links=(Link("Patient/ann", "ann"),))
        )
        yield House(servers, services[0])


def _given(service: Service) -> Any:
    @asynccontextmanager
    async def given(_: Settings) -> AsyncIterator[Service]:
        yield service

    return given


async def test_without_a_token_nothing_but_what_this_server_is(house: House) -> None:
    refused = await house.get("/fhir/Patient/ann", Origin="https://app.example")
    assert refused.status_code == 401
    assert refused.headers["www-authenticate"] == f'Bearer realm="{BASE}"'
    assert refused.json()["issue"][0]["code"] == "login"
    assert refused.headers["access-control-allow-origin"] == "*"
    for path in ("/fhir/Nothing/1", "/fhir", "/fhir/Patient", "/fhir/$reindex-status"):
        assert (await house.get(path)).status_code == 401, path
    assert (await house.get("/fhir/metadata")).status_code == 200


async def test_the_statement_names_the_endpoints_of_the_discovery_document(house: House) -> None:
    security = (await house.get("/fhir/metadata")).json()["rest"][0]["security"]
    (places,) = (one["extension"] for one in security["extension"] if one["url"].endswith("/oauth-uris"))
    found = {place["url"]: place["valueUri"] for place in places}
    told = (await house.get("/fhir/.well-known/smart-configuration", Accept="application/fhir+xml")).json()
    assert found["authorize"] == told["authorization_endpoint"]
    assert found["token"] == told["token_endpoint"]
    assert found["introspect"] == told["introspection_endpoint"]
    assert found["revoke"] == told["revocation_endpoint"]
    assert found["manage"] == told["management_endpoint"]
    assert security["service"][0]["coding"][0]["code"] == "SMART-on-FHIR"
    assert security["cors"] is True


@pytest.mark.parametrize("path", ["/fhir/.well-known/smart-configuration", "/fhir//.well-known/smart-configuration"])
async def test_discovery_needs_no_token_and_stands_below_the_base(house: House, path: str) -> None:
    client = house.servers[0]
    found = await client.get(path, headers={"Origin": "https://app.example"})
    assert found.status_code == 200
    assert found.headers["content-type"] == "application/json"
    assert found.headers["access-control-allow-origin"] == "*"
    assert (await client.head(path)).status_code == 200
    assert (await client.options(path)).status_code == 204


async def test_a_token_reaches_what_its_scopes_say(house: House) -> None:
    token = await house.token("patient/Patient.rs", patient="ann", user="u-ann")
    assert (await house.get("/fhir/Patient/ann", token)).status_code == 200
    assert (await house.get("/fhir/Patient/bo", token)).status_code == 404
    refused = await house.get("/fhir/Observation", token)
    assert refused.status_code == 403
    assert refused.json()["issue"][0]["code"] == "forbidden"
    found = (await house.get("/fhir/Patient", token)).json()
    assert [one["resource"]["id"] for one in found["entry"]] == ["ann"]


async def test_a_token_in_the_url_is_no_token(house: House) -> None:
    token = await house.token("system/*.rs")
    assert (await house.get(f"/fhir/Patient/ann?access_token={token}")).status_code == 401


async def test_two_authorization_headers_are_refused(house: House) -> None:
    token = await house.token("system/*.rs")
    headers = [("Authorization", f"Bearer {token}"), ("Authorization", f"Bearer {token}")]
    refused = await house.servers[0].get("/fhir/Patient/ann", headers=headers)
    assert refused.status_code == 400
    assert "sent once" in refused.json()["issue"][0]["details"]["text"]


async def test_a_revoked_token_is_useless_at_the_next_request_to_every_server(house: House) -> None:
    token = await house.token("system/Patient.rs")
    for server in (0, 1, 0, 1):  # both know it by heart
        assert (await house.get("/fhir/Patient/ann", token, server)).status_code == 200
    _, grant = house.last
    realm = house.service.realm
    assert await realm.store.end_grants(realm.clock(), "test", id=grant.id) == 1
    for server in (1, 0):
        refused = await house.get("/fhir/Patient/ann", token, server)
        assert refused.status_code == 401
        assert 'error="invalid_token"' in refused.headers["www-authenticate"]
    body = {"resourceType": "Patient"}
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/fhir+json"}
    assert (await house.servers[1].post("/fhir/Patient", json=body, headers=headers)).status_code == 401


async def test_tokens_of_a_disabled_client_and_of_a_disabled_person_are_useless(house: House) -> None:
    realm = house.service.realm
    token = await house.token("system/Patient.rs")
    assert (await house.get("/fhir/Patient/ann", token, 1)).status_code == 200
    client, _ = house.last
    assert await realm.store.swap(client, replace(client, disabled=True), felt=True)
    assert (await house.get("/fhir/Patient/ann", token, 1)).status_code == 401

    person = User("u-zoe", "zoe", "Zoe", "staff", realm.clock() - timedelta(days=1))
    await realm.store.add(person)
    token = await house.token("user/Patient.rs", user=person.id)
    assert (await house.get("/fhir/Patient/ann", token, 1)).status_code == 200
    assert await realm.store.swap(person, replace(person, disabled=True), felt=True)
    assert (await house.get("/fhir/Patient/ann", token, 1)).status_code == 401


async def test_open_mode_has_no_authorization_server(app: Any) -> None:
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://127.0.0.1") as client,
    ):
        assert (await client.get("/fhir/.well-known/smart-configuration")).status_code == 404
        assert (await client.get("/auth/authorize")).status_code == 404


async def test_the_start_page_leads_to_what_answers_here(house: House) -> None:
    page = await house.get("/")
    links = set(re.findall(r"(?:src|href)=\"(/[^\"]*)\"", page.text))
    assert {"/auth/apps", "/fhir/.well-known/smart-configuration"} <= links
    for link in links:
        assert (await house.get(link)).status_code in {200, 303}, link


async def test_the_description_of_the_api_says_what_needs_a_token(house: House) -> None:
    api = (await house.get("/openapi.json")).json()
    assert api["security"] == [{"token": []}]
    assert api["components"]["securitySchemes"]["token"]["scheme"] == "bearer"
    assert [path for path, item in api["paths"].items() if item.get("get", {}).get("security") == []] == [
        "/fhir/metadata"
    ]


async def test_a_body_in_xml_is_read_for_those_only_who_may_send_it(house: House) -> None:
    headers = {"Content-Type": "application/fhir+xml"}
    refused = await house.servers[0].post("/fhir/Patient", content=b"<broken", headers=headers)
    assert refused.status_code == 401
    assert refused.headers["content-type"] == "application/fhir+xml; charset=utf-8"
    assert '<code value="login"/>' in refused.text
    for scope, status in (("system/Observation.c", 403), ("system/Patient.c", 400)):
        headers["Authorization"] = f"Bearer {await house.token(scope)}"
        refused = await house.servers[0].post("/fhir/Patient", content=b"<broken", headers=headers)
        assert refused.status_code == status, refused.text
        assert ("not well-formed XML" in refused.text) is (status == 400)
