"""Whose word is taken for where a request comes from: that of the proxies that an operator has named, and of nobody else."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from ipaddress import ip_network

import httpx
import pytest
from pydantic import ValidationError
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.types import Receive, Scope, Send

from fhir_server.http import serving
from fhir_server.settings import Server, Settings

FORGED = {"X-Forwarded-For": "192.0.2.66, 198.51.100.7", "X-Forwarded-Proto": "https"}


async def who(scope: Scope, receive: Receive, send: Send) -> None:
    """An application that says from where and by which scheme it was asked."""
    if scope["type"] == "lifespan":
        for message in ("lifespan.startup.complete", "lifespan.shutdown.complete"):
            await receive()
            await send({"type": message})
        return
    request = Request(scope)
    assert request.client
    await PlainTextResponse(f"{request.client.host} {request.url.scheme}")(scope, receive, send)


@asynccontextmanager
async def behind(proxies: Sequence[str]) -> AsyncIterator[str]:
    listener = serving.listen(Settings(server=Server(port=0)))
    started = asyncio.Event()
    server = serving.AnnouncingServer(serving.config(who, proxies=proxies), started.set)
    task = asyncio.create_task(server.serve([listener]))
    await started.wait()
    yield f"http://127.0.0.1:{listener.getsockname()[1]}/"
    server.should_exit = True
    await task


@pytest.mark.parametrize(
    ("proxies", "headers", "said"),
    [
        ((), FORGED, "127.0.0.1 http"),
        (("203.0.113.0/24",), FORGED, "127.0.0.1 http"),
        (("127.0.0.0/8",), FORGED, "198.51.100.7 https"),
        (("127.0.0.0/8", "198.51.100.7/32"), FORGED, "192.0.2.66 https"),
        (("127.0.0.0/8",), {}, "127.0.0.1 http"),
        (("127.0.0.0/8",), {"X-Forwarded-For": ""}, "127.0.0.1 http"),
    ],
)
async def test_brute_force_behind_made_up_addresses_fails_for_only_proxies_are_believed(
    proxies: Sequence[str], headers: dict[str, str], said: str
) -> None:
    async with behind(proxies) as url, httpx.AsyncClient() as client:
        assert (await client.get(url, headers=headers)).text == said


def test_proxies_are_addresses_or_networks() -> None:
    assert Server.model_validate({"proxies": ["10.0.0.5", "fd00::/8"]}).proxies == (
        ip_network("10.0.0.5/32"),
        ip_network("fd00::/8"),
    )
    with pytest.raises(ValidationError):
        Server.model_validate({"proxies": ["*"]})
