"""Large content: what a document of MongoDB should not carry lies in GridFS.

A wire form `j` above 1 MiB is uploaded before the write commits and the document names the file in `jb`; `r` keeps
everything but its texts above 64 KiB. GridFS takes no part in transactions, so a write that fails deletes its upload, and
`sweep` deletes what a crash left behind.
"""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from bson import ObjectId
from gridfs.asynchronous import AsyncGridFSBucket
from gridfs.errors import NoFile
from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import PyMongoError

from fhir_server.model.errors import Unavailable
from fhir_server.store import failures

BUCKET = "blobs"
LARGE = 2**20
LONG_TEXT = 64 * 2**10
ORPHAN_AFTER = timedelta(hours=1)


def slim(value: Any) -> Any:
    """Return the resource without its texts above 64 KiB (`null` in an array, absent in an object)."""
    if isinstance(value, Mapping):
        return {key: slim(child) for key, child in value.items() if not _long(child)}
    if isinstance(value, list | tuple):
        return [None if _long(child) else slim(child) for child in value]
    return value


def _long(value: Any) -> bool:
    return isinstance(value, str) and len(value) > LONG_TEXT


class Blobs:
    """The files of large resources."""

    def __init__(self, database: AsyncDatabase[Any]) -> None:
        self._database = database
        self._bucket = AsyncGridFSBucket(database, BUCKET)

    async def detach(self, doc: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return the document as it is stored: itself, or with its large wire form uploaded and named in `jb`."""
        body = doc.get("j")
        if body is None or len(body) <= LARGE:
            return doc
        try:
            file = await self._bucket.upload_from_stream(str(doc["_id"]), bytes(body))
        except PyMongoError as error:
            raise failures.expected(error) from error
        rest = {key: value for key, value in doc.items() if key != "j"}
        return {**rest, "r": slim(doc.get("r", {})), "jb": file}

    async def discard(self, files: Iterable[Any]) -> None:
        """Delete the uploads of a write that did not happen."""
        for file in files:
            try:
                await self._bucket.delete(file)
            except (NoFile, PyMongoError):
                continue  # `sweep` will find it

    async def attach(self, docs: Iterable[Mapping[str, Any]]) -> Sequence[Mapping[str, Any]]:
        """Return the documents with their wire form `j`, in the same order."""
        return await asyncio.gather(*(self._attach(doc) for doc in docs))

    async def sweep(self) -> int:
        """Delete files older than an hour that no version names; return how many."""
        newest = ObjectId.from_datetime(datetime.now(UTC) - ORPHAN_AFTER)
        files = {
            row["_id"] async for row in self._database[f"{BUCKET}.files"].find({"_id": {"$lt": newest}}, {"_id": 1})
        }
        for name in await self._database.list_collection_names() if files else ():
            if name[0].isupper():
                cursor = self._database[name].find({"jb": {"$exists": True}}, {"jb": 1, "_id": 0})
                files -= {row["jb"] async for row in cursor}
        await self.discard(files)
        return len(files)

    async def _attach(self, doc: Mapping[str, Any]) -> Mapping[str, Any]:
        if "jb" not in doc:
            return doc
        try:
            stream = await self._bucket.open_download_stream(doc["jb"])
            body = await stream.read()
        except NoFile:
            raise Unavailable(
                f"The content of {doc['_id']} is missing in GridFS. Run `fhir-server doctor` to see what can be restored."
            ) from None
        except PyMongoError as error:
            raise failures.expected(error) from error
        return {**doc, "j": body}
