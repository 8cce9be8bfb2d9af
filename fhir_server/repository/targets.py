"""What references demand: their targets are there when they are written, and stay as long as they are referred to.

`record.references: off` switches all of it off. Absolute URLs elsewhere are never looked up.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from contextlib import asynccontextmanager
from dataclasses import dataclass
from time import monotonic
from typing import Any, TypeVar

from fhir_server.intake import Draft
from fhir_server.model import reference
from fhir_server.model.errors import Conflict, Unprocessable
from fhir_server.model.query import Where
from fhir_server.repository.pending import Key
from fhir_server.store import STAYING, Live, Mark, Store
from profiles.issue import Issue

T = TypeVar("T")

PATIENCE = 5.0
PAUSE = 0.01


class BeingDeleted(Conflict):
    """A reference leads to what another request is deleting; whether it stays is not decided yet."""

    def __init__(self, resource_type: str, resource_id: str) -> None:
        super().__init__(f"{resource_type}/{resource_id}, which this refers to, is being deleted. Try again.")


@dataclass(frozen=True, slots=True)
class Targets:
    """The rules of references, as one caller meets them.

    Attributes:
        store: The database.
        enforced: Whether there are any.
        readable: Resource type to what the caller may read.
        session: Of the unit of work, `None` outside of one.
    """

    store: Store
    enforced: bool
    readable: Callable[[str], Where]
    session: Any

    def of(self, draft: Draft) -> list[Key]:
        """Return what must be there for a draft to be stored; it may refer to itself."""
        if not self.enforced:
            return []
        own = (draft.resource_type, draft.id)
        return [key for text in draft.references if (key := _key(text)) != own]

    def kept(self, live: Live) -> frozenset[Key]:
        """Return what a current version refers to: nothing of it can be deleted as long as that is the current version."""
        return frozenset(map(_key, live.document.get("rf", ()))) if self.enforced else frozenset()

    async def require(
        self,
        needed: Mapping[Key, Draft],
        places: Mapping[Key, str],
        created: AbstractSet[Key] = frozenset(),
        deleted: AbstractSet[Key] = frozenset(),
    ) -> None:
        """Refuse references that lead nowhere.

        Args:
            needed: What must be there, each with a draft that refers to it.
            places: FHIRPath location of each draft, where that is not simply its type.
            created: What the same unit of work creates.
            deleted: What the same unit of work deletes.

        Raises:
            Unprocessable: Names every target that is not there.
            BeingDeleted: One is there, but may not be for long.
        """
        asked = [key for key in needed if key not in created]
        if not asked:
            return
        there = await self.store.exists(asked, lambda each: self.readable(each) & STAYING, self.session)
        missing = [key for key in asked if key not in there]
        if not missing:
            return
        undecided = [key for key in missing if key not in deleted]
        leaving = await self.store.exists(undecided, self.readable, self.session) if undecided else ()
        if leaving and len(undecided) == len(missing):
            await self.store.leaving.unmark(leaving)
            raise BeingDeleted(*min(leaving))
        raise _nowhere([_missing(key, needed[key], places) for key in missing])

    async def refuse_referrers(self, instances: Sequence[Key]) -> None:
        """Refuse that these are gone, in a unit of work that has deleted them, if anything still refers to one.

        Raises:
            Conflict: Names the first of them, and the other one if the caller may see it.
        """
        if not self.enforced or (len(instances) > 1 and not await self.store.referred(instances, self.session)):
            return
        for resource_type, resource_id in instances:
            await self.refuse_referrer(resource_type, resource_id)

    async def refuse_referrer(self, resource_type: str, resource_id: str) -> None:
        """Refuse to delete what another resource refers to.

        Raises:
            Conflict: Names the other one, if the caller may see it.
        """
        if not self.enforced:
            return
        itself = frozenset({(resource_type, resource_id)})
        referrer = await self.store.referrers(resource_type, resource_id, itself, self.session)
        if referrer:
            seen = await self.store.exists([referrer], self.readable, self.session)
            who = f"{referrer[0]}/{referrer[1]}" if seen else "another resource"
            raise Conflict(
                f"{resource_type}/{resource_id} cannot be deleted: {who} refers to it. Delete or change that first."
            )

    @asynccontextmanager
    async def leaving(self, instances: Sequence[Key]) -> AsyncIterator[Mark]:
        """Keep others from referring to the instances, which are about to be deleted, while inside."""
        if not self.enforced or not instances:
            yield Mark()
            return
        async with self.store.leaving.mark(instances) as mark:
            yield mark


def dangling(draft: Draft, keys: Sequence[Key]) -> Unprocessable:
    """Return the refusal of a draft that refers to what is not there."""
    return _nowhere([_missing(key, draft, {}) for key in keys])


async def patiently(attempt: Callable[[], Awaitable[T]]) -> T:
    """Run `attempt`; again, for some seconds, while it refers to something whose deletion is not decided yet."""
    deadline = monotonic() + PATIENCE
    while True:
        try:
            return await attempt()
        except BeingDeleted:
            if monotonic() > deadline:
                raise
        await asyncio.sleep(PAUSE)


def _nowhere(issues: Sequence[Issue]) -> Unprocessable:
    return Unprocessable(f"{len(issues)} references lead nowhere.", issues=issues)


def _key(text: str) -> Key:
    resource_type, _, resource_id = text.partition("/")
    return resource_type, resource_id


def _missing(key: Key, draft: Draft, places: Mapping[Key, str]) -> Issue:
    target = f"{key[0]}/{key[1]}"
    where = places.get((draft.resource_type, draft.id), draft.resource_type)
    place = next(
        (
            f"{place}.reference"
            for place, holder in reference.walk(draft.resource, where)
            if holder["reference"].partition("/_history/")[0].endswith(target)
        ),
        where,
    )
    return Issue(
        "error",
        "not-found",
        f"The reference leads to {target}, which is not here. Create it first, put it into the same transaction, or remove "
        "the reference.",
        place,
        "reference-not-found",
    )


def refuse_root(resource_type: str, resource_id: str, root: str) -> None:
    """Refuse to delete the deployment's root Organization.

    Raises:
        Conflict: It is that one.
    """
    if (resource_type, resource_id) == ("Organization", root):
        raise Conflict(
            f"Organization/{root} is the root of this deployment, the custodian of what no facility keeps. It stays; "
            "change its name and address as you like."
        )
