"""A running service on a database that the tests of one module share."""

from collections.abc import AsyncIterator
from pathlib import Path
from uuid import uuid4

import pytest
import pytest_asyncio
from pydantic import SecretStr

from fhir_server.main import Service, running
from fhir_server.settings import Audit, Mongo, Settings


@pytest.fixture(scope="module")
def own_settings(data_dir: Path, mongo_url: SecretStr) -> Settings:
    database = f"guides_{uuid4().hex[:8]}"
    return Settings(data_dir=data_dir, mongo=Mongo(database=database, cache_gb=0.25), audit=Audit(mode="on"))


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def service(own_settings: Settings) -> AsyncIterator[Service]:
    async with running(own_settings) as service:
        yield service
