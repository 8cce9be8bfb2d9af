"""Large content: what a document of MongoDB should not carry lies in GridFS.

A wire form `j` above 1 MiB is uploaded before the write commits and the document names the file in `jb`; `r` keeps
everything but its texts above 64 KiB. GridFS takes no part in transactions, so a write that fails deletes its upload, and
`sweep` deletes what a crash left behind.
"""

import asyncio
from collections.abc import AsyncIterator, Collection, Iterable, Mapping, Sequence
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
SWEPT_AT_ONCE = 200


def slim(value: Any) -> Any:
    """Return the resource without its texts above 64 KiB (`null` in an array, absent in an object)."""
    if isinstance(value, Mapping):
        return {key: slim(child) for key, child in value.items() if not _long(child)}
    if isinstance(value, list | tuple):
        return [None if _long(child) else slim(child) for child in value]
    return value


def _long(value: Any) -> bool:
    return isinstance(value, str) and len(value) > LONG_TEXT


def _live(resource_type: str, ids: Collection[str]) -> tuple[str, dict[str, Any]]:
    return resource_type, {"_id": {"$in": [*ids]}}


def _past(resource_type: str, ids: Collection[str]) -> tuple[str, dict[str, Any]]:
    return f"{resource_type}_h", {"$or": [{"_id": {"$gte": f"{one}/", "$lt": f"{one}0"}} for one in ids]}


class Blobs:
    """The files of large resources."""

    def __init__(self, database: AsyncDatabase[Any]) -> None:
        self._database = database
        self._bucket = AsyncGridFSBucket(database, BUCKET)

    async def detach(self, resource_type: str, doc: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return the document as it is stored: itself, or with its large wire form uploaded and named in `jb`."""
        body = doc.get("j")
        if body is None or len(body) <= LARGE:
            return doc
        try:
            whose = {"type": resource_type}
            file = await self._bucket.upload_from_stream(str(doc["_id"]), bytes(body), metadata=whose)
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
        removed = 0
        async for files in self.orphans():
            await self.discard(files)
            removed += len(files)
        return removed

    async def orphans(self) -> AsyncIterator[Sequence[Any]]:
        """Yield, in batches, the files older than an hour that no version names.

        Safe beside writers: an upload is younger than an hour when its write commits, and from then on it is named without a
        gap, because a superseded version moves into the history within one transaction. So who is not seen in the live
        collection, and then not in the history, is nowhere.
        """
        newest = ObjectId.from_datetime(datetime.now(UTC) - ORPHAN_AFTER)
        files = self._database[f"{BUCKET}.files"].find(
            {"_id": {"$lt": newest}}, {"filename": 1, "metadata": 1}, sort=[("_id", 1)], batch_size=SWEPT_AT_ONCE
        )
        types: list[str] | None = None
        while batch := await files.to_list(SWEPT_AT_ONCE):
            types = types or await self._types()
            left = {row["_id"]: row.get("filename", "") for row in batch}
            whose = {row["_id"]: row.get("metadata", {}).get("type") for row in batch}
            for search in (_live, _past):
                for name in types:
                    ids = {text for file, text in left.items() if whose[file] in {name, None}}
                    if ids:
                        collection, clause = search(name, ids)
                        named = self._database[collection].find({**clause, "jb": {"$exists": True}}, {"jb": 1})
                        async for row in named:
                            left.pop(row["jb"], None)
            if left:
                yield [*left]

    async def _types(self) -> list[str]:
        """Return the resource types that have collections."""
        names = await self._database.list_collection_names()
        return sorted({name.removesuffix("_h") for name in names if name[0].isupper()})

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
