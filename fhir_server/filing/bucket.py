"""Files in a bucket of an S3-compatible store (`model.files.Files`)."""

from collections.abc import AsyncIterator
from datetime import timedelta
from importlib import import_module
from typing import Any

import structlog

from fhir_server.model.errors import NotFound, Unavailable
from fhir_server.model.files import FileStat
from fhir_server.settings.bulk import Bulk

PIECE = 8 * 2**20
"""Bytes that go to the store at once; more than its least size of a part, 5 MiB."""

AT_ONCE = 2
CHUNK = 2**20
PATIENCE = timedelta(seconds=20)
"""How long a request is tried again that the store does not answer."""

MOST_REMOVED = 1_000


class Bucket:
    """Files of one bucket.

    Args:
        settings: Which.
    """

    def __init__(self, settings: Bulk) -> None:
        self._obstore, store, self._errors = _library()
        secret = settings.secret_key.get_secret_value() if settings.secret_key else ""
        keys = {"access_key_id": settings.access_key, "secret_access_key": secret} if secret else {}
        # A store of one's own has no DNS name for each bucket, and often no certificate.
        own = {"endpoint": settings.endpoint.rstrip("/"), "virtual_hosted_style_request": "false"}
        self._store = store.S3Store(
            settings.bucket,
            prefix=settings.prefix.rstrip("/") or None,
            config={"region": settings.region, **keys, **(own if settings.endpoint else {})},
            client_options={"allow_http": settings.endpoint.startswith("http://"), "timeout": "60s"},
            retry_config={"max_retries": 3, "retry_timeout": PATIENCE},
        )

    async def write(self, name: str, parts: AsyncIterator[bytes]) -> int:
        """Write a file in place of one of this name."""
        source = _Source(parts)
        first = await source.piece()
        try:
            if len(first) < PIECE:
                await self._obstore.put_async(self._store, name, first, use_multipart=False)
            else:
                await self._obstore.put_async(
                    self._store,
                    name,
                    source.pieces(first),
                    use_multipart=True,
                    chunk_size=PIECE,
                    max_concurrency=AT_ONCE,
                )
        except Exception as error:
            if source.failure:  # it comes out of the library as one of its own
                raise source.failure from None
            if isinstance(error, self._errors.BaseError | OSError):
                raise _unavailable(error) from error
            raise
        return source.size

    async def stat(self, name: str) -> FileStat | None:
        """Return what is known of a file."""
        try:
            known = await self._obstore.head_async(self._store, name)
        except (FileNotFoundError, self._errors.NotFoundError):
            return None
        except (self._errors.BaseError, OSError) as error:
            raise _unavailable(error) from error
        return FileStat(name, known["size"], known["last_modified"])

    async def read(self, name: str, start: int = 0, end: int | None = None) -> AsyncIterator[bytes]:
        """Yield the bytes of a file."""
        stat = await self.stat(name)
        if stat is None:
            raise NotFound(f"There is no file {name} any more.")
        end = stat.size if end is None else min(end, stat.size)
        if start >= end:
            return
        try:
            got = await self._obstore.get_async(self._store, name, options={"range": (start, end)})
            async for part in got.stream(min_chunk_size=CHUNK):
                yield bytes(part)
        except (FileNotFoundError, self._errors.NotFoundError):
            raise NotFound(f"There is no file {name} any more.") from None
        except (self._errors.BaseError, OSError) as error:
            raise _unavailable(error) from error

    async def list(self, prefix: str) -> AsyncIterator[FileStat]:
        """Yield the files whose names begin so."""
        try:
            async for rows in self._obstore.list(self._store, prefix=prefix.rpartition("/")[0] or None):
                for row in rows:
                    if row["path"].startswith(prefix):
                        yield FileStat(row["path"], row["size"], row["last_modified"])
        except (self._errors.BaseError, OSError) as error:
            raise _unavailable(error) from error

    async def remove(self, prefix: str) -> int:
        """Remove the files whose names begin so."""
        names = [one.name async for one in self.list(prefix)]
        try:
            for start in range(0, len(names), MOST_REMOVED):
                await self._obstore.delete_async(self._store, names[start : start + MOST_REMOVED])
        except (FileNotFoundError, self._errors.NotFoundError):
            return len(names)  # another process was first
        except (self._errors.BaseError, OSError) as error:
            raise _unavailable(error) from error
        return len(names)


class _Source:
    """What is written, in pieces that a store takes.

    Attributes:
        size: Bytes that were taken of it.
        failure: Why it broke off.
    """

    def __init__(self, parts: AsyncIterator[bytes]) -> None:
        self._parts = parts
        self.size = 0
        self.failure: BaseException | None = None

    async def piece(self) -> bytes:
        """Return the next piece; a shorter one is the last."""
        waiting: list[bytes] = []
        size = 0
        while size < PIECE:
            part = await anext(self._parts, None)
            if part is None:
                break
            waiting.append(part)
            size += len(part)
        self.size += size
        return b"".join(waiting)

    async def pieces(self, first: bytes) -> AsyncIterator[bytes]:
        """Yield all pieces."""
        try:
            piece = first
            while piece:
                yield piece
                piece = await self.piece()
        except BaseException as error:
            self.failure = error
            raise


def _library() -> tuple[Any, Any, Any]:
    # The settings have seen that it is there.
    return import_module("obstore"), import_module("obstore.store"), import_module("obstore.exceptions")


def _unavailable(error: Exception) -> Unavailable:
    # What the store says may hold names and keys; the log of the operator has only its kind.
    structlog.get_logger("fhir_server.filing").error("bucket_failed", error=type(error).__name__)
    return Unavailable(
        "The store for files of jobs cannot be reached now, or refuses. Tell the operator of this server."
    )
