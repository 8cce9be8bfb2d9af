"""Large code systems in the database: loaded from releases, read by providers, dropped."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

from pymongo import WriteConcern
from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import PyMongoError
from pymongo.read_concern import ReadConcern

from fhir_server.store import failures, shelves
from fhir_server.store.codecs import ENVELOPE
from fhir_server.store.loading import UNCONFIRMED, Loaded, Loading, Progress, streamed
from fhir_server.store.numbers import Numbers
from fhir_server.store.shelves import CONCEPTS, PIECES, SHIFT, Reading
from fhir_server.store.systems import SystemRow, Systems
from terminology.codesystem.pieces import MOST_BYTES, Memory
from terminology.codesystem.stored import Stored
from terminology.load.release import BrokenRelease, Release, Row
from terminology.store import PARENTS

GRACE_SECONDS = 60.0
"""How long the concepts of a version stay that no longer counts: requests that began before may still read them."""

AT_ONCE = 10_000
"""Concepts deleted by one command."""


class Concepts:
    """The large code systems in one database."""

    def __init__(self, database: AsyncDatabase[Any], numbers: Numbers | None = None) -> None:
        self._database = database.with_options(
            codec_options=ENVELOPE,
            write_concern=WriteConcern("majority", j=True),
            read_concern=ReadConcern("majority"),
        )
        self._systems = Systems(self._database, numbers)
        self._memory: Memory = Memory(MOST_BYTES)
        self._providers: dict[int, Stored] = {}

    async def version(self) -> int:
        """Return the number, which every change of what is loaded raises.

        Raises:
            Unavailable: The database cannot be reached.
        """
        return await self._systems.version()

    async def rows(self) -> list[SystemRow]:
        """Return a row for each version, by URL and version; those that are not whole (see `state`) among them.

        Raises:
            Unavailable: The database cannot be reached.
        """
        found = await self._systems.rows()
        loaded = {row.key for row in found if row.state == "loaded"}
        self._providers = {key: one for key, one in self._providers.items() if key in loaded}
        return found

    def provider(self, row: SystemRow) -> Stored:
        """Return the provider of a version that is loaded, the same one for all requests."""
        found = self._providers.get(row.key)
        if found is None:
            reading = Reading(self._database, row.key, row.head.canonical)
            found = self._providers[row.key] = Stored(row.head, reading, self._memory, row.key)
        return found

    async def load(self, release: Release, progress: Callable[[Progress], None] = lambda _: None) -> Loaded:
        """Load a release. The version counts when all of it is there; until then, one that was loaded before does.

        After a crash, the same release goes on where it was; nothing is done where it is loaded already.

        Args:
            release: With `base`, it is applied to that version, which stays.
            progress: Is told of progress.

        Raises:
            BrokenRelease: The release is not as releases are, or its base is not here. Nothing of it stays.
            Conflict: Another process has begun to load the same version since.
            Unavailable: The database cannot be reached.
        """
        await self.sweep()
        base = await self._base(release)
        try:
            await self._systems.prepare()
            digest = f"{release.digest}+{base.digest}" if base else release.digest
            claim = await self._systems.claim(release.head, digest)
        except PyMongoError as error:
            raise failures.expected(error) from error
        if claim.row.state == "loaded":
            return Loaded(claim.row, unchanged=True)
        rows = self._applied(release, base) if base else streamed(release)
        try:
            count, edges, resumed = await Loading(self._database, self._systems, claim, progress).run(release, rows)
        except BrokenRelease:
            await self._systems.dropping(claim.row)
            await self._delete(claim.row.key)
            raise
        await self._systems.loaded(claim, count, edges)
        (row,) = [one for one in await self.rows() if one.key == claim.row.key]
        return Loaded(row, resumed)

    async def drop(self, row: SystemRow) -> bool:
        """Make a version count no longer, whole or not; return whether it did until now. `sweep` deletes its concepts.

        Raises:
            Unavailable: The database cannot be reached, or did not confirm.
        """
        return await self._systems.dropping(row)

    async def sweep(self, seconds: float = GRACE_SECONDS) -> int:
        """Delete the concepts of versions that have not counted for some seconds; return how many versions are gone.

        Raises:
            Unavailable: The database cannot be reached.
        """
        try:
            keys = await self._systems.dropped(seconds)
            for key in keys:
                await self._delete(key)
        except PyMongoError as error:
            raise failures.expected(error) from error
        return len(keys)

    async def _delete(self, key: int) -> None:
        """Delete all of a version, the row last; in small steps, so that others are not kept waiting."""
        concepts = self._database.get_collection(CONCEPTS, write_concern=UNCONFIRMED)
        while last := await concepts.find_one(shelves.of(key), {"_id": 1}, sort=[("_id", -1)]):
            begin = max(last["_id"] + 1 - AT_ONCE, key << SHIFT)
            await concepts.delete_many({"_id": {"$gte": begin, "$lte": last["_id"]}})
            await asyncio.sleep(0)
        await self._database[PIECES].delete_many(shelves.pieces_of(key))
        await self._systems.forget(key)
        self._providers.pop(key, None)

    async def _base(self, release: Release) -> SystemRow | None:
        """Return the version that a release is applied to, `None` where it is whole."""
        if not release.base:
            return None
        url, version = release.head.url, release.base
        for row in await self.rows():
            if row.state == "loaded" and (row.head.url, row.head.version) == (url, version):
                return row
        raise BrokenRelease(
            f"The release changes version {version} of {url}, which is not loaded. Load that version first, or a full release."
        )

    async def _applied(self, release: Release, base: SystemRow) -> AsyncIterator[Row]:
        """Yield the concepts of the base as a release changes them, then those that it adds."""
        changed = {row.code: row for row in release.rows()}
        provider = self.provider(base)
        parents = await provider.pieces.edges(PARENTS)
        async for one in Reading(self._database, base.key, base.head.canonical).stream(parents):
            row = changed.pop(one.code, None)
            if one.code in release.removed:
                continue
            if row is None:
                above = await provider.codes(one.parents)
                row = Row(
                    one.code, one.display, one.definition, one.designations, one.properties, tuple(above),
                    one.inactive, one.abstract, one.status,
                )  # fmt: skip
            yield row
        for row in changed.values():
            yield row
