"""Rows of reads that the trail could not take, on the disk of this machine until it can (`audit.fail` is `open`).

Each process has a file of its own, locked while it is in use, one row a line, flushed to the disk before the answer leaves. As soon
as the trail takes rows again they are written into it, known by their ids, so that it does no harm to do that twice; then a row of
kind `trail-gap` says how many there were and since when, and the file is removed. Files of processes that died are brought in by
any other one. Where the files reach their greatest size nobody is let past the trail any more.
"""

import asyncio
import contextlib
import fcntl
import os
from collections.abc import Awaitable, Callable, Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import structlog

from fhir_server.model import ids, json
from fhir_server.model.errors import FhirError, Unavailable
from fhir_server.store import Trail
from fhir_server.store.grouping import Grouped

FOLDER = "trail"
GAP = "trail-gap"
"""Kind of the row that tells of a gap."""

MOST_BYTES = 64 * 2**20
"""What the files of one folder may hold, some 200,000 rows."""

AT_ONCE = 1000
PATIENCE = 3.0
"""Seconds in which the trail must have taken a row."""

EVERY = 1.0
SELDOM = 8.0
"""Seconds from one look after what waits to the next, and the most while the trail fails."""

Row = dict[str, Any]


class Spool:
    """The files of one process, in front of its trail.

    Args:
        trail: Where rows belong.
        folder: Where they wait.
        most: Bytes that all files together may have.

    Attributes:
        waiting: Rows of this process that the trail has not.
    """

    def __init__(self, trail: Trail, folder: Path, most: int = MOST_BYTES) -> None:
        self.waiting = 0
        self._trail = trail
        self._folder = folder
        self._most = most
        self._is_broken = False
        self._file: _File | None = None
        self._appends = Grouped(self._append, AT_ONCE)
        self._log = structlog.get_logger("audit")

    async def add(self, row: Row) -> None:
        """Store a row durably: in the trail, or on the disk while that fails.

        Raises:
            Unavailable: Neither takes it.
        """
        if not self._is_broken:
            try:
                async with asyncio.timeout(PATIENCE):
                    await self._trail.add(row)
            except (Unavailable, TimeoutError) as error:
                if not self._is_broken:
                    self._log.error("trail_spooling", folder=str(self._folder), reason=str(error))
                self._is_broken = True
            else:
                return
        await self._appends.ask(json.encode(row) + b"\n")

    async def keep(self, link: Callable[[], Awaitable[None]]) -> None:
        """Bring in what waits, for as long as this runs.

        Args:
            link: Has rows that are stored linked.
        """
        pause = EVERY
        while True:
            try:
                await self.drain(link)
                pause = EVERY
            except (FhirError, OSError):
                pause = min(2 * pause, SELDOM)
            await asyncio.sleep(pause)

    async def close(self, link: Callable[[], Awaitable[None]]) -> None:
        """Bring in what waits, where that is possible; else the next process does it."""
        with contextlib.suppress(FhirError, OSError):
            await self.drain(link)
        await self._appends.close()
        if self._file:
            self._file.close()

    async def drain(self, link: Callable[[], Awaitable[None]]) -> None:
        """Write what waits into the trail, and remove its files.

        Raises:
            Unavailable: The trail does not take it.
            OSError: A file cannot be read or removed.
        """
        if self._file is None:
            self._is_broken = False  # nothing waits: the next row will show
        for path in sorted(self._folder.glob("*.jsonl")):
            own = self._file if self._file and self._file.path == path else None
            file = own or _File.left(path)
            if file is None:
                continue  # another process has it
            try:
                rows, since, until = await self._bring(file, own=own is not None)
                await self._trail.again([_gap(path.stem, rows, since, until)])
                await link()
                path.unlink()
                self._log.warning("trail_caught_up", rows=rows)
            finally:
                if file is not self._file:
                    file.close()

    async def _bring(self, file: "_File", *, own: bool) -> tuple[int, datetime | None, datetime | None]:
        """Write the rows of a file into the trail; return how many they are, and the times of the first and the last."""
        at, count = 0, 0
        since: datetime | None = None
        until: datetime | None = None
        while True:
            lines, at = await asyncio.to_thread(file.read, at)
            rows = [*_rows(lines)]
            if rows:
                await self._trail.again(rows)
                self._is_broken = False
                since, until, count = since or rows[0]["t"], rows[-1]["t"], count + len(rows)
            elif own and not self._appends.idle:
                await asyncio.sleep(0)  # somebody came before the trail was back
            elif not lines:
                break
        if own:
            self._file, self.waiting = None, 0
        return count, since, until

    async def _append(self, lines: Sequence[bytes]) -> Sequence[None]:
        try:
            if self._file is None:
                self._file = await asyncio.to_thread(_File.new, self._folder)
            await asyncio.to_thread(self._file.append, b"".join(lines), self._most)
        except OSError as error:
            raise Unavailable(
                "The audit trail cannot be written now, nor can its rows be kept on disk, and without them nothing is read. "
                "Tell the operator of this server."
            ) from error
        self.waiting += len(lines)
        return [None] * len(lines)


class _File:
    """A file of rows that this process has locked."""

    def __init__(self, path: Path, descriptor: int) -> None:
        self.path = path
        self._descriptor = descriptor

    @classmethod
    def new(cls, folder: Path) -> "_File":
        """Make a file."""
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = folder / f"{ids.new()}.jsonl"
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o600)
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        parent = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(parent)
        finally:
            os.close(parent)
        return cls(path, descriptor)

    @classmethod
    def left(cls, path: Path) -> "_File | None":
        """Return a file that a process left when it died, `None` where one has it."""
        try:
            descriptor = os.open(path, os.O_RDWR)
        except FileNotFoundError:
            return None
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return None
        return cls(path, descriptor)

    def append(self, lines: bytes, most: int) -> None:
        """Add lines, all or none, and have them on the disk.

        Raises:
            OSError: There is no room for them.
        """
        size = os.fstat(self._descriptor).st_size
        if len(lines) + sum(path.stat().st_size for path in self.path.parent.glob("*.jsonl")) > most:
            raise OSError("the files of rows that wait have reached their greatest size")
        try:
            left = memoryview(lines)
            while left:
                left = left[os.write(self._descriptor, left) :]
            os.fsync(self._descriptor)
        except OSError:
            os.ftruncate(self._descriptor, size)
            raise

    def read(self, at: int) -> tuple[list[bytes], int]:
        """Return whole lines from a place on, and the place behind them."""
        data = os.pread(self._descriptor, 2**20, at)
        whole = data[: data.rfind(b"\n") + 1]
        return whole.splitlines(), at + len(whole)

    def close(self) -> None:
        """Give up the file."""
        os.close(self._descriptor)


def _rows(lines: Sequence[bytes]) -> Iterator[Row]:
    """Yield the rows of lines; a line that is none is passed over, for what has no id is no row of anybody."""
    for line in lines:
        with contextlib.suppress(ValueError, KeyError, TypeError):
            row = json.decode(line)
            yield {**row, "_id": str(row["_id"]), "t": datetime.fromisoformat(row["t"])}


def _gap(gap: str, rows: int, since: datetime | None, until: datetime | None) -> Row:
    """Return the row that tells of a gap."""
    told = {"rows": str(rows), **({"since": since.isoformat(), "until": until.isoformat()} if since and until else {})}
    return {"_id": gap, "t": ids.moment(gap), "k": GAP, "a": "E", "oc": "8", "x": told}
