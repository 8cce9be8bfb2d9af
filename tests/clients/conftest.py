"""Clients that others have written, before a real `fhir-server serve --auth smart` with people and records."""

import os
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import pytest_asyncio
from playwright.async_api import Browser
from pydantic import SecretStr

from fhir_server.main import Service, running
from fhir_server.settings import Auth, Mongo, Server, Settings
from smart_auth import accounts, administration
from smart_auth.administration import Registration
from smart_auth.records import Link
from tests.clients.host import hosted
from tests.clients.person import PASSWORD, Person
from tests.npm import installed
from tests.processes import Nursery

REGISTRATION_TOKEN = "for developers of apps"


@dataclass(frozen=True, slots=True)
class Clinic:
    """A server, and those who administer it.

    Attributes:
        url: Origin of the server.
        service: The same record and authorization server in this process, for administration.
        app: Origin of the app `growth`, which is another one.
    """

    url: str
    service: Service
    app: str

    @property
    def base(self) -> str:
        """The FHIR base."""
        return f"{self.url}/fhir"

    async def register(self, wanted: Registration) -> str:
        """Register a client and return its secret, empty where it has none."""
        return (await administration.add_client(self.service.realm, wanted))[1]


@dataclass(frozen=True, slots=True)
class Process:
    """A server in a process of its own.

    Attributes:
        url: Its origin.
        database: Name of its database.
    """

    url: str
    database: str


@pytest.fixture(scope="session")
def process(
    data_dir: Path, mongo_url: SecretStr, nursery: Nursery, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Process]:
    """`fhir-server serve --auth smart` with a database of its own."""
    database = f"clients_{uuid4().hex[:12]}"
    log = tmp_path_factory.mktemp("clinic") / "stderr.log"
    environment = {
        "FHIR_DATA_DIR": str(data_dir),
        "FHIR_MONGO__DATABASE": database,
        "FHIR_MONGO__CACHE_GB": "0.25",
        "FHIR_AUTH__REGISTRATION": "token",
        "FHIR_AUTH__REGISTRATION_TOKEN": REGISTRATION_TOKEN,
    }
    with (
        log.open("wb") as errors,
        nursery.serving("--auth", "smart", environment=os.environ | environment, stderr=errors) as (server, said),
    ):
        yield Process(said["url"], database)
        server.send(signal.SIGTERM)
        assert server.wait(30) == 0, log.read_text()[-4000:]
    assert "Traceback" not in log.read_text(), log.read_text()[-8000:]


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def clinic(data_dir: Path, process: Process, app_origin: str) -> AsyncIterator[Clinic]:
    """The server with two patients of one name, a doctor, and an app."""
    settings = Settings(
        data_dir=data_dir,
        auth=Auth(mode="smart"),
        server=Server(base_url=f"{process.url}/fhir"),
        mongo=Mongo(database=process.database, cache_gb=0.25),
    )
    async with running(settings) as service:
        clinic = Clinic(process.url, service, app_origin)
        await _settle(clinic)
        yield clinic


@pytest.fixture(scope="session")
def packages() -> Path:
    """The folder with the packages of npm."""
    return installed(Path(__file__).parent)


@pytest.fixture(scope="session")
def app_origin(packages: Path) -> Iterator[str]:
    """Origin of the app that is written with the SMART JS client."""
    with hosted(packages) as origin:
        yield origin


Meet = Callable[..., Awaitable[Person]]


@pytest_asyncio.fixture(loop_scope="session")
async def meet(clinic: Clinic, chromium: Browser, tmp_path: Path) -> AsyncIterator[Meet]:
    """Return a function that lets a person in, who is somebody in the record, and gives them a browser."""
    met: list[Person] = []

    async def meet(login: str, reference: str) -> Person:
        kind: Any = "patient" if reference.startswith("Patient/") else "staff"
        wanted = accounts.NewUser(login, login.title(), kind, (Link(reference),), password=PASSWORD)
        await accounts.add(clinic.service.realm, wanted)
        met.append(await Person.before(chromium, login, tmp_path, is_staff=kind == "staff"))
        return met[-1]

    yield meet
    for person in met:
        await person.leave()


async def _settle(clinic: Clinic) -> None:
    repository = clinic.service.repository
    resources: list[dict[str, Any]] = [
        {"resourceType": "Practitioner", "id": "grey", "name": [{"family": "Grey", "given": ["Meredith"]}]},
        _patient("ann", "Ann", "1980-02-28"),
        _patient("bo", "Bo", "2016-07-01"),
        *(_weight(f"ann-{number}", "ann", 60 + number) for number in range(3)),
        _weight("bo-0", "bo", 20),
        {
            "resourceType": "Encounter",
            "id": "ann-visit",
            "status": "in-progress",
            "class": {"code": "AMB"},
            "subject": {"reference": "Patient/ann"},
        },
    ]
    for one in resources:
        await repository.update(one["resourceType"], one["id"], one)
    app = clinic.app
    growth = Registration("public", "Growth Charts", (f"{app}/index.html",), (f"{app}/launch.html",), id="growth")
    await clinic.register(growth)


def _patient(id: str, given: str, born: str) -> dict[str, Any]:  # noqa: A002 - the element's name
    name = {"family": "Lee", "given": [given]}
    return {"resourceType": "Patient", "id": id, "name": [name], "birthDate": born}


def _weight(id: str, patient: str, kilograms: int) -> dict[str, Any]:  # noqa: A002 - the element's name
    return {
        "resourceType": "Observation",
        "id": id,
        "status": "final",
        "category": [
            {
                "coding": [
                    {"system": "http://terminology.hl7.org/CodeSystem/observation-category", "code": "vital-signs"}
                ]
            }
        ],
        "code": {"coding": [{"system": "http://loinc.org", "code": "29463-7"}], "text": "Weight"},
        "subject": {"reference": f"Patient/{patient}"},
        "effectiveDateTime": "2026-10-01",
        "valueQuantity": {"value": kilograms, "unit": "kg", "system": "http://unitsofmeasure.org", "code": "kg"},
    }
