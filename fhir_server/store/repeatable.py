"""Inserts that may be sent twice and are done once, as MongoDB's retryable writes are.

The database knows a write by its session and number: where no answer came, because the primary changed or the connection broke, the
same one is sent again, and is answered as it was the first time if it had been done.
"""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any
from uuid import uuid4

from bson.binary import Binary
from bson.int64 import Int64
from pymongo import WriteConcern
from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import BulkWriteError, ConnectionFailure, OperationFailure

from fhir_server.store import direct

AGAIN = "RetryableWriteError"
DURABLE = {"w": "majority", "j": True}


class Repeatable:
    """A session of the database, in which inserts are made one after the other."""

    def __init__(self) -> None:
        self._session = {"id": Binary.from_uuid(uuid4())}
        self._number = 0
        self._turn = asyncio.Lock()

    async def insert(
        self, database: AsyncDatabase[Any], collection: str, documents: Sequence[Mapping[str, Any]]
    ) -> Mapping[str, Any]:
        """Insert documents, each by itself, when a majority has them in its journal; return the reply.

        Args:
            database: Where.
            collection: Where.
            documents: With `_id`, of 48 MB together at most.

        Raises:
            PyMongoError: It is not known what was stored.
        """
        if not direct.fits(database.client):
            return await _by_driver(database, collection, documents)
        async with self._turn:
            return await self._inserted(database, collection, documents)

    async def _inserted(
        self, database: AsyncDatabase[Any], collection: str, documents: Sequence[Mapping[str, Any]]
    ) -> Mapping[str, Any]:
        self._number += 1
        command: dict[str, Any] = {
            "insert": collection,
            "documents": documents,
            "ordered": False,
            "writeConcern": DURABLE,
            "lsid": self._session,
            "txnNumber": Int64(self._number),
        }
        try:
            reply = await direct.ask(database, {**command})
            if AGAIN not in reply.get("errorLabels", ()):
                return reply
        except (ConnectionFailure, OperationFailure) as error:
            if not (isinstance(error, ConnectionFailure) or error.has_error_label(AGAIN)):
                raise
        return await direct.ask(database, command)


async def _by_driver(
    database: AsyncDatabase[Any], collection: str, documents: Sequence[Mapping[str, Any]]
) -> Mapping[str, Any]:
    """Do the same as the driver does it."""
    target = database.get_collection(collection, write_concern=WriteConcern("majority", j=True))
    try:
        await target.insert_many(documents, ordered=False)
    except BulkWriteError as error:
        told = error.details["writeConcernErrors"]
        return {"writeErrors": error.details["writeErrors"]} | ({"writeConcernError": told[0]} if told else {})
    return {}
