"""The web application: FHIR URLs go to the edge, everything else is an ordinary FastAPI route.

FastAPI carries lifespan, health, metrics and documentation pages. FHIR URLs leave it in `__call__`, before its middleware
and router: that costs 2 µs where a FastAPI route costs 120.
"""

import os
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

from fastapi import FastAPI, Request, Response
from starlette.exceptions import HTTPException
from starlette.types import Receive, Scope, Send

from fhir_server.http import admin, pages, sample, target, terminology
from fhir_server.http.auth import site
from fhir_server.http.bind import Base
from fhir_server.http.curators import Curators
from fhir_server.http.edge import Edge, Service
from fhir_server.http.health import readiness
from fhir_server.http.metrics import Metrics
from fhir_server.http.notifications import STARTING, Notifications
from fhir_server.model import json
from fhir_server.model.channel import Feed
from fhir_server.model.errors import FhirError, Unavailable
from fhir_server.model.outcome import outcome
from fhir_server.settings import Settings
from profiles.issue import Issue
from smart_auth.realm import Realm

Running = Callable[[Settings], AbstractAsyncContextManager[Service]]


class Application(FastAPI):
    """FastAPI with a shorter way for FHIR URLs."""

    def __init__(self, settings: Settings, running: Running) -> None:
        super().__init__(title="Aquifer", openapi_url=None, docs_url=None, redoc_url=None, lifespan=self._life)
        self.settings = settings
        self.metrics = Metrics(str(os.getpid()) if settings.server.workers > 1 else "")
        self.service: Service | None = None
        self._running = running
        self._edge: Edge | None = None
        self._sockets = Notifications(self._feed, settings.channels.sockets)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one connection."""
        if scope["type"] == "websocket":
            await self._sockets(scope, receive, send)
            return
        raw_path = scope.get("raw_path") or target.raw(scope["path"]) if scope["type"] == "http" else b""
        if target.is_fhir(raw_path) and not target.is_well_known(raw_path):
            if self._edge is None:
                await _fail(503, "transient", STARTING)(scope, receive, send)
            else:
                await self._edge(scope, receive, send)
        else:
            await super().__call__(scope, receive, send)

    def realm(self) -> Realm:
        """Return the authorization server.

        Raises:
            Unavailable: The server is starting.
        """
        if self.service is None:
            raise Unavailable(STARTING)
        return self.service.realm

    def curators(self) -> Curators:
        """Return what answers the terminology page.

        Raises:
            Unavailable: The server is starting.
        """
        if self.service is None:
            raise Unavailable(STARTING)
        return self.service.curators

    def _feed(self) -> Feed | None:
        return self.service.feed if self.service else None

    @asynccontextmanager
    async def _life(self, _: FastAPI) -> AsyncIterator[None]:
        async with self._running(self.settings) as service:
            self.service = service
            self._edge = Edge(service, self.settings, self.metrics)
            try:
                yield
            finally:
                self._edge = self.service = None


def create_app(settings: Settings, running: Running) -> Application:
    """Return the application.

    Args:
        settings: Effective settings.
        running: Settings to a running service, as a context that lives as long as the application;
            `fhir_server.main.running`.
    """
    app = Application(settings, running)
    base = Base(settings)
    pages.mount(app, settings)
    admin.mount(app, lambda: app.service)
    terminology.mount(app, settings)
    _mount_audit_keys(app)
    if settings.auth.mode == "smart":
        app.router.routes.extend(site.routes(app.realm, app.curators))
    if sample.is_served(settings):
        sample.mount(app, settings.service_base)

    @app.get("/health/live")
    async def live() -> Response:
        return _json({"status": "alive"})

    @app.get("/health/ready")
    async def ready() -> Response:
        status, body = await readiness(app.service)
        return _json(body, status)

    @app.get("/metrics")
    async def metrics(request: Request) -> Response:
        app.metrics.spooled = app.service.spooled if app.service else 0
        content_type, text = app.metrics.render(request.headers.get("accept", ""))
        return Response(text, headers={"Content-Type": content_type, "Cache-Control": "no-store"})

    @app.get("/openapi.json")
    async def openapi(request: Request) -> Response:
        if app.service is None:
            return _fail(503, "transient", STARTING)
        try:
            return _json(app.service.openapi(base.of(request.url.scheme, request.headers.get("host", ""))))
        except FhirError as error:
            return _fail(error.status, error.code, str(error))

    @app.exception_handler(HTTPException)
    async def nowhere(request: Request, error: Exception) -> Response:
        status = error.status_code if isinstance(error, HTTPException) else 500
        hint = f"{request.method} is not offered at this URL" if status == 405 else "Nothing has this URL"
        return _fail(status, "not-found", f"{hint}. The FHIR API is at /fhir, its description at /docs.")

    return app


def _mount_audit_keys(app: Application) -> None:
    @app.get("/.well-known/audit-keys")
    async def audit_keys() -> Response:
        if app.service is None:
            return _fail(503, "transient", STARTING)
        try:
            return _json(await app.service.audit_keys())
        except FhirError as error:
            return _fail(error.status, error.code, str(error))


def _json(value: Any, status: int = 200) -> Response:
    return Response(json.encode(value), status, {"Cache-Control": "no-store"}, "application/json")


def _fail(status: int, code: str, text: str) -> Response:
    body = json.encode(outcome([Issue("error", code, text)]))
    return Response(body, status, {"Cache-Control": "no-store"}, "application/fhir+json; charset=utf-8")
