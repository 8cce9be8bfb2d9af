"""A running service with its worker behind its HTTP edge, and the database that it works on."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio
from pydantic import SecretStr
from pymongo.asynchronous.database import AsyncDatabase

from fhir_server.main import working
from fhir_server.settings import Jobs, Settings
from fhir_server.store.client import connect
from tests.serving import alone, own


@pytest.fixture(scope="module")
def own_settings(data_dir: Path, mongo_url: SecretStr) -> Settings:
    return own(data_dir, "operations", jobs=Jobs(concurrency=1, reindex_share=1))


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def client(own_settings: Settings) -> AsyncIterator[httpx.AsyncClient]:
    async with alone(own_settings, working) as client:
        yield client


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def record(
    own_settings: Settings, mongo_url: SecretStr, client: httpx.AsyncClient
) -> AsyncIterator[AsyncDatabase[dict[str, Any]]]:
    """The database below the service."""
    async with connect(mongo_url, own_settings) as mongo:
        yield mongo[own_settings.mongo.database]
