"""Group commit: writes of concurrent requests share a round trip and its wait for the journal.

A request that only creates one resource goes to the lane of its collection, where a batch is one unordered insert: each
document is atomic by itself and fails by itself. Everything else goes to one lane in which a batch is one transaction, and
what alters the hierarchy to another one like it, whose batches hold a lock and tell of it once.
If that fails, those whose guard failed are told so and the rest is done again: once together, then each alone. Two
requests that write the same resource are never in flight at the same time (docs/decisions/group-commit.md).
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any

from pymongo.errors import ConnectionFailure, WTimeoutError

from fhir_server.model.errors import Conflict, Unavailable
from fhir_server.store import failures
from fhir_server.store.changes import Change, Exists
from fhir_server.store.facilities import LOCK
from fhir_server.store.operations import Key, Operations, Refused
from fhir_server.store.repeatable import Repeatable
from fhir_server.store.transactions import Again, once, retried
from fhir_server.store.unit_of_work import Workshop

MOST_UNITS = 500
MOST_BYTES = 16 * 2**20
INSERTS_IN_FLIGHT = 1
TRANSACTIONS_IN_FLIGHT = 1
ALONE_AT_ONCE = 4


class Waiting:
    """One request's write, from being handed in to its answer."""

    __slots__ = ("future", "operations", "ticket")

    def __init__(self, operations: Operations, future: asyncio.Future[None], ticket: int) -> None:
        self.operations = operations
        self.future = future
        self.ticket = ticket


class Writes:
    """The lanes of one store."""

    def __init__(self, workshop: Workshop) -> None:
        self._workshop = workshop
        self._database = workshop.database
        self._loop = asyncio.get_running_loop()
        self._traffic = Traffic()
        self._inserts: dict[str, Lane] = {}
        self._sessions: dict[str, Repeatable] = {}
        self._transactions = Lane(self._traffic, self._run_transaction, TRANSACTIONS_IN_FLIGHT)
        self._altering = Lane(self._traffic, self._run_altering, TRANSACTIONS_IN_FLIGHT)
        self._alone: set[asyncio.Task[None]] = set()
        self._places = asyncio.Semaphore(ALONE_AT_ONCE)

    async def commit(self, changes: Sequence[Change], *, alters: bool) -> None:
        """Write the changes, all or none (see `Store.commit`)."""
        workshop, files = self._workshop, list[Any]()
        operations = await workshop.prepare(changes, files)
        operations.alters = alters
        if not workshop.collections.all_ready(operations.types):
            await workshop.collections.ensure(operations.types)
        ticket = workshop.clock.hold(operations.earliest) if operations.earliest else 0
        future: asyncio.Future[None] = self._loop.create_future()
        self._lane(operations).put(Waiting(operations, future, ticket))
        try:
            await future
        except Unavailable:
            raise  # perhaps it was written, and then its files are needed
        except Exception:
            await workshop.blobs.discard(files)
            raise

    async def close(self) -> None:
        """Wait until everything handed in is answered."""
        lanes = [self._transactions, self._altering, *self._inserts.values()]
        while tasks := self._alone.union(*(lane.tasks for lane in lanes)):
            await asyncio.wait(tasks)

    def _lane(self, operations: Operations) -> "Lane":
        if operations.alters:
            return self._altering
        collection = operations.sole_insert
        if not collection:
            return self._transactions
        lane = self._inserts.get(collection)
        if lane is None:
            self._sessions[collection] = Repeatable()
            run = partial(self._run_inserts, collection)
            lane = self._inserts[collection] = Lane(self._traffic, run, INSERTS_IN_FLIGHT)
        return lane

    def _settle(self, waiting: Waiting, error: Exception | None = None) -> None:
        """Answer one request."""
        self._workshop.clock.release(waiting.ticket)
        self._traffic.busy.difference_update(waiting.operations.keys)
        if not waiting.future.done():  # it is when the request was cancelled
            if error:
                waiting.future.set_exception(error)
            else:
                waiting.future.set_result(None)

    async def _run_inserts(self, collection: str, batch: list[Waiting]) -> None:
        """Insert one new resource for each request; each fails or succeeds by itself."""
        documents = [next(iter(waiting.operations.inserts.values()))[0] for waiting in batch]
        errors: dict[int, Exception] = {}
        try:
            self._check_clock()
            reply = await self._sessions[collection].insert(self._database, collection, documents)
            if "writeConcernError" in reply:
                errors = {index: failures.expected(WTimeoutError("majority")) for index in range(len(batch))}
            for row in reply.get("writeErrors", ()):
                taken = row["code"] == failures.DUPLICATE
                errors[row["index"]] = (
                    Exists(collection, documents[row["index"]]["_id"]) if taken else failures.refused(row)
                )
        except Exception as error:  # noqa: BLE001 - it belongs to those who asked, each of whom raises it
            if len(batch) > 1 and not _concerns_all(error):
                for waiting in batch:
                    await self._run_inserts(collection, [waiting])
                return
            errors = {index: failures.expected(error) for index in range(len(batch))}
        for index, waiting in enumerate(batch):
            self._settle(waiting, errors.get(index))

    async def _run_altering(self, batch: list[Waiting]) -> None:
        """Write what alters the hierarchy, when no unit of this process does so, and again while one of another process does."""
        workshop = self._workshop
        await workshop.locks.acquire(LOCK)
        try:
            await self._run_transaction(batch, lambda some: retried(lambda: self._write(some)))
        finally:
            workshop.locks.release(LOCK)

    async def _run_transaction(
        self, batch: list[Waiting], write: Callable[[list[Waiting]], Awaitable[None]] | None = None
    ) -> None:
        """Write what all requests ask for in one transaction, or see to it that each gets its own answer."""
        for _ in range(2):
            try:
                self._check_clock()
                await (write or self._write)(batch)
                error = None
            except Refused as refused:
                batch = self._settle_culprits(batch, refused)
                if not batch:
                    return
                continue
            except Exception as cause:  # noqa: BLE001 - whatever it was, nobody's neighbour may suffer from it
                error = cause
            if error is None or _concerns_all(error):
                for waiting in batch:
                    self._settle(waiting, failures.expected(error) if error else None)
                return
            break
        for waiting in batch:
            task = self._loop.create_task(self._run_alone(waiting))
            self._alone.add(task)
            task.add_done_callback(self._alone.discard)

    async def _run_alone(self, waiting: Waiting) -> None:
        """Write what one request asks for, in its own transaction, again while others are in the way."""
        async with self._places:
            error: Exception | None = None
            try:
                await retried(lambda: self._write([waiting]))
            except Refused as refused:
                error = next(iter(refused.culprits.values()))
            except Again:
                error = Conflict("Too many requests are writing the same resources. Send the request again.")
            except Exception as cause:  # noqa: BLE001 - it belongs to the one who asked, who raises it
                error = failures.expected(cause)
        self._settle(waiting, error)
        self._traffic.go_on()

    async def _write(self, batch: list[Waiting]) -> None:
        """Write a batch in one transaction."""
        operations = batch[0].operations
        if len(batch) > 1:
            operations = Operations()
            for waiting in batch:
                operations.join(waiting.operations)
        async with self._database.client.start_session() as session:
            await once(session, lambda: operations.execute(self._database, session))
        self._workshop.trail.committed(operations.rows_of(self._workshop.trail.namespace))

    def _settle_culprits(self, batch: list[Waiting], refused: Refused) -> list[Waiting]:
        """Answer those whose guard failed; return the others."""
        others = []
        for waiting in batch:
            mine = waiting.operations.keys & refused.culprits.keys()
            if mine:
                self._settle(waiting, refused.culprits[mine.pop()])
            else:
                others.append(waiting)
        return others

    def _check_clock(self) -> None:
        if self._workshop.clock.lapsed:
            raise Unavailable(
                "The server was suspended while this write waited; nothing was stored. Send the request again."
            )


