"""A server in the mode `smart`, with records of two patients, and whoever shows a token there."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx

from fhir_server.http.app import create_app
from fhir_server.main import Service, running
from fhir_server.settings import Audit, Auth, Mongo, Search, Server, Settings
from fhir_server.settings.bulk import Bulk
from smart_auth import opaque, tokens
from smart_auth.records import Client, ClientKind, Grant, LaunchContext, Link, User
from tests.conftest import dropped
from tests.serving import Of

Json = dict[str, Any]

CATEGORY = "http://terminology.hl7.org/CodeSystem/observation-category"
ORIGIN = "http://127.0.0.1:8080"
PEOPLE = ("ann", "bo")
STAFF = "u-doc"
ADMINISTRATOR = "u-adam"


@asynccontextmanager
async def opened(
    data_dir: Path, audit: Audit | None = None, *, of: Of = running, **more: Any
) -> "AsyncIterator[House]":
    """Yield a house without a record, on a database of its own.

    Args:
        data_dir: Where the database is.
        audit: Settings of the trail.
        of: What makes the service: `running`, or with its worker `working`.
        more: Further settings.
    """
    settings = Settings(
        data_dir=data_dir,
        auth=Auth(mode="smart"),
        server=Server(base_url=f"{ORIGIN}/fhir"),
        search=Search(explain="on"),
        audit=audit or Audit(),
        bulk=Bulk(exports=1000),  # that there are too many is no leak, but comes at no certain moment
        mongo=Mongo(database=f"access_{uuid4().hex[:8]}", cache_gb=0.25),
        **more,
    )
    async with of(settings) as service:

        @asynccontextmanager
        async def given(_: Settings) -> AsyncIterator[Any]:
            yield service

        app = create_app(settings, given)
        transport = httpx.ASGITransport(app, raise_app_exceptions=True)
        async with (
            app.router.lifespan_context(app),
            httpx.AsyncClient(transport=transport, base_url=ORIGIN, timeout=60) as client,
        ):
            house = House(client, service)
            await house.open()
            yield house
    await dropped(data_dir, settings.mongo.database)


@dataclass
class House:
    """The server and its people."""

    client: httpx.AsyncClient
    service: Service
    tokens: dict[tuple[str, str, str, str], str] = field(default_factory=dict)

    async def open(self) -> None:
        """Let the people in."""
        since = self.service.realm.clock() - timedelta(days=1)
        for patient in PEOPLE:
            await self.add_patient(f"u-{patient}", patient)
        await self.service.realm.store.add(User(STAFF, "doc", "Doc", "staff", since))
        await self.service.realm.store.add(User(ADMINISTRATOR, "adam", "Adam", "administrator", since))

    async def add_patient(self, user: str, *patients: str) -> None:
        """Let in who is the first patient and acts for the others."""
        since = self.service.realm.clock() - timedelta(days=1)
        links = tuple(Link(f"Patient/{patient}", patient) for patient in patients)
        await self.service.realm.store.add(User(user, user, user.title(), "patient", since, links=links))

    async def add_staff(self, user: str, *roles: str) -> None:
        """Let in a member of staff who holds these PractitionerRoles (ids)."""
        since = self.service.realm.clock() - timedelta(days=1)
        links = tuple(Link(f"PractitionerRole/{role}") for role in roles)
        await self.service.realm.store.add(User(user, user, user.title(), "staff", since, links=links))

    async def as_(self, scope: str, *, user: str = "", patient: str = "", role: str = "") -> "Caller":
        """Return the holder of a token; of the patient that is launched with, where no user is said.

        Args:
            scope: Scopes.
            user: Id of the user.
            patient: Patient of the launch.
            role: Id of the PractitionerRole that the user works in.
        """
        key = (scope, user, patient, role)
        if key not in self.tokens:
            self.tokens[key] = await self._token(scope, user or (f"u-{patient}" if patient else ""), patient, role)
        return Caller(self.client, self.tokens[key])

    async def registered(self, scope: str, **policy: Any) -> "Caller":
        """Return a backend service that is registered with a policy."""
        return Caller(self.client, await self._token(scope, "", "", **policy))

    async def _token(self, scope: str, user: str, patient: str, role: str = "", **policy: Any) -> str:
        realm = self.service.realm
        now = realm.clock()
        kind: ClientKind = "public" if user else "backend"
        client = Client(f"c-{uuid4().hex}", "App", kind, "none", now, scope=scope, **policy)
        await realm.store.add(client)
        until = now + timedelta(days=1)
        acting_as = f"PractitionerRole/{role}" if role else ""
        grant = Grant(
            opaque.new(), client.id, user, scope, "once", now, until, LaunchContext(patient), acting_as=acting_as
        )
        await realm.store.add(grant)
        # A house stands longer than the five minutes that a service's token lives.
        lasting = replace(realm, policy=replace(realm.policy, backend_life=realm.policy.access_life))
        return str((await tokens.issue(lasting, grant, client))["access_token"])


@dataclass(frozen=True)
class Caller:
    """The holder of a token."""

    client: httpx.AsyncClient
    token: str

    async def ask(
        self, method: str, path: str, body: Any = None, headers: Mapping[str, str] | None = None
    ) -> httpx.Response:
        """Return the answer to a request below the base."""
        media = "application/json-patch+json" if method == "PATCH" else "application/fhir+json"
        shown = {"Authorization": f"Bearer {self.token}", "Content-Type": media, **(headers or {})}
        url = path if path.startswith("http") else f"/fhir/{path}"
        return await self.client.request(method, url, json=body, headers=shown)

    async def get(self, path: str, **headers: str) -> httpx.Response:
        """Return the answer to a GET."""
        return await self.ask("GET", path, headers=headers)

    async def status(self, path: str) -> int:
        """Return the status of a GET."""
        return (await self.get(path)).status_code

    async def put(self, resource: Json, **headers: str) -> httpx.Response:
        """Return the answer to an update."""
        return await self.ask("PUT", f"{resource['resourceType']}/{resource['id']}", resource, headers)

    async def post(self, resource: Json, **headers: str) -> httpx.Response:
        """Return the answer to a create."""
        return await self.ask("POST", resource["resourceType"], resource, headers)

    async def found(self, search: str) -> list[str]:
        """Return everything on all pages of a search, as `Type/id`."""
        entries: list[str] = []
        url = search
        while url:
            answer = await self.get(url)
            assert answer.status_code == 200, (url, answer.text)
            bundle = answer.json()
            entries += [named(one["resource"]) for one in bundle.get("entry", [])]
            url = next((link["url"] for link in bundle["link"] if link["relation"] == "next"), "")
        return entries

    async def versions(self, path: str) -> list[str]:
        """Return what a history shows, as `Type/id/version`, and a dagger after deletions."""
        answer = await self.get(path)
        assert answer.status_code == 200, answer.text
        rows = answer.json().get("entry", [])
        return [
            "/".join((*one["fullUrl"].split("/")[-2:], one["response"]["etag"][3:-1]))
            + ("" if "resource" in one else "†")
            for one in rows
        ]


def named(resource: Json) -> str:
    """Return `Type/id`."""
    return f"{resource['resourceType']}/{resource.get('id', '')}"


def said(answer: httpx.Response) -> str:
    """Return the text of an OperationOutcome."""
    return " ".join(issue["details"]["text"] for issue in answer.json()["issue"])


def observation(name: str, patient: str, category: str = "laboratory", **more: Any) -> Json:
    """Return an observation of a patient."""
    return {
        "resourceType": "Observation",
        "id": name,
        "status": "final",
        "category": [{"coding": [{"system": CATEGORY, "code": category}]}],
        "code": {"coding": [{"system": "http://loinc.org", "code": "8867-4"}]},
        "subject": {"reference": f"Patient/{patient}"},
        **more,
    }


def assert_forbidden(answer: httpx.Response, scope: str) -> None:
    """Check a refusal for want of a scope: it says which one would do."""
    assert answer.status_code == 403, answer.text
    assert answer.json()["issue"][0]["code"] == "forbidden"
    challenge = answer.headers["www-authenticate"]
    assert challenge.startswith('Bearer error="insufficient_scope"')
    assert (f'scope="{scope}"' in challenge) if scope else ("scope=" not in challenge)
