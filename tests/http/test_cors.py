"""Which pages of the web may call."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Literal

import httpx
import pytest

from fhir_server.http.app import create_app
from fhir_server.http.cors import Cors
from fhir_server.model.errors import Forbidden
from fhir_server.settings import Auth, Server, Settings
from tests.http.conftest import ORIGIN, Echo

LOCAL = ["http://localhost:3000", "https://127.0.0.1:8443", "http://[::1]:5173", "http://app.localhost"]
FOREIGN = ["https://evil.example", "http://localhost.evil.example", "null", "http://[", "file://"]


@pytest.mark.parametrize("origin", LOCAL)
async def test_open_mode_lets_pages_of_this_machine_call_and_read_the_headers(
    client: httpx.AsyncClient, origin: str
) -> None:
    response = await client.get("/fhir/Patient/1", headers={"Origin": origin})
    assert response.headers["access-control-allow-origin"] == origin
    exposed = response.headers["access-control-expose-headers"]
    assert {"ETag", "Location", "Content-Location", "Last-Modified", "X-Request-Id"} <= set(exposed.split(", "))
    assert {"Preference-Applied", "Retry-After", "WWW-Authenticate", "X-Progress"} <= set(exposed.split(", "))
    assert "Origin" in response.headers["vary"]


@pytest.mark.parametrize("origin", FOREIGN)
async def test_open_mode_lets_no_page_of_the_web_read_the_record(client: httpx.AsyncClient, origin: str) -> None:
    response = await client.get("/fhir/Patient/1", headers={"Origin": origin})
    assert "access-control-allow-origin" not in response.headers
    preflight = await client.options(
        "/fhir/Patient/1", headers={"Origin": origin, "Access-Control-Request-Method": "DELETE"}
    )
    assert preflight.status_code == 403
    assert "server.cors_origins" in preflight.text


async def test_preflight_names_methods_and_headers(client: httpx.AsyncClient) -> None:
    headers = {"Origin": LOCAL[0], "Access-Control-Request-Method": "PUT", "Access-Control-Request-Headers": "if-match"}
    response = await client.options("/fhir/Patient/1", headers=headers)
    assert response.status_code == 204
    assert "PUT" in response.headers["access-control-allow-methods"]
    assert "If-Match" in response.headers["access-control-allow-headers"]
    assert response.headers["access-control-allow-origin"] == LOCAL[0]


async def test_options_without_preflight_lists_the_methods(client: httpx.AsyncClient) -> None:
    response = await client.options("/fhir/Patient")
    assert response.status_code == 204
    assert "PATCH" in response.headers["allow"]


async def test_refusals_can_be_read_across_origins(client: httpx.AsyncClient) -> None:
    response = await client.get("/fhir/Patient/1", headers={"Origin": LOCAL[0], "Accept": "text/turtle"})
    assert response.status_code == 406
    assert response.headers["access-control-allow-origin"] == LOCAL[0]


def test_listed_origins_are_matched_whole() -> None:
    cors = Cors(Settings(server=Server(cors_origins=("https://app.example/",))))
    assert dict(cors.headers("https://APP.example"))[b"access-control-allow-origin"] == b"https://APP.example"
    for origin in ("https://app.example.evil", "http://app.example", "http://localhost"):
        with pytest.raises(Forbidden, match=r"server\.cors_origins"):
            cors.preflight(origin, "GET")


@pytest.mark.parametrize(("mode", "expected"), [("smart", b"*"), ("open", None)])
def test_what_this_server_is_can_be_read_from_any_origin_where_tokens_are_needed(
    mode: Literal["smart", "open"], expected: bytes | None
) -> None:
    cors = Cors(Settings(auth=Auth(mode=mode), server=Server(cors_origins=("https://app.example",))))
    assert dict(cors.headers("https://other.example", tells=True)).get(b"access-control-allow-origin") == expected
    assert cors.headers("https://other.example") == []


async def test_the_statement_is_read_from_any_origin_and_the_record_is_not(
    echo: Echo, plain_settings: Settings
) -> None:
    @asynccontextmanager
    async def running(_: Settings) -> AsyncIterator[Echo]:
        yield echo

    changes = {"auth": Auth(mode="smart"), "server": Server(cors_origins=("https://app.example",))}
    app = create_app(plain_settings.model_copy(update=changes), running)
    transport = httpx.ASGITransport(app, raise_app_exceptions=True)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url=ORIGIN, headers={"Origin": "https://other.example"}) as client,
    ):
        assert (await client.get("/fhir/metadata")).headers["access-control-allow-origin"] == "*"
        assert "access-control-allow-origin" not in (await client.get("/fhir/Patient/1")).headers
