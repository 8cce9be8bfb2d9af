"""A running service with its worker behind its HTTP edge, and the database that it works on."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
import pytest_asyncio
from pydantic import SecretStr
from pymongo.asynchronous.database import AsyncDatabase

from fhir_server.http.app import create_app
from fhir_server.main import working
from fhir_server.settings import Jobs, Mongo, Settings
from fhir_server.store.client import connect


@pytest.fixture(scope="module")
def own_settings(data_dir: Path, mongo_url: SecretStr) -> Settings:
    database = f"operations_{uuid4().hex[:8]}"
    return Settings(
        data_dir=data_dir, mongo=Mongo(database=database, cache_gb=0.25), jobs=Jobs(concurrency=1, reindex_share=1)
    )


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def client(own_settings: Settings) -> AsyncIterator[httpx.AsyncClient]:
    app = create_app(own_settings, working)
    headers = {"Content-Type": "application/fhir+json"}
    transport = httpx.ASGITransport(app=app)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(
            transport=transport, base_url="http://localhost/fhir/", headers=headers, timeout=60
        ) as client,
    ):
        yield client


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def record(
    own_settings: Settings, mongo_url: SecretStr, client: httpx.AsyncClient
) -> AsyncIterator[AsyncDatabase[dict[str, Any]]]:
    """The database below the service."""
    async with connect(mongo_url, own_settings) as mongo:
        yield mongo[own_settings.mongo.database]
