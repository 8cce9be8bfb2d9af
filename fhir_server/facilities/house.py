"""The hierarchy of a deployment, as it is now: kept in this process, and read again when it has changed anywhere.

Whoever writes an Organization or an OrganizationAffiliation raises its version and the epoch of authorization with the write
(`repository.effects`). So while the epoch is the one that was asked last, nothing has changed, and nothing is asked.
"""

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import tzinfo
from typing import TypeVar

from fhir_server.facilities import nodes
from fhir_server.facilities.nodes import Affiliation, Organization
from fhir_server.facilities.tree import Tree
from fhir_server.store.facilities import Census, Facilities, Resource, Versions

T = TypeVar("T")
AT_A_STRETCH = 500


@dataclass(frozen=True, slots=True)
class Known:
    """A hierarchy, its version, the epoch at which it was the one of now, and what it was made of."""

    tree: Tree
    version: int
    epoch: int
    organizations: Versions
    affiliations: Versions


NOTHING = Known(Tree((), (), ""), -1, -1, {}, {})


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
        self._asked = 0.0

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
                self._known = replace(known, epoch=epoch)
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
        async with self._turn:
            return await self._read(-1)

    async def lately(self, age: float) -> Tree:
        """Return the hierarchy as it was not longer than `age` seconds ago; for what need not follow it to the moment.

        Raises:
            Unavailable: The database cannot be reached.
        """
        if self._known is None or time.monotonic() - self._asked > age:
            self._asked = time.monotonic()
            return await self.now()
        return self._known.tree

    async def _read(self, epoch: int) -> Tree:
        """Read what has changed; only one does so at a time."""
        known = self._known or NOTHING
        census = await self._facilities.read(known.organizations, known.affiliations)
        if census.version == known.version:
            return known.tree
        tree = await self._built(known.tree, census)
        reached = max(epoch, known.epoch)
        self._known = Known(tree, census.version, reached, census.organizations.versions, census.affiliations.versions)
        return tree

    async def _built(self, before: Tree, census: Census) -> Tree:
        """Return the hierarchy of a census, whose unchanged parts are those of before."""

        def organization(resource: Resource) -> Organization:
            return nodes.organization(resource, self._base)

        def affiliation(resource: Resource) -> Affiliation:
            return nodes.affiliation(resource, self._zone, self._base)

        organizations = {one.id: one for one in before.organizations}
        organizations.update(await _parsed(census.organizations.changed, organization))
        affiliations = dict(before.affiliations)
        affiliations.update(await _parsed(census.affiliations.changed, affiliation))
        return Tree(
            (organizations[one] for one in census.organizations.versions),
            (affiliations[one] for one in census.affiliations.versions),
            self._root,
        )


async def _parsed(resources: Mapping[str, Resource], read: Callable[[Resource], T]) -> dict[str, T]:
    """Return what is read from resources by id; other requests have their turn meanwhile."""
    found = {}
    for number, (name, resource) in enumerate(resources.items(), 1):
        found[name] = read(resource)
        if number % AT_A_STRETCH == 0:
            await asyncio.sleep(0)
    return found
