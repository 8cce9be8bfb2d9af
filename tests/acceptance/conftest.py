"""Whole bodies of real and official records against a server of their own."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import httpx
import pytest
from pydantic import SecretStr

from fhir_server.settings import Record
from tests.serving import alone, own

Served = Callable[[Record], AbstractAsyncContextManager[httpx.AsyncClient]]


@pytest.fixture
def served(data_dir: Path, mongo_url: SecretStr) -> Served:
    """Return a maker of servers on an empty database, which goes with them."""

    @asynccontextmanager
    async def serve(record: Record) -> AsyncIterator[httpx.AsyncClient]:
        async with alone(own(data_dir, "acceptance", record=record)) as client:
            client.headers["Accept"] = "application/fhir+json"
            yield client

    return serve
