"""A whole site for a real browser: the authorization server on a port, an app on another one, people and records behind them."""

import asyncio
import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any, ClassVar
from urllib.parse import urlencode

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from fhir_server.http.auth.site import routes
from profiles.definitions.registry import load
from smart_auth.realm import Policy
from smart_auth.records import Client, Link, User
from smart_auth.store import Chart
from tests.smart_auth.clock import START
from tests.smart_auth.house import HASH, Hospital, House

TOTP = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"


class Clinic(Hospital):
    """A hospital with names as long as names are."""

    patients_here = ("ann", "bo", "cy")
    names: ClassVar = {
        "ann": Chart("ann", "Ann Margaret Lee", "1980-02-28"),
        "bo": Chart("bo", "Bo Lee", "2016-07-01"),
        "cy": Chart("cy", "Cyril Featherstonehaugh-Wolfeschlegelsteinhausenbergerdorff", "1949-11-30"),
    }

    async def patients(self, user: User, acting_as: str, words: str) -> Sequence[Chart]:
        if user.kind != "patient" and not words:
            return []
        found = [self.names[one.id] for one in await super().patients(user, acting_as, "")]
        return [one for one in found if words.lower() in one.title.lower()]

    async def patient(self, user: User, acting_as: str, patient: str) -> Chart | None:
        return self.names.get(patient)

    async def may_open(self, user: User, acting_as: str, patient: str) -> bool:
        return patient in self.names

    async def encounters(self, user: User, acting_as: str, patient: str) -> Sequence[Chart]:
        return [
            Chart(f"{patient}-e1", "Follow-up after operation", "2026-11-20"),
            Chart(f"{patient}-e2", "Emergency", "2026-10-02"),
        ]

    async def roles(self, user: User) -> Sequence[Chart]:
        return [
            Chart("PractitionerRole/a", "Ward physician", "St Mary's Hospital, Internal Medicine"),
            Chart("PractitionerRole/b", "On-call physician", "Harbour Clinic"),
        ]


@dataclass(frozen=True, slots=True)
class Town:
    """What the tests walk through.

    Attributes:
        house: The authorization server.
        site: Its origin.
        app: Origin of the app.
    """

    house: House
    site: str
    app: str

    def asking(self, **more: str) -> str:
        """Return the URL with which an app opens the authorization endpoint."""
        redirect = {"redirect_uri": f"{self.app}/callback", "aud": f"{self.site}/fhir"}
        query = urlencode(self.house.asking(**(redirect | more)).parameters)
        return f"{self.site}/auth/authorize?{query}"


@asynccontextmanager
async def built() -> AsyncIterator[Town]:
    """A town that lives as long as the context."""
    listeners = [_listener() for _ in range(2)]
    site, app = (f"http://127.0.0.1:{listener.getsockname()[1]}" for listener in listeners)
    house = await House.built(Policy(f"{site}/auth", f"{site}/fhir", name="St Mary's Hospital", registration="open"))
    house.realm = replace(house.realm, directory=Clinic(), types=load().resource_types)
    await _settle(house, app)

    async def page(request: Request) -> Response:
        if request.url.path == "/hop":
            return RedirectResponse(f"{app.replace('127.0.0.1', 'localhost')}/callback?{request.url.query}", 302)
        return HTMLResponse(f"<!doctype html><html lang=en><title>App</title><h1>App</h1><p>{request.url.query}</p>")

    server = Starlette(routes=routes(lambda: house.realm))
    client = Starlette(routes=[Route("/{path:path}", page)])
    async with _served(server, listeners[0]), _served(client, listeners[1]):
        yield Town(house, site, app)


async def _settle(house: House, app: str) -> None:
    """Let the apps live on the app's port, and more people move in."""
    for client_id, name in (("public", "Growth Charts"), ("secret", "Secret App")):
        client = await house.store.get(Client, client_id)
        assert client
        settled = replace(
            client,
            name=name,
            redirect_uris=(f"{app}/callback", f"{app}/hop"),
            launch_uris=(f"{app}/launch",),
            uri=f"{app}/",
            policy_uri=f"{app}/privacy",
            tos_uri=f"{app}/terms",
            verified=True,
        )
        assert await house.store.swap(client, settled)
    stranger = Client(
        "stranger", "My Health Pal", "public", "none", START, redirect_uris=(f"{app}/callback",), management="x" * 64
    )
    nurse = User(
        "u-nurse", "nurse", "Nora Nightingale", "staff", START, HASH, totp=TOTP, links=(Link("Practitioner/n"),)
    )
    roles = (Link("PractitionerRole/a"), Link("PractitionerRole/b"))
    both = User("u-both", "both", "Dr Both", "staff", START, HASH, totp=TOTP, links=roles)
    more: tuple[Any, ...] = (stranger, nurse, both)
    for record in more:
        assert await house.store.add(record)


def _listener() -> socket.socket:
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    return listener


@asynccontextmanager
async def _served(app: ASGIApp, listener: socket.socket) -> AsyncIterator[None]:
    server = uvicorn.Server(uvicorn.Config(app, lifespan="off", log_config=None, access_log=False))
    task = asyncio.create_task(server.serve([listener]))
    try:
        yield
    finally:
        server.should_exit = True
        await task
