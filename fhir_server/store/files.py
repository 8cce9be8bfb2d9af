"""Files in GridFS (`model.files.Files`): every process of every machine sees them, and a backup has them.

They are written here and read by the driver: what it writes with gathers 48 MB before it sends any, and holds them several times.
"""

import contextlib
import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

from bson import ObjectId
from gridfs.asynchronous import AsyncGridFSBucket
from gridfs.errors import CorruptGridFile, NoFile
from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import PyMongoError

from fhir_server.model.errors import NotFound
from fhir_server.model.files import FileStat
from fhir_server.store import failures

BUCKET = "files"
CHUNK = 2**20
"""Bytes of a document: files are written and read from their beginning, so large ones cost the least."""

AT_ONCE = 4
"""Such documents that are sent at once."""

ORPHAN_AFTER = timedelta(days=1)
"""So old a file is whole, or will never be."""


class GridFiles:
    """Files of one database."""

    def __init__(self, database: AsyncDatabase[Any]) -> None:
        self._files = database[f"{BUCKET}.files"]
        self._chunks = database[f"{BUCKET}.chunks"]
        self._indexed = False
        self._bucket = AsyncGridFSBucket(database, BUCKET, chunk_size_bytes=CHUNK)

    async def write(self, name: str, parts: AsyncIterator[bytes]) -> int:
        """Write a file in place of one of this name."""
        file = ObjectId()
        try:
            await self._index()
            try:
                size = await self._pieces(file, parts)
                row = {
                    "_id": file,
                    "filename": name,
                    "length": size,
                    "chunkSize": CHUNK,
                    "uploadDate": datetime.now(UTC),
                }
                await self._files.insert_one(row)
            except BaseException:
                with contextlib.suppress(PyMongoError):  # else `sweep` finds them
                    await self._chunks.delete_many({"files_id": file})
                raise
            await self._discard({"filename": name, "_id": {"$ne": file}})
        except PyMongoError as error:
            raise failures.expected(error) from error
        return size

    async def stat(self, name: str) -> FileStat | None:
        """Return what is known of a file."""
        async for found in self._found({"filename": name}):
            return found
        return None

    async def read(self, name: str, start: int = 0, end: int | None = None) -> AsyncIterator[bytes]:
        """Yield the bytes of a file."""
        try:
            stream = await self._bucket.open_download_stream_by_name(name)
            left = (stream.length if end is None else min(end, stream.length)) - start
            await stream.seek(start)
            while left > 0 and (part := await stream.read(min(left, CHUNK))):
                left -= len(part)
                yield part
        except (NoFile, CorruptGridFile):
            raise NotFound(f"There is no file {name} any more.") from None
        except PyMongoError as error:
            raise failures.expected(error) from error

    async def list(self, prefix: str) -> AsyncIterator[FileStat]:
        """Yield the files whose names begin so."""
        async for found in self._found(_beginning(prefix)):
            yield found

    async def remove(self, prefix: str) -> int:
        """Remove the files whose names begin so."""
        try:
            return await self._discard(_beginning(prefix))
        except PyMongoError as error:
            raise failures.expected(error) from error

    async def sweep(self) -> int:
        """Remove the pieces of files that a crash kept from being written to their end; return of how many files."""
        newest = ObjectId.from_datetime(datetime.now(UTC) - ORPHAN_AFTER)
        removed = 0
        # An index has the ids of files in order, so that no piece is read.
        for file in await self._chunks.distinct("files_id", {"files_id": {"$lt": newest}}):
            if await self._files.find_one({"_id": file}, {"_id": 1}) is None:
                await self._chunks.delete_many({"files_id": file})
                removed += 1
        return removed

    async def _index(self) -> None:
        """Make the indexes that the specification of GridFS wants, once."""
        if not self._indexed:
            await self._chunks.create_index([("files_id", 1), ("n", 1)], unique=True)
            await self._files.create_index([("filename", 1), ("uploadDate", 1)])
            self._indexed = True

    async def _pieces(self, file: ObjectId, parts: AsyncIterator[bytes]) -> int:
        """Store the content of a file, and return its size."""
        waiting, size = bytearray(), 0
        async for part in parts:
            waiting += part
            while len(waiting) >= CHUNK * AT_ONCE:
                await self._store(file, size, bytes(waiting[: CHUNK * AT_ONCE]))
                del waiting[: CHUNK * AT_ONCE]
                size += CHUNK * AT_ONCE
        if waiting:
            await self._store(file, size, bytes(waiting))
        return size + len(waiting)

    async def _store(self, file: ObjectId, place: int, content: bytes) -> None:
        starts = range(0, len(content), CHUNK)
        await self._chunks.insert_many(
            [
                {"files_id": file, "n": (place + start) // CHUNK, "data": content[start : start + CHUNK]}
                for start in starts
            ]
        )

    async def _found(self, condition: dict[str, Any]) -> AsyncIterator[FileStat]:
        try:
            async for row in self._bucket.find(condition, sort=[("filename", 1), ("uploadDate", -1)]):
                yield FileStat(row.filename, row.length, row.upload_date.replace(tzinfo=UTC))
        except PyMongoError as error:
            raise failures.expected(error) from error

    async def _discard(self, condition: dict[str, Any]) -> int:
        gone = [row["_id"] async for row in self._files.find(condition, {"_id": 1})]
        for file in gone:
            try:
                await self._bucket.delete(file)
            except NoFile:
                continue  # another process was first
        return len(gone)


def _beginning(prefix: str) -> dict[str, Any]:
    return {"filename": {"$regex": f"^{re.escape(prefix)}"}}
