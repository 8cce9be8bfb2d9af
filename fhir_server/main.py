"""The composition root: settings to a running service, in one readable function."""

import asyncio
import pickle
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Coroutine, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import structlog

from fhir_server import authority, channels
from fhir_server.access.bearer import Gate
from fhir_server.access.grants import Grants
from fhir_server.access.labels import Labels
from fhir_server.access.mandate import Mandates
from fhir_server.access.officers import require_officer
from fhir_server.access.policy import policy_hash, told
from fhir_server.access.scope_filter import ScopeFilter, Unrestricted
from fhir_server.audit.codes import POLICY_READ
from fhir_server.audit.footprint import Footprint
from fhir_server.audit.keeping import kept
from fhir_server.audit.recorder import Recorder
from fhir_server.audit.render import Observer
from fhir_server.audit.spool import FOLDER, Spool
from fhir_server.capability.openapi import openapi
from fhir_server.capability.statement import statement
from fhir_server.capability.table import OFFERED
from fhir_server.checks import Checks
from fhir_server.conformance import Conformance
from fhir_server.dispatch import Dispatch
from fhir_server.facilities.house import House
from fhir_server.filing import filed
from fhir_server.guides import Installation, Shelf
from fhir_server.http.curators import Curators
from fhir_server.intake import Intake
from fhir_server.jobs import Save, Work, discovered
from fhir_server.loading.work import Access, Begin
from fhir_server.model.background import ended
from fhir_server.model.channel import Channel, Feed
from fhir_server.model.errors import FhirError
from fhir_server.model.files import Files
from fhir_server.model.queue import JobRecord
from fhir_server.model.request import FhirRequest, FhirResponse
from fhir_server.notifications.content import written
from fhir_server.notifications.notifier import Notifier
from fhir_server.outbound import Outbound
from fhir_server.repository import Repository, founding
from fhir_server.repository.editions import Editions
from fhir_server.repository.pages import Pages
from fhir_server.repository.reindexing import Reindexing
from fhir_server.repository.spelling import Spelling
from fhir_server.repository.trailed import Trailed
from fhir_server.search.evaluated import engine
from fhir_server.search.index import Indexer
from fhir_server.search.layout import indexes
from fhir_server.search.reading import Reading
from fhir_server.settings import Settings
from fhir_server.store import Store
from fhir_server.store.authorization import Authorization
from fhir_server.store.client import check, connect
from fhir_server.store.embedded import embedded
from fhir_server.store.jobs import worker_name
from fhir_server.subscriptions import Offer
from fhir_server.subscriptions.topics import offered
from fhir_server.vocabulary import Vocabulary
from fhir_server.vocabulary.bindings import Bindings
from fhir_server.vocabulary.loading import Loading
from fhir_server.vocabulary.sets import Sets
from fhir_server.worker import Worker
from profiles.definitions.registry import Definitions, load
from smart_auth.discovery import oauth_uris
from smart_auth.realm import Realm
from terminology.ucum.ucum import Ucum

IMPORT = "$import"
"""Kind of the rows that loading leaves in the trail, one for each unit of work."""

OWN = "the server's own work, and all of open mode"


