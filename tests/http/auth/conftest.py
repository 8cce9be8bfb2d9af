"""A browser and an app before the authorization server."""

from collections.abc import AsyncIterator

import httpx
import pytest_asyncio
from starlette.applications import Starlette

from fhir_server.http.auth.site import routes
from smart_auth.realm import Policy
from tests.smart_auth.house import BASE, ISSUER, House

ORIGIN = "https://a.example"


def browser(house: House) -> httpx.AsyncClient:
    """Return a browser: it keeps cookies, and follows no redirect by itself."""
    app = Starlette(routes=routes(lambda: house.realm))
    transport = httpx.ASGITransport(app, client=("192.0.2.1", 50000))
    return httpx.AsyncClient(transport=transport, base_url=ORIGIN)


@pytest_asyncio.fixture(loop_scope="session")
async def house() -> House:
    return await House.built(Policy(ISSUER, BASE, registration="open", staff_second_factor=False))


@pytest_asyncio.fixture(loop_scope="session")
async def client(house: House) -> AsyncIterator[httpx.AsyncClient]:
    async with browser(house) as client:
        yield client
