"""Index entries of stored resources, made again beside the writers, and search parameters made complete by it.

The order of things: a parameter is entered into the register; every process that writes learns of it (`settled`); from then
on all that is written has its entries, so going once through all that is there makes it complete; then it is active.
"""

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from fhir_server.model import json
from fhir_server.model.queue import JobRecord
from fhir_server.repository.editions import Editions
from fhir_server.search import backfill, gates, index
from fhir_server.search.edition import Added
from fhir_server.search.index import SV
from fhir_server.search.layout import ADDED, added_indexes
from fhir_server.store import RESTRICTING, Indexed, Register, Rewrite, Store, same

CONTAINED = "contained"
AT_A_STRETCH = 10  # resources are indexed (about 100 µs each) before requests have their turn


@dataclass(frozen=True, slots=True)
class Step:
    """What going through some resources came to.

    Attributes:
        last: Where the last of them stands.
        seen: How many they were.
        changed: How many had other entries than they should.
    """

    last: str
    seen: int
    changed: int


class Reindexing:
    """Makes the index entries of stored resources again.

    Args:
        store: The database.
        editions: Tells and follows which search parameters there are.

    Attributes:
        extraction: The version of the extraction that it makes entries by.
    """

    extraction = SV

    def __init__(self, store: Store, editions: Editions) -> None:
        self._store = store
        self._editions = editions

    async def types(self, wanted: Sequence[str]) -> list[str]:
        """Return those of the resource types, or of all, of which anything is stored."""
        return [name for name in await self._store.types() if not wanted or name in wanted]

    async def total(self, types: Iterable[str]) -> int:
        """Return about how many resources of these types there are."""
        return sum([await self._store.reindexing.estimate(name) for name in types])

    async def begin(self) -> None:
        """Note which version of the extraction makes entries from now on; it is the one of a record in which nothing is stored yet.

        Raises:
            Unavailable: The database cannot be reached.
        """
        if not await self._store.types():
            await self._store.extraction.note(SV)
        await self._store.extraction.claim(SV)

    async def renew(self) -> JobRecord | None:
        """Queue going through everything if another version of the extraction has made entries; return that job.

        Until it is done searches say that they may miss something (`lagging`).

        Raises:
            Unavailable: The database cannot be reached.
        """
        if (await self._store.extraction.made()).is_all(SV):
            return None
        return await self._store.jobs.enqueue(backfill.KIND, backfill.payload(()), key=backfill.key(()))

    async def awaited(self, parameters: Iterable[str]) -> bool:
        """Return whether any of the added parameters is still building."""
        await self._editions.refresh()
        return not {one.id for one in self._editions.current.building}.isdisjoint(parameters)

    async def settled(self) -> int:
        """Return the version of the register that every write, by any process, keeps to from now on; waits until that is so.

        Raises:
            Unavailable: The database cannot be reached.
        """
        await self._editions.refresh()
        version = self._editions.current.version
        await self._store.clock.followed(version)
        await self._store.clock.quiet()
        return version

    async def step(self, resource_type: str, after: str) -> Step | None:
        """Index the next resources of a type by id anew; return `None` where there are no more.

        Nothing is written where the entries are right; where a writer comes first, nothing is left to do.

        Raises:
            Conflict: Entries could not be written.
            Unavailable: The database cannot be reached.
        """
        return await self._renewed(resource_type, await self._store.reindexing.batch(resource_type, after))

    async def holding(self, wanted: Sequence[str]) -> list[tuple[str, str]]:
        """Return what may hold contained resources of the types and is not of them itself, each with the type contained."""
        types = self._editions.current.extracted.types
        names = [name for name in await self._store.types() if wanted and name not in wanted]
        return [(name, held) for name in names if CONTAINED in types[name].elements for held in sorted(wanted)]

    async def step_inside(self, resource_type: str, contained_type: str, after: str) -> Step | None:
        """Do the same with the next resources of a type that contain one of another.

        Raises:
            Conflict: Entries could not be written.
            Unavailable: The database cannot be reached.
        """
        rows = await self._store.reindexing.containers(resource_type, contained_type, after)
        return await self._renewed(resource_type, rows)

    async def step_past(self, resource_type: str, after: str, *, whole: bool) -> Step | None:
        """Set what keeps the next superseded versions of a type from somebody: gates (`search.gates`) and labels.

        Of a superseded version nothing else is made anew: it is found by its instance only.

        Args:
            resource_type: The type.
            after: Where the one before stands.
            whole: Whether all are meant, as the labels that restrict may have changed; otherwise those of an earlier release.

        Raises:
            Unavailable: The database cannot be reached.
        """
        version = index.version(self._editions.intake.reading)
        rows = await self._store.reindexing.past(resource_type, after, 0 if whole else version)
        if not rows:
            return None
        changed: dict[str, dict[str, Any]] = {}
        for row in rows:
            resource = json.decode(row.body)
            gate = gates.gate(resource)
            fields = {"sv": version, **({"gt": gate} if gate else {}), **self._editions.intake.restrictions(resource)}
            if {name: row.fields[name] for name in RESTRICTING if name in row.fields} != fields:
                changed[row.id] = fields
        await self._store.reindexing.restrict(resource_type, changed)
        return Step(rows[-1].place, len(rows), len(changed))

    async def _renewed(self, resource_type: str, rows: Sequence[Indexed]) -> Step | None:
        if not rows:
            return None
        rewrites: list[Rewrite] = []
        for number, row in enumerate(rows, 1):
            fields = self._editions.intake.fields(json.decode(row.body))
            if not same(row.fields, fields):
                rewrites.append(Rewrite(row.id, row.vid, fields))
            if number % AT_A_STRETCH == 0:
                await asyncio.sleep(0)
        changed = await self._store.reindexing.rewrite(resource_type, rewrites)
        return Step(rows[-1].place, len(rows), changed)

    async def gone_through(self, resource_type: str) -> None:
        """Note that all resources of a type have entries of this version of the extraction.

        Raises:
            Unavailable: The database cannot be reached.
        """
        await self._store.extraction.note_type(resource_type, SV)

    async def complete(self, types: Sequence[str], version: int) -> list[str]:
        """Put the indexes of added parameters in order, note what is done, and make active what going through these types has made complete.

        Args:
            types: Types that were gone through, none for all.
            version: What `settled` returned before that.

        Returns:
            The codes of the parameters that became active.
        """
        await self._editions.refresh()
        made = await self._store.extraction.made()
        if not types or all(made.of(name) == SV for name in await self._store.types()):
            await self._store.extraction.note(SV)
        for name in await self.types(types):
            specs = added_indexes(name, self._editions.current.extracted)
            await self._store.exchange_indexes(name, ADDED, specs)
        activated: list[str] = []

        def rows(register: Register) -> list[dict[str, Any]] | None:
            added = [Added.of(row) for row in register.rows]
            done = [one for one in added if backfill.completes(one, types, version)]
            activated[:] = [one.parameter.code for one in done]
            return [replace(one, state="active").row() if one in done else one.row() for one in added] if done else None

        await self._store.parameters.change(rows)
        await self._editions.refresh()
        return activated