@dataclass(frozen=True, slots=True)
class Service:
    """A running server without its edge: what HTTP, commands and tests talk to.

    Attributes:
        settings: Effective settings.
        store: The database.
        editions: The repository, with the search parameters of now.
        database: What the database is, for logs and `doctor`; without secrets.
        realm: The authorization server; its records are prepared in the mode `smart` only.
        grants: Compiles what callers reach.
        shelf: The implementation guides that are installed.
        vocabulary: Code systems, value sets and concept maps.
        curators: Answers the terminology page.
        files: Where files are kept that jobs make.
        outbound: Calls URLs that others have chosen.
        channels: How subscribers are notified, by the code of the channel type.
        notifier: Tells subscribers what happens.
    """

    settings: Settings
    store: Store
    editions: Editions
    database: str
    realm: Realm
    grants: Grants
    shelf: Shelf
    vocabulary: Vocabulary
    curators: Curators
    files: Files
    outbound: Outbound
    channels: Mapping[str, Channel]
    notifier: Notifier
    _mandates: Mandates
    _pipeline: Dispatch
    _gate: Gate | None
    _spool: Spool

    @property
    def definitions(self) -> Definitions:
        """FHIR definitions, with the search parameters of now."""
        return self.editions.current.searchable

    @property
    def feed(self) -> Feed:
        """Where connections of subscribers take notifications from."""
        return self.notifier.feed()

    @property
    def repository(self) -> Repository:
        """Everything, unrestricted; `dispatch` binds it to the facility of the caller."""
        return self.editions.repository

    async def receive(self, request: FhirRequest) -> FhirResponse:
        """Return the answer to a request from outside, as far as its caller is let in, when the audit trail has it."""
        if self._gate is None or self._pipeline.is_public(request):
            return await self._pipeline.answer(request)
        try:
            response = await self._gate.through(request, self._pipeline.tentative)
        except FhirError as error:
            return await self._pipeline.refused(request, error)
        return await self._pipeline.settled(response)

    async def dispatch(self, request: FhirRequest, facility: str = "") -> FhirResponse:
        """Return the answer to a request of this program itself, which may do everything; never raises.

        Args:
            request: What is asked.
            facility: Organization that keeps what is created, empty for the configured one.
        """
        return await self._pipeline.answer(request, Unrestricted(OWN, facility) if facility else None)

    async def ready(self) -> None:
        """Return when the database answers.

        Raises:
            Unavailable: It does not.
        """
        await self.store.ping()

    @property
    def spooled(self) -> int:
        """Rows of the audit trail that wait on disk, because the trail cannot take them."""
        return self._spool.waiting

    @property
    def packages(self) -> Installation:
        """Installs and removes implementation guides."""
        return Installation(self.store, self.shelf, self._begin)

    @property
    def releases(self) -> Loading:
        """Loads and drops releases of code systems."""
        return Loading(self.store, self._begin)

    def work(self, record: JobRecord, save: Save, reindexing: Reindexing) -> Work:
        """Return what a claimed job works with."""

        async def within() -> Repository:
            return self._pipeline.within(await self._mandates.scope(record.mandate, record.created))

        async def handed_out(
            resource_type: str, patients: Collection[str], keepers: Collection[str], detail: Mapping[str, str]
        ) -> None:
            scope = await self._mandates.scope(record.mandate, record.created)
            await self._pipeline.handed_out(f"${record.kind}", scope, resource_type, patients, keepers, detail)

        return Work(
            record,
            save,
            self.settings.jobs,
            reindexing,
            lambda: self.repository,
            within,
            self._pipeline.answer,
            handed_out,
            self.files,
            self.outbound,
            self.channels,
            self.notifier.engine().run,
            self.shelf.refresh,
            self.loading_within(record.mandate, record.created),
            self.settings.bulk.hours,
        )

    def loading(self, facility: str = "", without: Collection[str] = ()) -> Access:
        """Return what lines are loaded with by this program itself.

        Args:
            facility: Organization that keeps what is created, empty for the configured one.
            without: Types whose indexes are put off, and made when all is stored.
        """
        own = Unrestricted(OWN, facility) if facility else self.repository.scope

        async def scope() -> ScopeFilter:
            return own

        return _Loading(
            self._pipeline, self.settings.service_base, scope, Begin(self._pickled(), facility, without=sorted(without))
        )

    def loading_within(self, mandate: Mapping[str, Any], since: datetime) -> Access:
        """Return what lines are loaded with for somebody.

        Args:
            mandate: Of whoever asked.
            since: When it was given.
        """
        begin = Begin(self._pickled(), mandate=mandate, since=since)
        return _Loading(self._pipeline, self.settings.service_base, lambda: self._mandates.scope(mandate, since), begin)

    def _pickled(self) -> bytes:
        """Return the settings for a process that this one starts."""
        return pickle.dumps(self.settings)

    def _begin(self) -> Repository:
        """Return a repository for one unit of work that publishes definitions."""
        return replace(self._pipeline.working("transaction", self.settings.service_base), published=True)

    async def renew(self) -> int:
        """Work by what others have added, before this process writes and while it does; return the edition of its search.

        Raises:
            Unavailable: The database cannot be reached.
        """
        await self.shelf.refresh()
        return await self.editions.renew()

    async def policy(self, request: FhirRequest) -> dict[str, Any]:
        """Return the effective policy, with its hash, when the audit trail has it.

        Args:
            request: From outside.

        Raises:
            FhirError: The caller is not let in, or is no administrator.
        """
        scope: ScopeFilter | None = None
        try:
            if self._gate:
                scope = await self._gate.scope(request.headers)
                require_officer(scope)
        except FhirError as error:
            await self._pipeline.note(request, POLICY_READ, scope, error.status)
            raise
        await self._pipeline.note(request, POLICY_READ, scope or self.repository.scope, 200)
        return told(self.settings)

    async def audit_keys(self) -> dict[str, Any]:
        """Return the public keys of the trail's seals, as a JWK set; empty where no trail is kept.

        Raises:
            Unavailable: The database cannot be reached.
        """
        return {"keys": [row["jwk"] for row in await self.store.chain.keys()] if self.settings.keeps_trail else []}

    def openapi(self, base: str) -> dict[str, Any]:
        """Return the OpenAPI document of the FHIR interface at a service base."""
        return openapi(OFFERED, self.definitions, self.settings, base)


