"""One clock, the database's; which writes are in flight; and how far back nothing can change any more.

A process estimates the database's time from the moments at which the database told it, always from below. While it
writes, its row in `writers` holds a floor: no write of it that is in flight, and none it starts before it moves the floor,
has begun earlier or has an earlier `lastUpdated`. The horizon is just below the lowest floor of all processes, so a reader
who takes everything up to it never misses a write that commits later (docs/decisions/one-clock.md).
"""

import asyncio
import contextlib
import math
import os
import secrets
import sys
import time
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from types import TracebackType
from typing import Any

from pymongo import WriteConcern
from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import PyMongoError

from fhir_server.model.background import ended
from fhir_server.model.errors import Unavailable
from fhir_server.store import failures, processes
from fhir_server.store.codecs import ENVELOPE
from fhir_server.store.grouping import Grouped

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MILLISECOND = timedelta(milliseconds=1)

HEARTBEAT = 0.1
IDLE_AFTER = 1.0
SAMPLES = 8
RENEW_AFTER = 30.0  # a floor published longer ago is not relied upon by a new write
LAPSED_AFTER = 60.0  # nor by one that waits to be sent: transactions live 60 s, and readers forget a row after 90 s
FORGOTTEN_AFTER = timedelta(seconds=90)
DEAD_AFTER = timedelta(seconds=1)
ABANDONED_AFTER = timedelta(days=1)
ASKED_AT_ONCE = 1000
PAUSE, LONG_PAUSE = 0.002, 0.05
BRIEF = 1.0
"""Seconds for which somebody who waits looks often: most writes have ended by then."""

CLEARING = 1.0

# An order is milliseconds << 20 | counter << 8 | a random number of the process: 4,096 a millisecond before it runs
# ahead of the clock, and two processes meet in one of 256 cases of the same counter in the same millisecond.
_STEP = 1 << 8


@dataclass(frozen=True, slots=True)
class Stamp:
    """The moment of a write.

    Attributes:
        now: Database time, UTC, whole milliseconds; `lastUpdated` of what is written.
        order: Time-ordered tie-break `o`; further documents of the same write take theirs from `Clock.order`.
    """

    now: datetime
    order: int


