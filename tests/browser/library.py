"""A whole server for a real browser: facilities with records, a code system, and who signs in to look after it."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import uvicorn

from fhir_server.http.app import create_app
from fhir_server.main import Service, running
from fhir_server.settings import Auth, Mongo, Server, Settings
from smart_auth.records import Link, User
from tests.access.house import House
from tests.access.network import Json, organization, patient, put, role
from tests.conftest import dropped
from tests.smart_auth.house import HASH

SYSTEM = "https://clinic.example/fhir/CodeSystem/illnesses"
CHOICE = "https://clinic.example/fhir/ValueSet/sugar"


@dataclass(frozen=True, slots=True)
class Library:
    """What the tests walk through.

    Attributes:
        site: Origin of the server.
        service: The server.
    """

    site: str
    service: Service

    @property
    def page(self) -> str:
        """URL of the terminology page."""
        return f"{self.site}/admin/terminology"


@asynccontextmanager
async def opened(data_dir: Path) -> AsyncIterator[Library]:
    """A library that lives as long as the context."""
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    site = f"http://127.0.0.1:{listener.getsockname()[1]}"
    settings = Settings(
        data_dir=data_dir,
        auth=Auth(mode="smart", staff_second_factor=False, name="St Mary's Hospital"),
        server=Server(base_url=f"{site}/fhir"),
        mongo=Mongo(database=f"library_{uuid4().hex[:8]}", cache_gb=0.25),
    )
    async with running(settings) as service:

        @asynccontextmanager
        async def given(_: Settings) -> AsyncIterator[Any]:
            yield service

        await _settle(service)
        app = create_app(settings, given)
        server = uvicorn.Server(uvicorn.Config(app, log_config=None, access_log=False))
        task = asyncio.create_task(server.serve([listener]))
        try:
            yield Library(site, service)
        finally:
            server.should_exit = True
            await task
    await dropped(data_dir, settings.mongo.database)


async def _settle(service: Service) -> None:
    """Let people, records and terminology in."""
    house = House(httpx.AsyncClient(), service)
    since = service.realm.clock() - timedelta(days=1)
    doctor = (Link("PractitionerRole/doctor"),)
    for user in (
        User("u-adam", "adam", "Adam Admin", "administrator", since, HASH),
        User("u-doc", "doc", "Dora Doctor", "staff", since, HASH, links=doctor),
    ):
        await service.realm.store.add(user)
    for one in (
        organization("harbour", "root", "facility") | {"name": "Harbour Clinic"},
        organization("hill", "root", "facility") | {"name": "Hill Hospital"},
        role("doctor", "harbour", "doctor"),
        illnesses(),
        sugar(),
    ):
        await put(house, "root", one)
    for keeper, number in (("harbour", 23), ("hill", 7)):
        await put(house, keeper, patient(f"{keeper}-p"))
        for count in range(number):
            await put(house, keeper, condition(f"{keeper}-{count}", f"{keeper}-p", "E11" if count % 3 else "E11.2"))
    await put(house, "hill", condition("rare", "hill-p", "E10"))
    await house.client.aclose()


def illnesses() -> Json:
    """Return a code system of three levels."""
    kidney = concept("E11.2", "Type 2 diabetes with kidney complications", definition="Kidneys that suffer from it.")
    eye = concept("E11.3", "Type 2 diabetes with eye complications")
    feet = concept("E11.5", "Type 2 diabetes with circulatory complications")
    german = [{"language": "de", "value": "Diabetes mellitus, Typ 2"}, {"language": "hi", "value": "मधुमेह प्रकार 2"}]
    second = concept("E11", "Type 2 diabetes mellitus", kidney, eye, feet, designation=german)
    second["definition"] = "Insulin is there and does not work as it should; begins mostly in adults."
    first = concept("E10", "Type 1 diabetes mellitus", concept("E10.9", "Type 1 diabetes without complications"))
    metabolic = concept("E08-E13", "Diabetes mellitus", first, second)
    retired = concept("E14", "Unspecified diabetes mellitus")
    retired["property"] = [{"code": "inactive", "valueBoolean": True}]
    hearts = concept("I20-I25", "Ischaemic heart diseases", concept("I21", "Acute myocardial infarction"))
    return {
        "resourceType": "CodeSystem",
        "id": "illnesses",
        "url": SYSTEM,
        "version": "2026",
        "name": "Illnesses",
        "title": "Illnesses of our clinics",
        "status": "active",
        "content": "complete",
        "caseSensitive": True,
        "hierarchyMeaning": "is-a",
        "description": "What our clinics diagnose, in groups as ICD-10 has them.",
        "property": [{"code": "inactive", "uri": "http://hl7.org/fhir/concept-properties#inactive", "type": "boolean"}],
        "concept": [metabolic, retired, hearts],
    }


def concept(code: str, display: str, *below: Json, **more: Any) -> Json:
    return {"code": code, "display": display, **({"concept": [*below]} if below else {}), **more}


def sugar() -> Json:
    """Return a value set of a part of it."""
    below = {"property": "concept", "op": "is-a", "value": "E08-E13"}
    return {
        "resourceType": "ValueSet",
        "id": "sugar",
        "url": CHOICE,
        "version": "1",
        "name": "Sugar",
        "title": "Diabetes, to choose from",
        "status": "active",
        "compose": {"include": [{"system": SYSTEM, "filter": [below]}]},
    }


def condition(name: str, of: str, code: str) -> Json:
    return {
        "resourceType": "Condition",
        "id": name,
        "subject": {"reference": f"Patient/{of}"},
        "code": {"coding": [{"system": SYSTEM, "code": code}]},
    }
