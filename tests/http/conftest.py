"""The edge over a small service that answers with what it was asked, in process and over TCP."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
import pytest_asyncio

from fhir_server.http import serving
from fhir_server.http.app import Application, create_app
from fhir_server.model import json
from fhir_server.model.errors import NotFound, Unavailable
from fhir_server.model.outcome import refusal
from fhir_server.model.request import FhirRequest, FhirResponse
from fhir_server.settings import Server, Settings

ORIGIN = "http://127.0.0.1"


@dataclass(frozen=True, slots=True)
class Types:
    """Two types are enough to tell a type from something else."""

    resource_types: frozenset[str] = frozenset({"Patient", "Binary"})


class Echo:
    """Answers with the request itself; a few ids make it answer otherwise."""

    def __init__(self) -> None:
        self.definitions = Types()
        self.is_up = True

    async def dispatch(self, request: FhirRequest) -> FhirResponse:
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

    def openapi(self, base: str) -> dict[str, Any]:
        return {"openapi": "3.1.0", "servers": [{"url": base}]}


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
