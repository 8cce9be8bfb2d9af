"""The hierarchy of a deployment, as it is now: kept in this process, and read again when it has changed anywhere.

Whoever writes an Organization or an OrganizationAffiliation raises its version and the epoch of authorization with the write
(`repository.effects`). So while the epoch is the one that was asked last, nothing has changed, and nothing is asked.
"""

import asyncio
from dataclasses import dataclass
from datetime import tzinfo

from fhir_server.facilities import nodes
from fhir_server.facilities.tree import Tree
from fhir_server.store.facilities import Census, Facilities


@dataclass(frozen=True, slots=True)
class Known:
    """A hierarchy, its version, and the epoch at which it was the one of now."""

    tree: Tree
    version: int
    epoch: int


class House:
    """Keeps the hierarchy.

    Args:
        facilities: Where it is read from.
        root: Id of the deployment's root Organization.
        zone: Time zone of dates that have none.
        base: Our own service base; absolute references below it are local ones.
    """

    def __init__(self, facilities: Facilities, root: str, zone: tzinfo, base: str = "") -> None:
        self._facilities = facilities
        self._root = root
        self._zone = zone
        self._base = base
        self._known: Known | None = None
        self._turn = asyncio.Lock()

    async def tree(self, epoch: int) -> Tree:
        """Return the hierarchy as it was at an epoch, or later.

        Args:
            epoch: Of authorization, as it was asked for this request.

        Raises:
            Unavailable: The database cannot be reached.
        """
        known = self._known
        if known and known.epoch >= epoch:
            return known.tree
        async with self._turn:
            known = self._known
            if known and known.epoch >= epoch:
                return known.tree
            if known and await self._facilities.version() == known.version:
                self._known = Known(known.tree, known.version, epoch)
                return known.tree
            return await self._read(epoch)

    async def now(self) -> Tree:
        """Return the hierarchy as it is now; for who does not know the epoch.

        Raises:
            Unavailable: The database cannot be reached.
        """
        known = self._known
        if known and await self._facilities.version() == known.version:
            return known.tree
        return await self._read(known.epoch if known else -1)

    async def _read(self, epoch: int) -> Tree:
        census = await self._facilities.read()
        tree = self._built(census)
        known = self._known
        if known is None or census.version >= known.version:
            self._known = Known(tree, census.version, max(epoch, known.epoch if known else -1))
        return tree

    def _built(self, census: Census) -> Tree:
        return Tree(
            (nodes.organization(one, self._base) for one in census.organizations),
            (nodes.affiliation(one, self._zone, self._base) for one in census.affiliations),
            self._root,
        )
