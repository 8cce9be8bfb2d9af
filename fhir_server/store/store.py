"""The door to the stored record: reads, searches, history, and writes that are all or nothing."""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, TypeVar

from pymongo import WriteConcern
from pymongo.asynchronous.client_session import AsyncClientSession
from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import PyMongoError
from pymongo.read_concern import ReadConcern

from fhir_server.model.query import ANYTHING, Distinct, Examined, IndexSpec, Query, Where
from fhir_server.model.stored import Hit, Stored
from fhir_server.store import failures, moving, schema, seal, upkeep
from fhir_server.store.acceptances import Acceptances
from fhir_server.store.blobs import Blobs
from fhir_server.store.chain import Chain
from fhir_server.store.changes import Change
from fhir_server.store.clock import Clock
from fhir_server.store.closures import Closures
from fhir_server.store.codecs import ENVELOPE
from fhir_server.store.cohorts import Cohorts
from fhir_server.store.collections import Collections, IndexesOf
from fhir_server.store.concepts import Concepts
from fhir_server.store.counting import Counting
from fhir_server.store.documents import Live, stored
from fhir_server.store.extraction import Extraction
from fhir_server.store.facilities import Facilities
from fhir_server.store.files import GridFiles
from fhir_server.store.glass import Glass
from fhir_server.store.history import History, Position, Span
from fhir_server.store.holding import Holding
from fhir_server.store.jobs import Jobs
from fhir_server.store.leaving import Leaving
from fhir_server.store.locks import LOCKS, LOCKS_KEPT_SECONDS, Locks
from fhir_server.store.moving import Stretch
from fhir_server.store.numbers import Numbers
from fhir_server.store.outbox import Outbox
from fhir_server.store.packages import Packages
from fhir_server.store.parameters import Parameters
from fhir_server.store.patient_links import PatientLinks
from fhir_server.store.reads import BODIES, IDS, KEEPERS, WHOLE, Reads
from fhir_server.store.reindexing import Reindexing
from fhir_server.store.relations import Keeper, Relations, keeper
from fhir_server.store.scanning import Scanning
from fhir_server.store.searches import Searches
from fhir_server.store.subscriptions import Subscriptions
from fhir_server.store.trail import Trail
from fhir_server.store.unit_of_work import Unit, Workshop
from fhir_server.store.writes import Writes

T = TypeVar("T")

TIME_LIMIT_MS = 10_000