def _concerns_all(error: Exception) -> bool:
    """Return whether doing the writes of a batch one by one would not help: no database, or no word on the commit."""
    return isinstance(error, ConnectionFailure | Unavailable)


class Traffic:
    """What all lanes must know of each other.

    Attributes:
        busy: Resources that are being written.
        blocked: Lanes that hold a write back because of them.
    """

    __slots__ = ("blocked", "busy")

    def __init__(self) -> None:
        self.busy: set[Key] = set()
        self.blocked: set[Lane] = set()

    def go_on(self) -> None:
        """Let the blocked lanes look again."""
        blocked, self.blocked = self.blocked, set()
        for lane in blocked:
            lane.resume()


class Lane:
    """Writes that are done in the same way, some of them on the wire while the next ones gather."""

    def __init__(self, traffic: Traffic, run: Callable[[list[Waiting]], Awaitable[None]], width: int) -> None:
        self.tasks: set[asyncio.Task[None]] = set()
        self._traffic = traffic
        self._run = run
        self._width = width
        self._in_flight = 0
        self._waiting: list[Waiting] = []
        self._loop = asyncio.get_running_loop()

    def put(self, waiting: Waiting) -> None:
        """Take a write; a lone one is on its way at once."""
        self._waiting.append(waiting)
        self.resume()

    def resume(self) -> None:
        """Send what waits, if there is room on the wire."""
        if self._waiting and self._in_flight < self._width:
            self._in_flight += 1
            task = self._loop.create_task(self._drain())
            self.tasks.add(task)
            task.add_done_callback(self.tasks.discard)

    async def _drain(self) -> None:
        while batch := self._take():
            await self._run(batch)
            self._traffic.go_on()
        self._in_flight -= 1

    def _take(self) -> list[Waiting]:
        """Remove and return the next batch: in order, without what must wait for a write to the same resource."""
        batch: list[Waiting] = []
        kept: list[Waiting] = []
        busy, behind = self._traffic.busy, set[Key]()
        size = 0
        for position, waiting in enumerate(self._waiting):
            keys = waiting.operations.keys
            if not (keys.isdisjoint(busy) and keys.isdisjoint(behind)):
                kept.append(waiting)
                behind |= keys
                continue
            if batch and (len(batch) == MOST_UNITS or size + waiting.operations.size > MOST_BYTES):
                kept += self._waiting[position:]
                break
            batch.append(waiting)
            busy |= keys
            size += waiting.operations.size
        self._waiting = kept
        if behind:
            self._traffic.blocked.add(self)
        return batch
