"""Files in a folder (`model.files.Files`), which all server processes see: of one machine, or over a network file system."""

import asyncio
import os
import re
import shutil
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import IO, TypeVar
from uuid import uuid4

import structlog

from fhir_server.model.errors import NotFound, Unavailable
from fhir_server.model.files import FileStat

CHUNK = 2**20
PRIVATE = 0o700
UNFINISHED = ".part"
"""End of the names of files that are being written; their names begin with a dot."""

_NAME = re.compile(r"(?:[A-Za-z0-9_-][A-Za-z0-9._-]*/)*[A-Za-z0-9_-][A-Za-z0-9._-]*", re.ASCII)

T = TypeVar("T")


class Folder:
    """Files below one folder.

    Args:
        root: The folder; it is made with the first file.
    """

    def __init__(self, root: Path) -> None:
        self._root = root

    async def write(self, name: str, parts: AsyncIterator[bytes]) -> int:
        """Write a file in place of one of this name."""
        place = self._place(name)
        unfinished = place.parent / f".{uuid4().hex}{UNFINISHED}"
        file = await _tried(lambda: _opened(unfinished))
        size = 0
        try:
            async for part in parts:
                await _tried(partial(file.write, part))
                size += len(part)
            await _tried(lambda: _kept(file, unfinished, place))
        except BaseException:
            await asyncio.shield(asyncio.to_thread(_given_up, file, unfinished))
            raise
        return size

    async def stat(self, name: str) -> FileStat | None:
        """Return what is known of a file."""
        if not _NAME.fullmatch(name):
            return None
        return await _tried(lambda: _stat(self._root, self._root / name))

    async def read(self, name: str, start: int = 0, end: int | None = None) -> AsyncIterator[bytes]:
        """Yield the bytes of a file; it stays whole for who reads it when it is removed meanwhile."""
        absent = NotFound(f"There is no file {name} any more.")
        if not _NAME.fullmatch(name):
            raise absent
        try:
            file = await _tried(lambda: (self._root / name).open("rb"))
        except FileNotFoundError:
            raise absent from None
        with file:
            await _tried(lambda: file.seek(start))
            left = None if end is None else end - start
            while left is None or left > 0:
                most = CHUNK if left is None else min(left, CHUNK)
                part = await _tried(partial(file.read, most))
                if not part:
                    return
                left = None if left is None else left - len(part)
                yield part

    async def list(self, prefix: str) -> AsyncIterator[FileStat]:
        """Yield the files whose names begin so."""
        for found in await _tried(lambda: [*_found(self._root, prefix)]):
            yield found

    async def remove(self, prefix: str) -> int:
        """Remove the files whose names begin so, and what is left unfinished beside them."""
        return await _tried(lambda: _removed(self._root, prefix))

    def _place(self, name: str) -> Path:
        if not _NAME.fullmatch(name):
            raise ValueError(f"'{name}' is no name of a file")
        return self._root / name


async def _tried(work: Callable[[], T]) -> T:
    """Return what the work in a thread of its own comes to.

    Raises:
        FileNotFoundError: Something is not there.
        Unavailable: The folder cannot be read or written, or is full.
    """
    try:
        return await asyncio.to_thread(work)
    except FileNotFoundError:
        raise
    except OSError as error:
        structlog.get_logger("fhir_server.filing").error("folder_failed", error=error.strerror)
        raise Unavailable(
            f"The folder for files of jobs cannot be used now: {error.strerror}. Tell the operator of this server."
        ) from error


def _opened(unfinished: Path) -> IO[bytes]:
    unfinished.parent.mkdir(parents=True, exist_ok=True, mode=PRIVATE)
    return unfinished.open("xb")


def _kept(file: IO[bytes], unfinished: Path, place: Path) -> None:
    """Make the file what its name stands for, so that it survives a power failure from then on."""
    file.flush()
    os.fsync(file.fileno())
    file.close()
    unfinished.replace(place)
    folder = os.open(place.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _given_up(file: IO[bytes], unfinished: Path) -> None:
    # What waits in its buffer cannot be written where the disk is full, and need not be.
    with suppress(OSError):
        file.close()
    unfinished.unlink(missing_ok=True)


def _stat(root: Path, place: Path) -> FileStat | None:
    try:
        known = place.stat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    if not place.is_file():
        return None
    return FileStat(place.relative_to(root).as_posix(), known.st_size, datetime.fromtimestamp(known.st_mtime, UTC))


def _found(root: Path, prefix: str) -> Iterator[FileStat]:
    for place in _places(root, prefix):
        if not place.name.startswith(".") and (known := _stat(root, place)):
            yield known


def _places(root: Path, prefix: str) -> list[Path]:
    """Return the files whose names begin so, and those that are unfinished in a folder that is meant as a whole."""
    start = root / prefix.rpartition("/")[0]
    places = sorted(place for place in start.rglob("*") if place.is_file()) if start.is_dir() else []
    return [one for one in places if one.relative_to(root).as_posix().startswith(prefix)]


def _removed(root: Path, prefix: str) -> int:
    count = 0
    for place in _places(root, prefix):
        place.unlink(missing_ok=True)
        count += not place.name.startswith(".")
    if prefix.endswith("/"):
        shutil.rmtree(root / prefix, ignore_errors=True)
    return count