class Store:
    """The record in one database. Belongs to the event loop in which it was opened.

    Filters are values of `Where`; `NOTHING` is answered without asking the database. Every read may be given the `session`
    of a `Unit`; without one, reads by id share round trips with concurrent ones.

    Attributes:
        clock: Database time and stamps for writes.
        secret: Seals paging links.
        leaving: Marks on resources that are about to be deleted.
        jobs: The queue of background work.
        parameters: The register of search parameters that the deployment has added.
        packages: The implementation guides that are installed.
        concepts: Large code systems.
        patient_links: Which Patients are confirmed to be one person.
        relations: What makes a facility reach a patient of another one, and what forbids it.
        glass: For whom the glass was broken.
        facilities: What the hierarchy is made of.
        closures: Closure tables that callers keep here.
        subscriptions: The register of Subscriptions, and their events.
        outbox: The versions of the record in their order.
        acceptances: Who has accepted a membership.
        cohorts: Patients of facilities.
        counting: Counts by facility, for reports.
        holding: What keeps resources from patients.
        extraction: Which version of the extraction made the search parts of all documents.
        reindexing: Search parts of stored documents, in batches.
        scanning: Everything of a type as of one moment.
        trail: Rows of the audit trail.
        chain: Links and seals of the trail.
        collections: Which collections there are, and whether their indexes are put off for a first load.
    """

    secret: bytes = b""

    def __init__(self, database: AsyncDatabase[Any], indexes_of: IndexesOf, time_limit_ms: int) -> None:
        self._database = database.with_options(
            codec_options=ENVELOPE,
            write_concern=WriteConcern("majority", j=True),
            read_concern=ReadConcern("majority"),
        )
        self._collections = self.collections = Collections(self._database, indexes_of)
        self._blobs = Blobs(self._database)
        self.files = GridFiles(self._database)
        self.clock = Clock(self._database)
        self.leaving = Leaving(self._database, self.clock)
        self.jobs = Jobs(self._database, self.clock)
        self._numbers = Numbers(self._database)
        self.parameters = Parameters(self._database, self._numbers)
        self.packages = Packages(self._database, self._numbers)
        self.concepts = Concepts(self._database, self._numbers)
        self.patient_links = PatientLinks(self._database)
        self.relations = Relations(self._database)
        self.glass = Glass(self._database)
        self.facilities = Facilities(self._database)
        self.closures = Closures(self._database)
        self.subscriptions = Subscriptions(self._database)
        self.outbox = Outbox(self._database, self._blobs, time_limit_ms)
        self.acceptances = Acceptances(self._database)
        self.cohorts = Cohorts(self._database, self._collections, time_limit_ms)
        self.counting = Counting(self._database, time_limit_ms)
        self.holding = Holding(self._database, self.clock)
        self.extraction = Extraction(self._database)
        self.reindexing = Reindexing(self._database, self._blobs)
        self.scanning = Scanning(self._database, self._collections, self._blobs)
        self.trail = Trail(self._database)
        self.chain = Chain(self.trail.database)
        self._workshop = Workshop(self._database, self._collections, self._blobs, self.clock, Locks(), self.trail)
        self._reads = Reads(self._database)
        self._writes = Writes(self._workshop)
        self._history = History(self._database, self._blobs, time_limit_ms)
        self._searches = Searches(self._database, self._collections, self._blobs, time_limit_ms)

    @classmethod
    async def open(
        cls, database: AsyncDatabase[Any], indexes_of: IndexesOf, *, time_limit_ms: int = TIME_LIMIT_MS
    ) -> "Store":
        """Return a store that is ready.

        Args:
            database: Of a client for a replica set or sharded cluster.
            indexes_of: Indexes of the live collection of a resource type.
            time_limit_ms: Time after which the database gives up a search or history.

        Raises:
            Unavailable: The database cannot be reached, or newer code has written it.
        """
        store = cls(database, indexes_of, time_limit_ms)
        try:
            await schema.check(store._database)
            store.secret = await seal.key(store._database)
            await store._database[LOCKS].create_index("at", name="expiry", expireAfterSeconds=LOCKS_KEPT_SECONDS)
            await store._collections.types()
            await store.clock.open()
            await store.jobs.open()
            await store.parameters.open()
            await store.patient_links.open()
            await store.relations.open()
            await store.glass.open()
            await store.facilities.open()
            await store.closures.open()
            await store.subscriptions.open()
            await store.acceptances.open()
        except PyMongoError as error:
            raise failures.expected(error) from error
        return store

    async def prepare(self, resource_types: Iterable[str]) -> None:
        """Create what is missing of the collections of these types, ahead of a unit that writes them.

        Inside a unit that is too late: creating a collection waits for every open transaction.

        Raises:
            Unavailable: The database cannot be reached.
        """
        await self._collections.ensure(resource_types)

    async def exchange_indexes(self, resource_type: str, prefix: str, specs: Sequence[IndexSpec]) -> None:
        """Make these the only indexes of a type whose names begin with the prefix; others stay as they are.

        Raises:
            Unavailable: The database cannot be reached.
        """
        await self._collections.exchange(resource_type, prefix, specs)

    async def ping(self) -> None:
        """Return when the database answers.

        Raises:
            Unavailable: It does not.
        """
        try:
            await self._database.command("ping")
        except PyMongoError as error:
            raise failures.expected(error) from error

    async def close(self) -> None:
        """Finish what is on the wire. The client stays open."""
        await self._writes.close()
        await self._reads.close()
        await self._searches.close()
        await self._numbers.close()
        await self.trail.close()
        await self.clock.close()

    async def read(
        self,
        resource_type: str,
        resource_id: str,
        where: Where,
        session: AsyncClientSession | None = None,
    ) -> Stored | None:
        """Return the current version, or `None` where there is none within the filter."""
        if session is None:
            doc = await self._reads.one(BODIES, resource_type, resource_id, where)
        else:
            doc = (await self._reads.many(BODIES, resource_type, (resource_id,), where, session)).get(resource_id)
        if doc is None:
            return None
        if "jb" in doc:
            (doc,) = await self._blobs.attach((doc,))
        return stored(resource_type, doc)

    async def current(
        self, resource_type: str, ids: Collection[str], where: Where, session: AsyncClientSession | None = None
    ) -> dict[str, Live]:
        """Return the current versions by id with their whole documents, for `Update` and `Delete`."""
        found = await self._reads.many(WHOLE, resource_type, ids, where, session)
        bodies = await self._blobs.attach(found.values()) if found else ()
        pairs = zip(found.items(), bodies, strict=True)
        return {one: Live(stored(resource_type, body), doc) for (one, doc), body in pairs}

    async def exists(
        self,
        references: Iterable[tuple[str, str]],
        where_of: Callable[[str], Where],
        session: AsyncClientSession | None = None,
    ) -> set[tuple[str, str]]:
        """Return those (type, id) that are there."""
        ids: dict[str, list[str]] = {}
        for resource_type, resource_id in set(references):
            ids.setdefault(resource_type, []).append(resource_id)
        answers: Sequence[Mapping[str, Any]]
        if session is None:
            asks = [self._reads.ask(IDS, name, part, where_of(name)) for name, part in ids.items()]
            answers = await asyncio.gather(*asks)
        else:  # a session says one thing at a time
            answers = [await self._reads.many(IDS, name, part, where_of(name), session) for name, part in ids.items()]
        rows = zip(ids.items(), answers, strict=True)
        return {(name, one) for (name, part), found in rows for one in part if one in found}

    async def keepers(
        self,
        resource_type: str,
        ids: Collection[str],
        where: Where = ANYTHING,
        session: AsyncClientSession | None = None,
    ) -> dict[str, Keeper]:
        """Return where resources belong, by id, of those that are there within the filter."""
        found = await self._reads.many(KEEPERS, resource_type, ids, where, session)
        return {one: keeper(row) for one, row in found.items()}

    async def read_version(
        self,
        resource_type: str,
        resource_id: str,
        vid: int,
        where: Where,
        session: AsyncClientSession | None = None,
    ) -> Stored | None:
        """Return that version, current or superseded or the deletion, or `None`."""
        return await self._history.version(resource_type, resource_id, vid, where, session)

    async def last_version(
        self,
        resource_type: str,
        resource_id: str,
        where: Where,
        session: AsyncClientSession | None = None,
    ) -> Stored | None:
        """Return the newest version in the history: of a resource that is not live its deletion; `None` if never there."""
        return await self._history.last(resource_type, resource_id, where, session)

    async def with_history(
        self, resource_type: str, ids: Collection[str], session: AsyncClientSession | None = None
    ) -> set[str]:
        """Return those of the ids of which `last_version` knows something: all that ever had a second version or an end."""
        return await self._history.begun(resource_type, ids, session)

    async def contexts(
        self, resource_type: str, ids: Collection[str], session: AsyncClientSession | None = None
    ) -> set[str]:
        """Return what the versions of some resources, current or not, name as their `securityContext`."""
        return await self._history.contexts(resource_type, ids, session)

    async def find(self, query: Query, session: AsyncClientSession | None = None) -> list[Hit]:
        """Return one page.

        Raises:
            TooCostly: The time limit was reached.
        """
        return await self._searches.find(query, session)

    async def versions(self, query: Query, session: AsyncClientSession | None = None) -> list[Stored]:
        """Return one page of current versions, with all that there is to know of them.

        Raises:
            TooCostly: The time limit was reached.
        """
        return await self._searches.versions(query, session)

    async def rows(self, query: Query, session: AsyncClientSession | None = None) -> list[Mapping[str, Any]]:
        """Return `_id` and the envelope fields that the query names of each document, without the resources.

        Raises:
            TooCostly: The time limit was reached.
        """
        return await self._searches.rows(query, session)

    async def examined(self, query: Query) -> list[Examined]:
        """Run a query once more; return what the database does for it, in each of its steps.

        Raises:
            TooCostly: The time limit was reached.
        """
        return await self._searches.examined(query)

    async def moved(self, resource_type: str, where: Where, stretch: Stretch) -> list[Mapping[str, Any]]:
        """Return `_id`, `lu` and `o` that resources of a stretch had which are there, match, and were changed since.

        Raises:
            TooCostly: The time limit was reached.
        """
        if where.kind == "nothing":
            return []
        return await self._searches.moved(resource_type, where, stretch)

    async def existed(self, resource_type: str, ids: Sequence[str], since: datetime) -> set[str]:
        """Return those of the resources, all changed since a moment, that were there at that moment already."""
        return await moving.existed(self._database, resource_type, ids, since)

    async def distinct(self, query: Distinct, session: AsyncClientSession | None = None) -> list[str]:
        """Return the different texts of a field.

        Raises:
            TooCostly: The time limit was reached.
        """
        return await self._searches.distinct(query, session)

    async def values(self, resource_type: str, field: str, session: AsyncClientSession | None = None) -> Sequence[str]:
        """Return the different texts that the live resources of a type have in a field.

        It costs their number where an index begins with the field, else that of the resources.

        Raises:
            TooCostly: The time limit was reached, or they are more than 16 MB.
        """
        return await self._searches.values(resource_type, field, session)

    async def count(
        self, resource_type: str, where: Where, limit: int | None, session: AsyncClientSession | None = None
    ) -> int:
        """Return how many there are, but never more than the limit.

        Raises:
            TooCostly: The time limit was reached.
        """
        return await self._searches.count(resource_type, where, limit, session)

    async def referrers(
        self,
        resource_type: str,
        resource_id: str,
        ignoring: Collection[tuple[str, str]] = frozenset(),
        session: AsyncClientSession | None = None,
    ) -> tuple[str, str] | None:
        """Return (type, id) of a live resource of any type that has a literal reference to this one, or `None`.

        Args:
            resource_type: Type of the one referred to.
            resource_id: Its id.
            ignoring: Resources that do not count: itself, and what is deleted with it.
            session: Of a unit; it costs a round trip for each type, for a transaction cannot ask many collections at once.
        """
        return await self._searches.referrers(f"{resource_type}/{resource_id}", ignoring, session)

    async def referred(self, instances: Iterable[tuple[str, str]], session: AsyncClientSession | None = None) -> bool:
        """Return whether any live resource has a literal reference to any of these (type, id): a round trip for each type."""
        return await self._searches.referred([f"{name}/{one}" for name, one in instances], session)

    async def history(
        self,
        resource_type: str | None,
        resource_id: str | None,
        where_of: Callable[[str], Where],
        *,
        since: datetime | None = None,
        at: tuple[datetime, datetime] | None = None,
        until: datetime | None = None,
        after: Position | None = None,
        seen: bool = False,
        count: int,
        session: AsyncClientSession | None = None,
    ) -> list[Stored]:
        """Return a page of versions, newest first, of an instance, of a type (`resource_id` is `None`), or of everything.

        `o` is in the envelope of each.

        Args:
            resource_type: Type, or `None` for all.
            resource_id: Instance, or `None` for all of the type.
            where_of: Filter by type; it is applied to each version as it was.
            since: Only versions created at or after this moment.
            at: Only versions that were current at some moment of this half-open interval.
            until: Only versions created at or before this moment. Take `horizon()` for the first page and hand it on to the
                next: then no version is missed or given twice, whatever is written meanwhile.
            after: `Position.of` the last version of the page before.
            seen: Whether `since` means what patients could see since, too.
            count: Most versions.
            session: That of a `Unit` whose writes are to be seen.

        Raises:
            TooCostly: The time limit was reached.
        """
        span = Span(since, at, until, after, seen)
        try:
            if resource_type is not None and resource_id is not None:
                where = where_of(resource_type)
                return await self._history.of_instance(
                    resource_type, resource_id, where, span, count=count, session=session
                )
            types = [name for name in await self._collections.types() if resource_type in {None, name}]
            return await self._history.of_types(types, where_of, span, count=count, session=session)
        except PyMongoError as error:
            raise failures.outward(error, session) from error

    async def horizon(self) -> datetime:
        """Return the last moment up to which every write is visible and to which none can be added any more."""
        return await self.clock.horizon()

    async def commit(self, changes: Sequence[Change], *, alters: bool = False) -> None:
        """Write the changes, all or none, durably; concurrent commits share their round trips.

        Args:
            changes: What is written.
            alters: Whether the hierarchy is another one thereby, which is told when it is written.

        Raises:
            Stale: A superseded version is not the current one.
            Exists: A resource to be created is there.
            Conflict: Other writers of the same resources were in the way for 20 seconds.
            Unprocessable: A document has a value that cannot be stored.
            TooLarge: A document is above 16 MB without its large texts.
            Unavailable: The database cannot be reached, or did not confirm (the text says which).
        """
        await self._writes.commit(changes, alters=alters)

    async def transact(self, work: Callable[[Unit], Awaitable[T]], types: Iterable[str] = ()) -> T:
        """Run the work in one transaction and return what it returns; what it wrote is there or nothing is.

        The work may run several times, from its beginning, when it meets another transaction. It must not do anything
        outside of the unit that cannot be repeated, and it must let what `Unit` and the store raise pass.

        Args:
            work: Gets the `Unit` to read and write with.
            types: Resource types that it may create; their collections are made ready first.

        Raises:
            Conflict: Other writers of the same resources were in the way for 20 seconds.
            Unavailable: The database cannot be reached, or did not confirm (the text says which).
        """
        await self._collections.ensure(types)
        return await self._workshop.transact(work)

    async def types(self) -> list[str]:
        """Return the resource types of which anything was ever stored, sorted."""
        return await self._collections.types()

    async def sweep_blobs(self) -> int:
        """Delete files of large content that no version names, older than an hour; return how many."""
        return await self._blobs.sweep()

    async def upkeep(self) -> None:
        """Do the housekeeping of the record whenever it is due, until cancelled; of several processes one does it."""
        await upkeep.keep(self._database, self._blobs, self.files, self.concepts)
