"""A running service with its worker, and a subscriber on loopback."""

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
import pytest_asyncio
from pydantic import SecretStr

from fhir_server.main import working
from fhir_server.settings import Jobs, Settings
from fhir_server.settings.outbound import Outbound
from tests.notifications.subscriber import Subscriber, listening
from tests.serving import alone, own


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def subscriber() -> AsyncIterator[Subscriber]:
    async with listening() as found:
        yield found


@pytest.fixture(scope="module")
def own_settings(data_dir: Path, mongo_url: SecretStr) -> Settings:
    outbound = Outbound(allowed=("127.0.0.1/32",))
    return own(data_dir, "subscriptions", jobs=Jobs(concurrency=1), outbound=outbound)


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def client(own_settings: Settings) -> AsyncIterator[httpx.AsyncClient]:
    async with alone(own_settings, working) as client:
        yield client
