"""A running service on a database that the tests of one module share."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from pydantic import SecretStr

from fhir_server.main import Service, running
from fhir_server.settings import Audit, Settings
from tests.conftest import dropped
from tests.serving import own


@pytest.fixture(scope="module")
def own_settings(data_dir: Path, mongo_url: SecretStr) -> Settings:
    return own(data_dir, "guides", audit=Audit(mode="on"))


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def service(own_settings: Settings) -> AsyncIterator[Service]:
    async with running(own_settings) as service:
        yield service
    await dropped(own_settings.data_dir, own_settings.mongo.database)
