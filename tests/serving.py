"""Servers in the process of the tests: the application over a service, without a socket."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx

from fhir_server.http.app import create_app
from fhir_server.main import running
from fhir_server.settings import Mongo, Settings
from tests.conftest import dropped

BASE = "http://localhost/fhir/"

Of = Callable[[Settings], AbstractAsyncContextManager[Any]]
"""What makes the service: `running`, or with its worker `working`."""


def own(data_dir: Path, name: str, **settings: Any) -> Settings:
    """Return settings with a database that nobody else has."""
    mongo = Mongo(database=f"{name}_{uuid4().hex[:8]}", cache_gb=0.25)
    return Settings(data_dir=data_dir, mongo=mongo, **settings)


@asynccontextmanager
async def serving(settings: Settings, of: Of = running) -> AsyncIterator[httpx.AsyncClient]:
    """Yield a client of a server."""
    app = create_app(settings, of)
    headers = {"Content-Type": "application/fhir+json"}
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(
            transport=httpx.ASGITransport(app=app), base_url=BASE, headers=headers, timeout=300
        ) as client,
    ):
        yield client


@asynccontextmanager
async def alone(settings: Settings, of: Of = running) -> AsyncIterator[httpx.AsyncClient]:
    """Yield a client of a server whose database goes with it, for what files there are makes the next ones slower."""
    async with serving(settings, of) as client:
        yield client
    await dropped(settings.data_dir, settings.mongo.database)
