"""Loading a release: its concepts one after the other, then what is derived from them, then it counts.

What a killed process has stored stays: whoever loads the same again reads the release from its beginning, for what is derived,
and stores what is missing.
"""

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from pymongo import WriteConcern
from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import BulkWriteError, PyMongoError

from fhir_server.store import failures, shelves
from fhir_server.store.collections import ENGINE
from fhir_server.store.creation import create
from fhir_server.store.shelves import CONCEPTS, PIECES
from fhir_server.store.systems import Claim, SystemRow, Systems
from terminology.load.derived import Derived, Piece
from terminology.load.release import Release, Row
from terminology.store import folded

BATCH = 5_000
"""Concepts stored by one command."""

AT_A_STRETCH = 250
"""Rows that are read before others have their turn."""

UNCONFIRMED = WriteConcern(1)
"""Of all that is written before the version counts: the journal keeps the order, so what makes it count confirms the rest too."""

PIECE_BATCH, PIECE_BYTES = 1_000, 8 * 2**20


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a load is.

    Attributes:
        done: Concepts that are stored.
        total: Concepts that there will be, 0 where the release does not say.
        stage: `concepts` while they are stored, `indexes` while what is derived from them is.
    """

    done: int
    total: int
    stage: str = "concepts"


@dataclass(frozen=True, slots=True)
class Loaded:
    """A version that counts.

    Attributes:
        row: What it became.
        resumed: Concepts that an earlier process had stored.
        unchanged: Whether it was loaded from the same before, so that nothing was to be done.
    """

    row: SystemRow
    resumed: int = 0
    unchanged: bool = False


class Loading:
    """Loads one version.

    Args:
        database: Where to.
        systems: The rows.
        claim: The right to load it.
        progress: Is told of progress.
    """

    def __init__(
        self, database: AsyncDatabase[Any], systems: Systems, claim: Claim, progress: Callable[[Progress], None]
    ) -> None:
        self._database = database
        self._systems, self._claim, self._progress = systems, claim, progress
        self._concepts = database.get_collection(CONCEPTS, write_concern=UNCONFIRMED)
        self._pieces = database.get_collection(PIECES, write_concern=UNCONFIRMED)
        self._derived = Derived()

    async def run(self, release: Release, rows: AsyncIterator[Row]) -> tuple[int, int, int]:
        """Store concepts and pieces; return how many concepts and edges there are, and how many concepts were there before.

        Raises:
            BrokenRelease: The release is not as releases are.
            Conflict: Somebody else has claimed the version since.
            Unavailable: The database cannot be reached.
        """
        try:
            await self._prepare()
            resumed = await self._store(release, rows)
            self._progress(Progress(len(self._derived), len(self._derived), "indexes"))
            await self._derive()
        except PyMongoError as error:
            raise failures.expected(error) from error
        return len(self._derived), self._derived.edges, resumed

    async def _prepare(self) -> None:
        await create(self._database, CONCEPTS, storageEngine=ENGINE)
        await create(self._database, PIECES, storageEngine=ENGINE)
        index = {"name": shelves.INDEX, "key": {"s": 1, "k": 1}}
        await self._database.command({"createIndexes": CONCEPTS, "indexes": [index]})

    async def _store(self, release: Release, rows: AsyncIterator[Row]) -> int:
        key, exact = self._claim.row.key, release.head.case_sensitive
        there = await self._there()
        documents: list[dict[str, Any]] = []
        writing: asyncio.Task[None] | None = None
        try:
            async for row in rows:
                ordinal = self._derived.add(row)
                if ordinal >= there:
                    documents.append(shelves.document(key, ordinal, folded(row.code, case_sensitive=exact), row))
                if len(documents) >= BATCH:
                    if writing:
                        await writing
                    writing = asyncio.create_task(self._write(documents, release.head.count))
                    documents = []
                elif ordinal % AT_A_STRETCH == 0:
                    await asyncio.sleep(0)
            if writing:
                await writing
            await self._write(documents, release.head.count)
        except BaseException:
            if writing:
                await asyncio.wait([writing])
            raise
        return there

    async def _there(self) -> int:
        """Return from which ordinal on concepts are to be stored.

        Of a batch some may be there and others not; an earlier one was complete before it was begun.
        """
        last = await self._concepts.find_one(shelves.of(self._claim.row.key), {"_id": 1}, sort=[("_id", -1)])
        if not last:
            return 0
        ordinal: int = last["_id"] - (self._claim.row.key << shelves.SHIFT)
        return max(ordinal + 1 - 2 * BATCH, 0)

    async def _write(self, documents: Sequence[dict[str, Any]], total: int) -> None:
        if documents:
            try:
                await self._concepts.insert_many(documents, ordered=False)
            except BulkWriteError as error:
                _only_there(error)
        done = (documents[-1]["_id"] & 0xFFFFFFFF) + 1 if documents else len(self._derived)
        await self._systems.reached(self._claim, done)
        self._progress(Progress(done, total))

    async def _derive(self) -> None:
        """Store what is derived; that takes seconds of computing, so another thread does it."""
        key = self._claim.row.key
        await self._pieces.delete_many(shelves.pieces_of(key))
        pieces = self._derived.pieces()
        batch = await asyncio.to_thread(_some, pieces)
        while batch:
            documents = [{"_id": shelves.piece(key, kind, number), "b": content} for kind, number, content in batch]
            _, batch = await asyncio.gather(
                self._pieces.insert_many(documents, ordered=False), asyncio.to_thread(_some, pieces)
            )
        await self._systems.reached(self._claim, len(self._derived))


def _some(pieces: Iterator[Piece]) -> list[Piece]:
    """Return the next pieces, as many as go well into one command."""
    found: list[Piece] = []
    size = 0
    for one in itertools.islice(pieces, PIECE_BATCH):
        found.append(one)
        size += len(one[2])
        if size >= PIECE_BYTES:
            break
    return found


def _only_there(error: BulkWriteError) -> None:
    """Return where documents were refused only because they are there: a killed process had stored them."""
    details = error.details or {}
    if details.get("writeConcernErrors") or any(one["code"] != failures.DUPLICATE for one in details["writeErrors"]):
        raise error


async def streamed(release: Release) -> AsyncIterator[Row]:
    """Yield the rows of a release."""
    for row in release.rows():
        yield row
