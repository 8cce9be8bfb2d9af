"""Which requests get a line in the log, and that a line tells nothing about anybody."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Literal

import httpx
import pytest
import structlog

from fhir_server.http.app import create_app
from fhir_server.settings import Server, Settings

Setting = Literal["off", "errors", "all"]


@asynccontextmanager
async def logging(echo: Any, setting: Setting) -> AsyncIterator[tuple[httpx.AsyncClient, list[Any]]]:
    """A client of an edge with that setting, and the lines that are logged meanwhile."""

    @asynccontextmanager
    async def running(_: Settings) -> AsyncIterator[Any]:
        yield echo

    app = create_app(Settings(server=Server(log_requests=setting)), running)
    with structlog.testing.capture_logs() as lines:
        async with (
            app.router.lifespan_context(app),
            httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://127.0.0.1") as client,
        ):
            yield client, lines


async def test_a_request_that_succeeds_is_not_logged_by_default(client: httpx.AsyncClient) -> None:
    with structlog.testing.capture_logs() as lines:
        assert (await client.get("/fhir/Patient/1")).status_code == 200
        assert (await client.get("/fhir/Patient/gone")).status_code == 404
    assert [line["status"] for line in lines] == [404]


@pytest.mark.parametrize(("setting", "logged"), [("off", []), ("errors", [404, 500]), ("all", [200, 404, 500])])
async def test_the_setting_says_which_requests_are_logged(echo: Any, setting: Setting, logged: list[int]) -> None:
    async with logging(echo, setting) as (client, lines):
        for one in ("1", "gone", "crash"):
            await client.get(f"/fhir/Patient/{one}")
    assert [line["status"] for line in lines if line["event"] == "request"] == logged
    # A fault of the server is told in any case.
    assert [line["error"] for line in lines if line["event"] == "edge_failed"] == ["RuntimeError"]


async def test_a_line_holds_shapes_and_no_values(echo: Any) -> None:
    async with logging(echo, "all") as (client, lines):
        await client.get("/fhir/Patient/smith-1970/_history/2?name=Smith", headers={"X-Request-Id": "r1"})
        await client.get("/fhir/Smith/1/$smith")
        await client.request("SMITH", "/fhir/Patient")
    assert "mith" not in str(lines)
    first = {name: lines[0][name] for name in ("interaction", "type", "route", "status", "request")}
    assert first == {
        "interaction": "vread",
        "type": "Patient",
        "route": "{type}/{id}/_history/{vid}",
        "status": 200,
        "request": "r1",
    }
    assert lines[1]["route"] == "{other}/{id}/${operation}"
    assert lines[2]["method"] == "other"
