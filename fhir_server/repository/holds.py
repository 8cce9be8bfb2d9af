"""Holds, kept true by every write: what a held resource holds with it is held from the same moment on.

A resource is held by the label `NOPAT` of its own, or by others that have one (`closure`): their `Type/id` are `hb` of its
envelope, and `held` is set where there is any. Both are found anew in the unit of work of each write that a hold depends on.
Writes that looked before a hold was there are waited for, and looked after, before the one that holds is answered.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from fhir_server.model.query import Where
from fhir_server.repository import closure
from fhir_server.repository.closure import DOWN, NAMING, UP, Key, Node
from fhir_server.repository.written import Written
from fhir_server.store import Change, Create, Delete, Extra, Store, Unit, Update

HELD = Where("clause", {"held": True})


@dataclass(frozen=True, slots=True)
class Holds:
    """The holds of one record.

    Attributes:
        store: The database.
        base: Our own service base.
        enforced: Whether references lead to what is there, so that nothing can name what is only being created.
    """

    store: Store
    base: str
    enforced: bool

    async def concerned(self, changes: Sequence[Change], session: Any = None) -> list[Key]:
        """Return those of the changed resources that a hold is or was on, or that something held brings with it.

        Args:
            changes: What is written, perhaps already, in the session.
            session: Of the unit of work, `None` outside of one.
        """
        found: list[Key] = []
        asked: dict[Key, frozenset[Key]] = {}
        for change in changes:
            if isinstance(change, Extra):
                continue
            key = _key(change)
            after = {} if isinstance(change, Delete) else change.doc
            before = {} if isinstance(change, Create) else change.superseded
            if after.get("held") or before.get("held"):
                found.append(key)
            elif holders := self._up(change.resource_type, after) - self._up(change.resource_type, before):
                asked[key] = holders
            if not self.enforced and isinstance(change, Create) and key not in found and await self._is_named(key):
                found.append(key)
        targets = {holder for holders in asked.values() for holder in holders}
        held = await self.store.exists(targets, lambda _: HELD, session) if targets else set()
        return [*found, *(key for key, holders in asked.items() if not held.isdisjoint(holders))]

    async def settle(self, changes: Sequence[Change], unit: Unit) -> list[Key]:
        """Bring the holds up to what changes make of them; return the changed resources that a hold is or was on.

        Args:
            changes: What is written in the unit already.
            unit: The unit of work.
        """
        concerned = await self.concerned(changes, unit.session)
        if concerned:
            own = [change for change in changes if not isinstance(change, Extra) and _key(change) in concerned]
            former = [self._former(change) for change in own]
            also = {key for each in former if each for key in each.down}
            await self._renew({*concerned, *also}, unit.session)
        return concerned

    async def sweep(self, keys: Sequence[Key]) -> None:
        """See to it that nothing was written unheld by those who looked for holds before these were there.

        Args:
            keys: Resources that a hold is or was on, as they are stored by now.
        """
        if keys:
            await self.store.holding.quiet()
            async with self.store.clock.writing():  # what it opens may not come before a horizon that was told already
                await self.store.transact(lambda unit: self._renew(set(keys), unit.session))

    async def swept(self, written: Written) -> Written:
        """Do that for what was written, where a hold is or was on it; return it."""
        await self.sweep([(written.stored.resource_type, written.stored.id)] if written.held else [])
        return written

    async def _renew(self, seeds: set[Key], session: Any) -> None:
        """Find anew by what the seeds, and all that they bring with them, are held."""
        around = Surroundings(self.store, self.base, session)
        affected = await around.below(seeds)
        await around.look_above(affected)
        roots = closure.roots(around.nodes)
        for key in sorted(affected):
            await self._mark(key, around, roots[key], afresh=key in seeds)

    async def _mark(self, key: Key, around: "Surroundings", roots: Iterable[Key], *, afresh: bool) -> None:
        """Set by what a resource is held; afresh where it has a version that does not tell of those before."""
        # Who names a Binary by its URL cannot be asked for; those that were not looked at hold it as before.
        before = [*around.documents[key].get("hb", ())]
        kept = [text for text in before if _parsed(text) not in around.nodes] if key[0] == "Binary" else []
        by = sorted({*kept, *("/".join(root) for root in roots)})
        held = bool(by) or around.nodes[key].own
        if afresh or by != before or held != bool(around.documents[key].get("held")):
            opens = not held and bool(around.documents[key].get("held"))
            await self.store.holding.mark(*key, by, around.session, held=held, opens=opens)

    async def _is_named(self, key: Key) -> bool:
        """Return whether something held names what is only being created."""
        return await self.store.holding.named_by_held(sorted(NAMING), "/".join(key))

    def _up(self, resource_type: str, document: Mapping[str, Any]) -> frozenset[Key]:
        if resource_type not in UP or "r" not in document:
            return frozenset()
        return closure.node(resource_type, document, self.base).up

    def _former(self, change: Create | Update | Delete) -> Node | None:
        """Return what a resource was to holds before."""
        if isinstance(change, Create) or change.resource_type not in DOWN:
            return None
        return closure.node(change.resource_type, change.superseded, self.base)


@dataclass(slots=True)
class Surroundings:
    """Resources and what is connected with them, as far as it was looked at.

    Attributes:
        store: The database.
        base: Our own service base.
        session: Of the unit of work.
        nodes: What was looked at and is there.
        documents: The same as it is stored.
    """

    store: Store
    base: str
    session: Any
    nodes: dict[Key, Node] = field(default_factory=dict)
    documents: dict[Key, Mapping[str, Any]] = field(default_factory=dict)

    async def below(self, seeds: Iterable[Key]) -> set[Key]:
        """Return those of the seeds that are there, with all that they would hold with them."""
        present = frozenset(await self.store.types())
        found = edge = await self._load(seeds)
        while edge:
            down = {key for one in edge for key in self.nodes[one].down}
            holders = [one for one in edge if one[0] not in closure.NEVER]
            edge = await self._load(down) | await self._load_referring(holders, UP.keys() & present)
            found = found | edge
        return found

    async def look_above(self, keys: Iterable[Key]) -> None:
        """Look at all that could hold these."""
        present = frozenset(await self.store.types())
        edge = set(keys)
        while edge:
            up = {key for one in edge for key in self.nodes[one].up}
            edge = await self._load(up) | await self._load_referring(edge, NAMING & present)

    async def _load(self, keys: Iterable[Key]) -> set[Key]:
        new: set[Key] = set()
        for name, ids in _by_type(key for key in keys if key not in self.nodes).items():
            new |= self._enter(name, await self.store.holding.nodes(name, ids, closure.elements(name), self.session))
        return new

    async def _load_referring(self, keys: Iterable[Key], types: Iterable[str]) -> set[Key]:
        new: set[Key] = set()
        targets = sorted("/".join(key) for key in keys)
        for name in sorted(types) if targets else ():
            rows = await self.store.holding.referring(name, targets, closure.elements(name), self.session)
            new |= self._enter(name, rows)
        return new

    def _enter(self, resource_type: str, rows: Iterable[Mapping[str, Any]]) -> set[Key]:
        new: set[Key] = set()
        for row in rows:
            key = (resource_type, row["_id"])
            if key not in self.nodes:
                self.nodes[key] = closure.node(resource_type, row, self.base)
                self.documents[key] = row
                new.add(key)
        return new


def _key(change: Create | Update | Delete) -> Key:
    return change.resource_type, change.id if isinstance(change, Delete) else change.doc["_id"]


def _parsed(text: str) -> Key:
    resource_type, _, resource_id = text.partition("/")
    return resource_type, resource_id


def _by_type(keys: Iterable[Key]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for resource_type, resource_id in sorted(keys):
        found.setdefault(resource_type, []).append(resource_id)
    return found
