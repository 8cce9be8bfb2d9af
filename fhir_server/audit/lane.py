"""The lane of this process: its one appender makes links of the rows that it has stored, right after they are stored.

Links are made beside the requests, a few times a second: a number inside the transaction would leave gaps where one is aborted,
and cost every write another document (docs/decisions/audit-chain.md). What is not linked when a process dies is linked by
another one (`sealing`).
"""

import asyncio
import contextlib
import secrets
from collections.abc import Callable, Sequence
from datetime import datetime

import structlog

from fhir_server.audit.chain import START, link
from fhir_server.model.background import ended
from fhir_server.model.errors import FhirError
from fhir_server.store.chain import Chain

PAUSE = 0.2
"""Seconds in which rows gather for a link."""

MOST = 2000
"""Rows of one link, about 100 KB."""

AGAIN = 1.0
"""Seconds after which a link is tried again that could not be stored."""


class Lane:
    """The appender of one process.

    Args:
        chain: Where links are kept.
        clock: The database's time.
        pause: Seconds in which rows gather for a link.
    """

    def __init__(self, chain: Chain, clock: Callable[[], datetime], pause: float = PAUSE) -> None:
        self.name = secrets.token_hex(8)
        self._chain = chain
        self._clock = clock
        self._pause = pause
        self._waiting: list[bytes] = []
        self._number = 0
        self._before = START
        self._task: asyncio.Task[None] | None = None
        self._turn = asyncio.Lock()

    @property
    def has_linked(self) -> bool:
        """Whether this process has made a link."""
        return self._number > 0

    def take(self, rows: Sequence[bytes]) -> None:
        """Take rows that are stored, as the database has them; they are linked within a moment."""
        self._waiting += rows
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._append(), name="audit lane")

    async def flush(self) -> None:
        """Link what waits.

        Raises:
            Unavailable: The database cannot be reached.
        """
        async with self._turn:
            while rows := self._waiting[:MOST]:
                row = link(self.name, self._number + 1, self._clock(), self._before, rows)
                # A place that is taken is taken by this very link: it was stored, and the answer got lost.
                if not await self._chain.append(row):
                    there = await self._chain.row(row["_id"])
                    row = dict(there) if there else row
                    rows = self._waiting[: len(row["i"]) // 16]
                self._number += 1
                self._before = bytes(row["h"])
                del self._waiting[: len(rows)]

    async def close(self) -> None:
        """Link what waits, and end; rows of a database that is gone are left to the next process."""
        if self._task:
            await ended(self._task)
        with contextlib.suppress(FhirError):
            await self.flush()

    async def _append(self) -> None:
        while self._waiting:
            await asyncio.sleep(self._pause)
            try:
                await self.flush()
            except FhirError as error:
                structlog.get_logger("audit").warning("link_failed", error=type(error).__name__, lane=self.name)
                await asyncio.sleep(AGAIN)
