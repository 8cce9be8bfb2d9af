"""Whole bodies of real and official records against a server of their own."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from uuid import uuid4

import httpx
import pytest
from pydantic import SecretStr
from pymongo import AsyncMongoClient

from fhir_server.http.app import create_app
from fhir_server.main import running
from fhir_server.settings import Mongo, Record, Settings

Served = Callable[[Record], AbstractAsyncContextManager[httpx.AsyncClient]]


@pytest.fixture
def served(data_dir: Path, mongo_url: SecretStr) -> Served:
    """Return a maker of servers on an empty database, which goes with them."""

    @asynccontextmanager
    async def serve(record: Record) -> AsyncIterator[httpx.AsyncClient]:
        database = f"acceptance_{uuid4().hex[:8]}"
        settings = Settings(data_dir=data_dir, mongo=Mongo(database=database, cache_gb=0.25), record=record)
        app = create_app(settings, running)
        headers = {"Content-Type": "application/fhir+json", "Accept": "application/fhir+json"}
        async with (
            AsyncMongoClient[dict[str, object]](mongo_url.get_secret_value()) as mongo,
            app.router.lifespan_context(app),
            httpx.AsyncClient(
                transport=httpx.ASGITransport(app=app), base_url="http://localhost/fhir/", headers=headers, timeout=300
            ) as client,
        ):
            try:
                yield client
            finally:
                await mongo.drop_database(database)
                await mongo.drop_database(f"{database}_audit")

    return serve
