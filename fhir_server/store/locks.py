"""Names that are locked: in this process, where those who want one queue, and by a row, over which transactions of others collide."""

import asyncio
from collections.abc import Sequence
from typing import Any

from pymongo.asynchronous.client_session import AsyncClientSession
from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import OperationFailure

from fhir_server.store import direct, failures
from fhir_server.store.transactions import Again, Held

LOCKS = "lk"
LOCKS_KEPT_SECONDS = 3600


class Locks:
    """Names locked in this process, so that its own contenders queue instead of colliding in the database."""

    def __init__(self) -> None:
        self._locks: dict[str, asyncio.Lock] = {}
        self._users: dict[str, int] = {}

    async def acquire(self, key: str) -> None:
        """Wait for the key."""
        lock = self._locks.setdefault(key, asyncio.Lock())
        self._users[key] = self._users.get(key, 0) + 1
        try:
            await lock.acquire()
        except BaseException:
            self._leave(key)
            raise

    def release(self, key: str) -> None:
        """Give the key back."""
        self._locks[key].release()
        self._leave(key)

    def _leave(self, key: str) -> None:
        self._users[key] -= 1
        if not self._users[key]:
            del self._users[key], self._locks[key]


async def take(database: AsyncDatabase[Any], keys: Sequence[str], session: AsyncClientSession) -> None:
    """Take the rows of keys for a transaction; of two that do so at the same time one begins again.

    Raises:
        Held: Another transaction has one.
        Again: Another process has just made one of the rows.
        PyMongoError: As the driver does.
    """
    upserts = [{"q": {"_id": key}, "u": [{"$set": {"at": "$$NOW"}}], "upsert": True} for key in keys]
    try:
        reply = await direct.ask(database, {"update": LOCKS, "updates": upserts}, session=session)
    except OperationFailure as error:
        if error.code == failures.WRITE_CONFLICT:
            raise Held from None
        raise
    if reply.get("writeErrors"):
        raise Again
