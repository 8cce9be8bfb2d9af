"""The composition root: settings to a running service, in one readable function."""

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import structlog

from fhir_server.access.scope_filter import Unrestricted
from fhir_server.capability.openapi import openapi
from fhir_server.capability.statement import statement
from fhir_server.capability.table import TABLE
from fhir_server.dispatch import Dispatch
from fhir_server.intake import Intake
from fhir_server.model.errors import NotFound
from fhir_server.model.request import FhirRequest, FhirResponse
from fhir_server.repository import Repository
from fhir_server.repository.pages import Pages
from fhir_server.search.codes import DefinedCodes
from fhir_server.search.index import Indexer
from fhir_server.search.layout import indexes
from fhir_server.settings import Settings
from fhir_server.store import Store
from fhir_server.store.client import check, connect
from fhir_server.store.embedded import embedded
from profiles.definitions.registry import Definitions, load
from profiles.validate.validator import Validator
from terminology.ucum.ucum import Ucum

ROOT = "root"
"""Logical id of the deployment's root Organization."""


@dataclass(frozen=True, slots=True)
class Service:
    """A running server without its edge: what HTTP, commands and tests talk to.

    Attributes:
        settings: Effective settings.
        definitions: FHIR definitions.
        store: The database.
        repository: Everything, unrestricted; `dispatch` binds it to the facility of the caller.
        database: What the database is, for logs and `doctor`; without secrets.
    """

    settings: Settings
    definitions: Definitions
    store: Store
    repository: Repository
    database: str
    _pipeline: Dispatch

    async def dispatch(self, request: FhirRequest, facility: str = "") -> FhirResponse:
        """Return the answer to a request; never raises.

        Args:
            request: What is asked.
            facility: Organization that keeps what is created, empty for the configured one.
        """
        if not facility:
            return await self._pipeline.answer(request)
        repository = replace(self.repository, scope=Unrestricted("open mode", facility))
        return await self._pipeline.answer(request, repository)

    async def ready(self) -> None:
        """Return when the database answers.

        Raises:
            Unavailable: It does not.
        """
        await self.store.ping()

    def openapi(self, base: str) -> dict[str, Any]:
        """Return the OpenAPI document of the FHIR interface at a service base."""
        return openapi(TABLE, self.definitions, self.settings, base)


@asynccontextmanager
async def running(settings: Settings) -> AsyncIterator[Service]:
    """Yield a service on the configured database, which is started, checked and prepared first.

    Raises:
        MongoUnavailable: No usable MongoDB.
        SchemaTooNew: The data was written by a newer version than this one.
    """
    definitions = load()
    async with embedded(settings) as connection:
        client = connect(connection.url, settings)
        try:
            await check(client, settings.mongo.database)
            store = await Store.open(
                client[settings.mongo.database],
                lambda resource_type: indexes(resource_type, definitions),
                time_limit_ms=settings.search.time_limit_ms,
            )
            try:
                service = _service(settings, definitions, store, connection.description)
                await _found(service.repository)
                async with _background(store.upkeep()):
                    yield service
            finally:
                await store.close()
        finally:
            await client.close()


@asynccontextmanager
async def _background(work: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Have the work done beside what happens inside; it delays neither the beginning nor the end."""
    task = asyncio.create_task(work)
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])


def _service(settings: Settings, definitions: Definitions, store: Store, database: str) -> Service:
    started = datetime.now(UTC)
    zone = ZoneInfo(settings.search.time_zone)
    indexer = Indexer(definitions, settings.server.base_url, zone, Ucum.load())
    reading = replace(indexer.reading, codes=DefinedCodes(definitions))
    intake = Intake(Validator(definitions), indexer)
    repository = Repository(
        store=store,
        intake=intake,
        definitions=definitions,
        rules=settings.record,
        scope=Unrestricted("open mode", settings.record.facility),
        pages=Pages(store, definitions, settings.search, store.secret, reading),
        root=ROOT,
    )

    def capability(base: str) -> dict[str, Any]:
        return statement(TABLE, definitions, settings, base, started)

    pipeline = Dispatch(repository, definitions, settings, capability)
    return Service(settings, definitions, store, repository, database, pipeline)


async def _found(repository: Repository) -> None:
    """Create the root Organization at the first start; it keeps what no facility keeps (docs/custodians.md)."""
    try:
        await repository.read("Organization", ROOT)
    except NotFound:
        organization = {"resourceType": "Organization", "id": ROOT, "active": True, "name": "Root of this deployment"}
        await repository.update("Organization", ROOT, organization)
        structlog.get_logger("main").info("root_organization_created", id=ROOT)