class Clock:
    """Database time, stamps for writes, and the horizon."""

    def __init__(self, database: AsyncDatabase[Any]) -> None:
        self._database = database
        self._writers = database.get_collection("writers", write_concern=WriteConcern("majority", j=True))
        self._id = secrets.token_hex(8)
        self._host = processes.host()
        self._offsets: deque[float] = deque(maxlen=SAMPLES)
        self._offset = 0.0  # the greatest of them
        self._estimated = 0  # the latest estimate: one that is lost by worse answers after it was no less true
        self._latest = 0  # stamp given, in milliseconds since 1970
        self._closed = 0  # horizon declared
        self._order = 0
        self._order_tail = secrets.randbelow(_STEP)
        self._held: dict[int, tuple[int, int]] = {}  # of each write in flight its stamp, and when it began
        self._holds = 0
        self._registered = False
        self._heard = 0.0
        self._used = 0.0
        self._turn = asyncio.Lock()
        self._heartbeat: asyncio.Task[None] | None = None
        self._follow: Callable[[], Awaitable[int]] | None = None
        self._edition = 0
        self._floors = Grouped(self._tell_floors, ASKED_AT_ONCE)

    def follow(self, renew: Callable[[], Awaitable[int]]) -> None:
        """Have this process learn what its writes must keep to: before the first after a pause, then at each heartbeat.

        The order is the point. A process says that it writes, and then looks what holds; who changes what holds says so, and
        then looks who writes. So either the writer sees the change, or `following` sees the writer.

        Args:
            renew: Makes this process keep to what holds now; returns the number of that edition.
        """
        self._follow = renew

    async def following(self, edition: int) -> bool:
        """Return whether every process that writes keeps to this edition or a later one.

        For writes that began before that was so, `quiet` waits.

        Raises:
            Unavailable: The database cannot be reached.
        """
        behind = {"floor": {"$type": "date"}, "edition": {"$not": {"$gte": edition}}}
        try:
            return await self._writers.find_one({"_id": {"$ne": self._id}, **behind, **_heard_of()}, {"_id": 1}) is None
        except PyMongoError as error:
            raise failures.expected(error) from error

    async def open(self) -> None:
        """Make this process's row, learn the database's time, and clear the rows of processes that are gone."""
        await self._publish(None, self._writers)
        await self.clear_dead()

    async def close(self) -> None:
        """Withdraw this process's row."""
        await self._floors.close()
        if self._heartbeat:
            await ended(self._heartbeat)
        if not self._held:
            with contextlib.suppress(PyMongoError):
                await self._writers.delete_one({"_id": self._id})

    def now(self) -> datetime:
        """Return the database's time, in whole milliseconds; it never runs backwards."""
        return _moment(max(self._estimate(), self._latest))

    def order(self) -> int:
        """Return the next tie-break: greater than all before it, in step with the clock."""
        self._order = max(self._order + _STEP, self._next() << 20 | self._order_tail)
        return self._order

    def writing(self) -> AbstractAsyncContextManager[Stamp]:
        """Return a context that gives a `Stamp` and counts as a write in flight until it ends.

        Raises:
            Unavailable: The database could not be told, on entering.
        """
        return _Writing(self)

    def hold(self, moment: datetime) -> int:
        """Count a write of that moment, which began no later, as in flight until `release`; return its ticket."""
        return self._hold((moment - EPOCH) // MILLISECOND)

    def release(self, ticket: int) -> None:
        """End what `hold` began."""
        self._used = time.monotonic()
        self._held.pop(ticket, None)

    @property
    def lapsed(self) -> bool:
        """Whether this process was silent for so long that readers may have stopped to wait for its writes."""
        return self._registered and time.monotonic() - self._heard > LAPSED_AFTER

    async def horizon(self) -> datetime:
        """Return the last moment up to which all writes are visible and none can be added, by any process.

        Raises:
            Unavailable: The database cannot be reached.
        """
        # Of its own writes a process knows more than its row tells: they delay the horizon until they are answered, no
        # longer. Later stamps are later than what is declared here.
        own = min(self._held.values())[0] - 1 if self._held else max(self._estimate(), self._latest)
        self._closed = max(self._closed, own)
        try:
            rows = await self._ask_floors()
            if not rows:  # somebody removed this process's row; the time must be asked before the floors
                rows = [{"now": await self._ask_time(), "floor": None}, *await self._ask_floors()]
        except PyMongoError as error:
            raise failures.expected(error) from error
        floors: list[datetime] = [row["floor"] - MILLISECOND for row in rows if row["floor"]]
        told: datetime = rows[0]["now"]
        return min(told, _moment(own), *floors)

    async def told(self) -> datetime:
        """Return the database's time, asked for now.

        Raises:
            Unavailable: The database cannot be reached.
        """
        try:
            return await self._ask_time()
        except PyMongoError as error:
            raise failures.expected(error) from error

    async def alone(self) -> bool:
        """Return whether no other process works on this record, or has worked and not been found to be gone.

        Raises:
            Unavailable: The database cannot be reached.
        """
        try:
            return await self._writers.find_one({"_id": {"$ne": self._id}}, {"_id": 1}) is None
        except PyMongoError as error:
            raise failures.expected(error) from error

    async def quiet(self, patience: float = math.inf) -> bool:
        """Wait until every write, by any process, that is in flight now has ended.

        What others do is measured by the database's time, asked for after the call: an estimate of it may lie before the
        beginning of a write that has begun already.

        Args:
            patience: For how many seconds.

        Returns:
            Whether they ended in time.

        Raises:
            Unavailable: The database cannot be reached.
        """
        here = self._estimate()
        elsewhere: datetime | None = None

        async def ended_by_now() -> bool:
            nonlocal elsewhere
            if min((begun for _, begun in self._held.values()), default=sys.maxsize) <= here:
                return False
            floors = await self._floors.ask(None)
            elsewhere = elsewhere or floors.told
            return floors.lowest is None or floors.lowest > elsewhere

        return await self._until(ended_by_now, patience)

    async def followed(self, edition: int) -> None:
        """Wait until every process that writes keeps to this edition or a later one (see `following`).

        Raises:
            Unavailable: The database cannot be reached.
        """
        await self._until(partial(self.following, edition), math.inf)

    async def clear_dead(self) -> None:
        """Remove processes of this machine that are gone, so that they hold neither the horizon nor documents back."""
        now = self.now()
        silent = self._writers.find({"host": self._host, "at": {"$lt": now - DEAD_AFTER}}, {"pid": 1})
        gone = {row["_id"]: row["pid"] async for row in silent if not processes.runs(row["pid"])}
        if gone:
            await processes.end_sessions(self._database.client, gone.values())
        await self._writers.delete_many(
            {"$or": [{"_id": {"$in": list(gone)}}, {"at": {"$lt": now - ABANDONED_AFTER}, "floor": None}]}
        )

    async def enter(self) -> tuple[Stamp, int]:
        """Return a stamp and the ticket of its hold (see `writing`)."""
        if not (self._registered and time.monotonic() - self._heard < RENEW_AFTER):
            await self._register()
        milliseconds = self._latest = self._next()
        self._order = max(self._order + _STEP, milliseconds << 20 | self._order_tail)
        return Stamp(_moment(milliseconds), self._order), self._hold(milliseconds)

    async def _until(self, done: Callable[[], Awaitable[bool]], patience: float) -> bool:
        """Ask again and again, and see to it that nobody waits for processes that are gone; return whether it was done in time."""
        began = cleared = time.monotonic()
        while not await done():
            now = time.monotonic()
            if now > began + patience:
                return False
            if now > cleared + CLEARING:
                cleared = now
                with contextlib.suppress(PyMongoError):
                    await self.clear_dead()
            await asyncio.sleep(PAUSE if now < began + BRIEF else LONG_PAUSE)
        return True

    def _estimate(self) -> int:
        """Return the database's time in milliseconds, or a little less; never less than before."""
        estimated = int(time.monotonic() * 1000 + self._offset)
        self._estimated = max(self._estimated, estimated)
        return self._estimated

    def _next(self) -> int:
        """Return the time of a stamp given now: not before an earlier stamp, and after every horizon declared."""
        return max(self._estimate(), self._latest, self._closed + 1)

    def _hold(self, milliseconds: int) -> int:
        self._holds += 1
        self._held[self._holds] = milliseconds, min(milliseconds, self._estimate())
        return self._holds

    def _floor(self) -> int:
        """Return a moment before which no write in flight has begun, and none that is to come will."""
        return min((begun for _, begun in self._held.values()), default=self._estimate())

    async def _tell_floors(self, asked: Sequence[None]) -> list["_Floors"]:
        """Answer all who ask for the floors of the other processes."""
        try:
            rows = await self._ask_floors()
        except PyMongoError as error:
            raise failures.expected(error) from error
        floors = _Floors(rows[0]["now"], rows[0]["floor"]) if rows else _Floors(self.now(), None)
        return [floors] * len(asked)

    async def _ask_floors(self) -> list[dict[str, Any]]:
        """Return at most one row: the lowest floor of the other processes, and a database time from before it was read.

        Who registers too late to be seen gets stamps later than that time (see `_register`).
        """
        silent = {"$lte": ["$at", {"$subtract": ["$$NOW", FORGOTTEN_AFTER // MILLISECOND]}]}
        counts_not = {"$or": [silent, {"$eq": ["$_id", self._id]}]}
        lowest = {"$min": {"$cond": [counts_not, None, "$floor"]}}
        cursor = await self._writers.aggregate([{"$group": {"_id": None, "floor": lowest}}, {"$set": {"now": "$$NOW"}}])
        return await cursor.to_list()

    async def _register(self) -> None:
        """Publish a floor before the first write after a pause; those who come meanwhile wait for the same answer."""
        async with self._turn:
            if self._registered and time.monotonic() - self._heard < RENEW_AFTER:
                return
            try:
                # Writes held over from before a pause keep their floor.
                await self._publish(_moment(self._floor()) if self._held else "$$NOW", self._writers)
                # A reader that did not see the row asked before it was there, so before this second question: stamps
                # are later than its answer, and so than any horizon such a reader took.
                self._offsets.clear()
                told = await self._ask_time()
                if self._follow:
                    self._edition = await self._follow()
            except PyMongoError as error:
                raise failures.expected(error) from error
            self._closed = max(self._closed, (told - EPOCH) // MILLISECOND)
            self._used = time.monotonic()
            self._registered = True
            if self._heartbeat is None or self._heartbeat.done():
                self._heartbeat = asyncio.create_task(self._beat(), name="clock heartbeat")

    async def _beat(self) -> None:
        """Move the floor while there are writes; withdraw it when there are none for a while."""
        # Losing a moved floor in a failover leaves the older one, which is safe; so one node's word is enough.
        writers = self._writers.with_options(write_concern=WriteConcern(1))
        cleared = time.monotonic()
        while True:
            await asyncio.sleep(HEARTBEAT)
            if time.monotonic() - cleared > DEAD_AFTER.total_seconds():
                cleared = time.monotonic()
                with contextlib.suppress(PyMongoError):
                    await self.clear_dead()
            if self._follow:
                with contextlib.suppress(PyMongoError, Unavailable):
                    self._edition = await self._follow()
            async with self._turn:
                idle = not self._held and time.monotonic() - self._used > IDLE_AFTER
                if idle:
                    self._registered = False  # first, so that whoever comes now registers after the withdrawal
                with contextlib.suppress(PyMongoError):
                    await self._publish(None if idle else _moment(self._floor()), writers)
                if idle:
                    return

    async def _publish(self, floor: Any, writers: Any) -> None:
        """Write this process's row and learn the database's time from the answer."""
        asked = time.monotonic()
        row = await writers.find_one_and_update(
            {"_id": self._id},
            [
                {
                    "$set": {
                        "floor": floor,
                        "at": "$$NOW",
                        "host": self._host,
                        "pid": os.getpid(),
                        "edition": self._edition,
                    }
                }
            ],
            upsert=True,
            return_document=True,
        )
        self._note(row["at"])
        self._heard = asked

    async def _ask_time(self) -> datetime:
        answer = await self._database.command("hello", codec_options=ENVELOPE)
        told: datetime = answer["localTime"]
        self._note(told)
        return told

    def _note(self, told: datetime) -> None:
        """Keep what the database said, against the time of hearing it: an estimate that is never ahead."""
        heard = time.monotonic() * 1000
        self._offsets.append((told - EPOCH) / MILLISECOND - heard)
        self._offset = max(self._offsets)


@dataclass(frozen=True, slots=True)
class _Floors:
    """What the other processes tell.

    Attributes:
        told: The database's time, from after it was asked and before their floors were read.
        lowest: The lowest of the floors, `None` where nobody else writes.
    """

    told: datetime
    lowest: datetime | None


class _Writing(AbstractAsyncContextManager[Stamp]):
    """One write in flight (a class, because a generator costs four times as much on this path)."""

    __slots__ = ("_clock", "_ticket")

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._ticket = 0

    async def __aenter__(self) -> Stamp:
        stamp, self._ticket = await self._clock.enter()
        return stamp

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._clock.release(self._ticket)


def _heard_of() -> dict[str, Any]:
    """Return the condition for processes that are not forgotten."""
    return {"$expr": {"$gt": ["$at", {"$subtract": ["$$NOW", FORGOTTEN_AFTER // MILLISECOND]}]}}


def _moment(milliseconds: int) -> datetime:
    return EPOCH + timedelta(milliseconds=milliseconds)
