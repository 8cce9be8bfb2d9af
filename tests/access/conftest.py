"""One house with its record for the session; tests that write keep apart by their own ids."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
import pytest_asyncio
from pydantic import SecretStr

from fhir_server.http.app import create_app
from fhir_server.main import running
from fhir_server.settings import Auth, Mongo, Search, Server, Settings
from tests.access import record
from tests.access.house import House

ORIGIN = "http://127.0.0.1:8080"


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def house(data_dir: Path, mongo_url: SecretStr) -> AsyncIterator[House]:
    settings = Settings(
        data_dir=data_dir,
        auth=Auth(mode="smart"),
        server=Server(base_url=f"{ORIGIN}/fhir"),
        search=Search(explain="on"),
        mongo=Mongo(database=f"access_{uuid4().hex[:8]}", cache_gb=0.25),
    )
    async with running(settings) as service:

        @asynccontextmanager
        async def given(_: Settings) -> AsyncIterator[Any]:
            yield service

        app = create_app(settings, given)
        transport = httpx.ASGITransport(app, raise_app_exceptions=True)
        async with (
            app.router.lifespan_context(app),
            httpx.AsyncClient(transport=transport, base_url=ORIGIN, timeout=60) as client,
        ):
            house = House(client, service)
            await house.open()
            for one in record.everything():
                await service.repository.update(one["resourceType"], one["id"], one)
            yield house


@pytest.fixture
def fresh() -> Callable[[str], str]:
    """Return a maker of ids that nobody else uses."""

    def make(prefix: str) -> str:
        return f"{prefix}-{uuid4().hex[:12]}"

    return make
