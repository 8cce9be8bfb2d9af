"""One MongoDB transaction: run, begun again where it only met another one, committed for good."""

import asyncio
import contextlib
import random
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

from pymongo import ReadPreference, WriteConcern
from pymongo.asynchronous.client_session import AsyncClientSession
from pymongo.errors import PyMongoError
from pymongo.read_concern import ReadConcern

from fhir_server.store import failures

T = TypeVar("T")

PATIENCE = 20.0  # on a busy machine the first use of a type makes every transaction begin again for seconds
FIRST_PAUSE = 0.005
LONGEST_PAUSE = 0.25
HELD_PAUSE = 0.02
"""Seconds at most between two attempts to get a lock that another process holds: who waits longer than the gaps last never gets it."""

_SNAPSHOT = ReadConcern("snapshot")
_DURABLE = WriteConcern("majority", j=True)


class Again(Exception):
    """The attempt cannot go on, and a new one may succeed."""


class Held(Again):
    """A lock is held by another process, whose transactions follow each other at once."""


async def once(session: AsyncClientSession, work: Callable[[], Awaitable[T]]) -> T:
    """Run the work in a transaction of the session and commit it; abort it if the work raises.

    Raises:
        Unavailable: Nobody knows whether it is committed.
        PyMongoError: What the driver raised; nothing is committed.
    """
    await session.start_transaction(_SNAPSHOT, _DURABLE, ReadPreference.PRIMARY)
    try:
        result = await work()
    except BaseException:
        with contextlib.suppress(PyMongoError):
            await session.abort_transaction()
        raise
    # A caller who gives up must not stop a commit half-way: the answer is awaited, then the cancellation goes on.
    commit = asyncio.ensure_future(_commit(session))
    try:
        await asyncio.shield(commit)
    except asyncio.CancelledError:
        await asyncio.wait([commit])
        raise
    return result


async def retried(attempt: Callable[[], Awaitable[T]]) -> T:
    """Return what the attempt returns; begin again, after growing random pauses, when it only met another transaction.

    Raises:
        PyMongoError: What the driver raised when patience (20 s) was over, or what repetition cannot mend.
        Again: The same, of an attempt that asked for another one.
    """
    deadline = time.monotonic() + PATIENCE
    pause = FIRST_PAUSE
    while True:
        try:
            return await attempt()
        except (Again, PyMongoError) as error:
            transient = isinstance(error, Again) or error.has_error_label(failures.TRANSIENT)
            if not transient or time.monotonic() >= deadline:
                raise
            held = isinstance(error, Held)
        await asyncio.sleep(random.uniform(0, HELD_PAUSE if held else pause))  # noqa: S311 - jitter
        pause = pause if held else min(2 * pause, LONGEST_PAUSE)


async def _commit(session: AsyncClientSession) -> None:
    """Commit, asking again while the answer is unknown (a commit may be repeated without harm).

    Raises:
        Unavailable: Nobody knows whether it is committed: patience (20 s) is over and no answer told it.
        PyMongoError: It is not committed.
    """
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            await session.commit_transaction()
        except PyMongoError as error:
            if failures.undone(error):
                raise
            if time.monotonic() >= deadline:
                raise failures.unconfirmed() from error
            await asyncio.sleep(FIRST_PAUSE)
        else:
            return