@dataclass(frozen=True, slots=True)
class _Loading:
    """Loads within what somebody reaches (`loading.work.Access`)."""

    _pipeline: Dispatch
    _base: str
    _scope: Callable[[], Awaitable[ScopeFilter]]
    elsewhere: Begin

    async def repository(self) -> Repository:
        return self._pipeline.within(await self._scope())

    def begin(self, repository: Repository) -> Footprint | None:
        return self._pipeline.changing(IMPORT, self._base, repository.scope)

    async def post(self, repository: Repository, bundle: dict[str, Any]) -> FhirResponse:
        return await self._pipeline.answer(FhirRequest("POST", (), self._base, resource=bundle), repository.scope)


@asynccontextmanager
async def running(settings: Settings) -> AsyncIterator[Service]:
    """Yield a service on the configured database, which is started, checked and prepared first.

    Raises:
        MongoUnavailable: No usable MongoDB.
        SchemaTooNew: The data was written by a newer version than this one.
    """
    definitions = load()
    checks = Checks(definitions, engine(definitions))
    intake = _intake(settings, definitions, checks)
    async with embedded(settings) as connection:
        client = connect(connection.url, settings)
        try:
            await check(client, settings.mongo.database)
            store = await Store.open(
                client[settings.mongo.database],
                lambda resource_type: indexes(resource_type, intake.extracted, texts=intake.reading.texts),
                time_limit_ms=settings.search.time_limit_ms,
            )
            secret = settings.auth.secret.get_secret_value() if settings.auth.secret else ""
            records = Authorization(client[settings.mongo.database], secret.encode(), store.trail)
            try:
                spool = Spool(store.trail, settings.data_dir / FOLDER / store.trail.name)
                service = _service(settings, definitions, store, records, intake, checks, connection.description, spool)
                await service.editions.refresh()
                await service.shelf.refresh()
                store.clock.follow(service.renew)
                await Reindexing(store, service.editions).begin()
                await founding.found(service.repository)
                await founding.warn(service.repository)
                if settings.auth.mode == "smart":
                    await authority.found(records, service.realm)
                async with _calling(service), _background(store.upkeep()), kept(store, settings, spool):
                    yield service
            finally:
                await records.close()
                await store.close()
        finally:
            await client.close()


@asynccontextmanager
async def _calling(service: Service) -> AsyncIterator[None]:
    """Close at the end what was opened meanwhile to others."""
    try:
        yield
    finally:
        await channels.close(service.channels)
        await service.outbound.close()


