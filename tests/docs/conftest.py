"""A real `fhir-server serve` on a database with the first patients of the demo country."""

import os
import signal
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path
from uuid import uuid4

import httpx
import pytest
import pytest_asyncio
from pydantic import SecretStr

from fhir_server.cli import demo_accounts
from fhir_server.cli.posting import Poster
from fhir_server.demo import country
from fhir_server.main import running
from fhir_server.settings import Auth, Mongo, Server, Settings
from smart_auth import shell
from tests.processes import Ended, Nursery
from tests.smart_auth.house import QUICK

PATIENTS = 14
"""Shipments of patients, enough for those that the pages name."""

FHIR_SERVER = (sys.executable, "-c", "from fhir_server.cli import app; app()")
Command = Callable[[list[str]], Ended]


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def documented(data_dir: Path, mongo_url: SecretStr) -> Settings:
    """Settings of a database with the ground of the demo country and its first patients."""
    mongo = Mongo(database=f"docs_{uuid4().hex[:8]}", cache_gb=0.25)
    settings = Settings(data_dir=data_dir, mongo=mongo, auth=Auth(mode="smart"))
    async with running(settings) as service:
        poster = Poster(service)
        for shipment in (*country.ground(), *islice(country.patients(), PATIENTS)):
            response = await poster.post(shipment.bundle, shipment.facility)
            assert response.status == 200, response.resource
    return settings


@pytest.fixture(scope="session")
def environment(documented: Settings) -> dict[str, str]:
    """Variables of a shell in which the server and the commands work on that database."""
    return {
        **os.environ,
        "FHIR_DATA_DIR": str(documented.data_dir),
        "FHIR_MONGO__DATABASE": documented.mongo.database,
        "FHIR_MONGO__CACHE_GB": "0.25",
        "FHIR_AUTH__MODE": "smart",
        "COLUMNS": "200",
        "NO_COLOR": "1",
    }


@pytest.fixture(scope="session")
def command(environment: dict[str, str], nursery: Nursery) -> Command:
    """Return a function that runs `fhir-server` with arguments."""
    return lambda arguments: nursery.run(*arguments, environment=environment)


@pytest.fixture(scope="session")
def server(environment: dict[str, str], nursery: Nursery) -> Iterator[str]:
    """Address of the running server, such as `127.0.0.1:34567`."""
    with nursery.serving(environment=environment) as (process, said):
        yield said["url"].removeprefix("http://")
        process.send(signal.SIGTERM)
        process.wait(30)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def passwords(documented: Settings, server: str) -> dict[str, str]:
    """The passwords that `make run` prints, by login; with them the apps are registered, at the address of the server."""
    here = documented.model_copy(update={"server": Server(base_url=f"http://{server}/fhir")})
    async with running(here) as service:
        told = await demo_accounts.made(replace(service, realm=replace(service.realm, passwords=QUICK)))
    return {one.login: one.password for one in told.people}


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def token(documented: Settings) -> str:
    """What `fhir-server token` prints; the pages have their readers give it to curl once (docs/run.md)."""
    async with running(documented) as service:
        return str((await shell.token(service.realm, "system/*.cruds"))["access_token"])


@pytest.fixture(scope="session")
def client(server: str, token: str) -> Iterator[httpx.Client]:
    """A client that adds nothing of its own to a request but the token."""
    with httpx.Client(timeout=30) as client:
        client.headers.clear()
        client.headers["Authorization"] = f"Bearer {token}"
        yield client
