"""The edge over a small service that answers with what it was asked, in process and over TCP."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
import pytest_asyncio
from pydantic import SecretStr
from pymongo import MongoClient

from fhir_server.http import serving
from fhir_server.http.app import Application, create_app
from fhir_server.http.curators import Curators
from fhir_server.model import json
from fhir_server.model.channel import Feed
from fhir_server.model.errors import NotFound, Unavailable
from fhir_server.model.outcome import refusal
from fhir_server.model.request import FhirRequest, FhirResponse
from fhir_server.settings import Server, Settings
from profiles.definitions.registry import load
from smart_auth.realm import Realm
from tests.processes import Nursery

ORIGIN = "http://127.0.0.1"


DEFINITIONS = load()


class Echo:
    """Answers with the request itself; a few ids make it answer otherwise."""

    def __init__(self) -> None:
        self.definitions = DEFINITIONS
        self.is_up = True

    @property
    def realm(self) -> Realm:
        raise NotImplementedError

    @property
    def curators(self) -> Curators:
        raise NotImplementedError

    @property
    def feed(self) -> Feed:
        raise NotImplementedError

    spooled = 0

    async def receive(self, request: FhirRequest) -> FhirResponse:
        match request.path:
            case ("Patient", "crash"):
                raise RuntimeError("Mrs Smith")
            case ("Patient", "gone"):
                return refusal(NotFound("Patient/gone is not there."))
            case ("Patient", "large"):
                return FhirResponse(200, {"ETag": 'W/"3"'}, json.encode({"text": "word " * 2000}))
            case ("Patient", "same"):
                return FhirResponse(304, {"ETag": 'W/"3"'})
            case ("Patient", "slow"):
                await asyncio.sleep(0.3)
            case ("Patient", "void"):
                return FhirResponse(204)
            case ("Binary", "page"):
                data = {"resourceType": "Binary", "contentType": "text/html", "data": "PGI+aGk8L2I+"}
                context = {"securityContext": {"reference": "Patient/1"}}
                return FhirResponse(200, {"ETag": 'W/"1"'}, json.encode(data | context))
        return FhirResponse(200, {"ETag": 'W/"1"'}, json.encode(_seen(request)))

    async def ready(self) -> None:
        if not self.is_up:
            raise Unavailable("The database is away.")

    async def policy(self, request: FhirRequest) -> dict[str, Any]:
        return {"hash": "0" * 16, "seen": request.headers.get("authorization", "")}

    def openapi(self, base: str) -> dict[str, Any]:
        return {"openapi": "3.1.0", "servers": [{"url": base}]}

    async def audit_keys(self) -> dict[str, Any]:
        return {"keys": []}


def _seen(request: FhirRequest) -> dict[str, Any]:
    return {
        "method": request.method,
        "path": list(request.path),
        "base": request.base,
        "query": [list(pair) for pair in request.query],
        "headers": dict(request.headers),
        "body": request.body.decode("latin-1"),
        "resource": request.resource,
        "id": request.id,
    }


@pytest.fixture
def echo() -> Echo:
    return Echo()


@pytest.fixture
def plain_settings() -> Settings:
    return Settings(server=Server(max_body=200_000))


@pytest.fixture
def app(echo: Echo, plain_settings: Settings) -> Application:
    @asynccontextmanager
    async def running(_: Settings) -> AsyncIterator[Echo]:
        yield echo

    return create_app(plain_settings, running)


@pytest_asyncio.fixture
async def client(app: Application) -> AsyncIterator[httpx.AsyncClient]:
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=httpx.ASGITransport(app, raise_app_exceptions=True), base_url=ORIGIN) as client,
    ):
        yield client


@pytest_asyncio.fixture
async def port(app: Application, plain_settings: Settings) -> AsyncIterator[int]:
    """The port of a real uvicorn in front of the same application."""
    listener = serving.listen(plain_settings.model_copy(update={"server": Server(port=0)}))
    started = asyncio.Event()
    server = serving.AnnouncingServer(serving.config(app), started.set)
    task = asyncio.create_task(server.serve([listener]))
    await started.wait()
    yield listener.getsockname()[1]
    server.should_exit = True
    await task


@dataclass(frozen=True, slots=True)
class Served:
    """A whole server in a process of its own.

    Attributes:
        url: Where it listens.
        log: What it wrote to standard error.
    """

    url: str
    log: Path


@pytest.fixture(scope="module")
def served(
    data_dir: Path, mongo_url: SecretStr, nursery: Nursery, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Served]:
    """`fhir-server serve` on the shared mongod, with a database of its own."""
    log = tmp_path_factory.mktemp("served") / "stderr.log"
    database = f"test_{uuid4().hex[:16]}"
    settings = {"FHIR_DATA_DIR": str(data_dir), "FHIR_MONGO__DATABASE": database, "FHIR_MONGO__CACHE_GB": "0.25"}
    with (
        log.open("wb") as errors,
        nursery.serving(environment=os.environ | settings, stderr=errors) as (process, said),
    ):
        yield Served(said["url"], log)
        process.send(signal.SIGTERM)
        assert process.wait(30) == 0, log.read_text()[-4000:]
    with MongoClient[dict[str, Any]](mongo_url.get_secret_value()) as client:
        client.drop_database(database)
        client.drop_database(f"{database}_audit")