@asynccontextmanager
async def _background(work: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Have the work done beside what happens inside; it delays neither the beginning nor the end."""
    task = asyncio.create_task(work)
    try:
        yield
    finally:
        await ended(task)


@asynccontextmanager
async def working(settings: Settings) -> AsyncIterator[Service]:
    """Do the same, and background work with it, as much as the settings say.

    Raises:
        MongoUnavailable: No usable MongoDB.
        SchemaTooNew: The data was written by a newer version than this one.
    """
    async with running(settings) as service:
        reindexing = Reindexing(service.store, service.editions)
        if job := await reindexing.renew():
            structlog.get_logger("main").info("extraction_changed", job=job.id)

        def prepare(record: JobRecord, save: Save) -> Work:
            return service.work(record, save, reindexing)

        worker = Worker(
            service.store.jobs,
            discovered(),
            prepare,
            worker_name,
            concurrency=settings.jobs.concurrency,
            limits=settings.jobs.limits,
        )
        async with worker.running():
            yield service


def _intake(settings: Settings, definitions: Definitions, checks: Checks) -> Intake:
    zone = ZoneInfo(settings.search.time_zone)
    indexer = Indexer(definitions, settings.server.base_url, zone, Ucum.load(), texts=settings.search.text == "on")
    return Intake(checks.validator, indexer, Labels(definitions, settings.access))


def _service(  # noqa: PLR0917 - what it puts together
    settings: Settings,
    definitions: Definitions,
    store: Store,
    records: Authorization,
    intake: Intake,
    checks: Checks,
    database: str,
    spool: Spool,
) -> Service:
    started = datetime.now(UTC)
    vocabulary = Vocabulary(definitions, store, lambda: checks.library)
    reading = replace(intake.reading, codes=Sets(vocabulary, definitions))
    outbound = Outbound(settings.outbound.allowed, authority.policy(settings).development)
    ways = channels.offered(settings.channels, outbound, authority.messenger(settings, store.clock.now))
    offer = Offer(settings.search, offered(settings.subscriptions.topics), ways)
    repository = Repository(
        store=store,
        intake=intake,
        definitions=definitions,
        rules=settings.record,
        scope=Unrestricted(OWN, settings.record.facility),
        pages=_pages(settings, store, definitions, reading),
        root=founding.ROOT,
        house=House(store.facilities, founding.ROOT, reading.zone, reading.base),
        checks=checks,
        validation=settings.validation,
        conformance=Conformance(settings.validation, checks),
        terms=Bindings(vocabulary),
        offer=offer,
    )

    editions = Editions(repository)

    def defined() -> Definitions:
        return editions.current.searchable

    topics = tuple(offer.topics) if ways else ()

    def capability(base: str) -> dict[str, Any]:
        places = oauth_uris(realm.policy) if gate else {}
        return statement(OFFERED, defined(), settings, base, started, places, shelf.stated, topics)

    recorder = _recorder(settings, store, defined, spool)
    grants = authority.grants(settings, store, records, repository.house, defined)
    shelf = Shelf(store, checks)
    files = filed(settings, store.files)
    pipeline = Dispatch(editions, store.jobs, settings, capability, grants, shelf, vocabulary, files, recorder)
    realm = authority.realm(settings, store, records, grants, pipeline.answer)
    gate = authority.gate(settings, realm, grants) if settings.auth.mode == "smart" else None
    curators = Curators(pipeline.answer, pipeline.note, grants)
    mandates = Mandates(realm, grants, store.clock.now)
    notifier = Notifier(
        store,
        offer,
        settings.subscriptions,
        lambda: editions.repository,
        lambda: pipeline.working("update", settings.service_base),
        mandates.scope,
        pipeline.telling,
        written(definitions),
        settings.service_base,
    )
    return Service(
        settings,
        store,
        editions,
        database,
        realm,
        grants,
        shelf,
        vocabulary,
        curators,
        files,
        outbound,
        ways,
        notifier,
        mandates,
        pipeline,
        gate,
        spool,
    )


def _recorder(
    settings: Settings, store: Store, definitions: Callable[[], Definitions], spool: Spool
) -> Recorder | None:
    """Return what writes the audit trail, where one is kept."""
    if not settings.audited:
        return None
    waits = spool if settings.audit.fail == "open" else None
    return Recorder(store.trail, store.clock, definitions, store.secret, policy_hash(settings), waits)


def _pages(settings: Settings, store: Store, definitions: Definitions, reading: Reading) -> Pages:
    """Return what runs searches: with the audit trail among what is searched, where one is kept."""
    given = (store, definitions, settings.search, store.secret, reading, Spelling(store))
    if not settings.audited:
        return Pages(*given)
    observer = Observer(settings.service_base, authority.policy(settings).issuer, settings.auth.name)
    return Trailed(*given, observer, names=settings.audit.identity == "name")
