"""Finding the standing of a principal: role, facility, agreements, relationships, consents, links, each from where it is kept.

What only changes with the epoch is kept as long as the epoch and the clock allow; what may change with any write of a clinical
resource (who has a relationship) is asked for at each request, where there is an agreement that it matters for.
"""

from collections import OrderedDict
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import msgspec

from fhir_server.access import privileges
from fhir_server.access.care import Place as Where
from fhir_server.access.care import broken_by, care, related
from fhir_server.access.links import linked
from fhir_server.access.principal import Principal
from fhir_server.access.privileges import EVERYTHING, Privileges
from fhir_server.access.standing import Standing
from fhir_server.facilities.house import House
from fhir_server.facilities.tree import Tree
from fhir_server.model import json, reference
from fhir_server.model.query import ANYTHING
from fhir_server.search.expression import Anything, Nothing, OwnedBy
from fhir_server.search.types import date
from fhir_server.settings import Settings
from fhir_server.store import Store

KEPT = 2_000

ROLE = "PractitionerRole"
ALWAYS = date.Interval(date.EARLIEST, date.LATEST)
NOWHERE = Standing(privileges=privileges.NOTHING, custody=Nothing())
"""Of staff without a role that holds: they see the directory."""


class Place(msgspec.Struct, frozen=True):
    """Where somebody works.

    Attributes:
        facility: Organization, empty for nowhere.
        privileges: What the role allows.
        until: When the role begins or ends next, `None` for never.
    """

    facility: str
    privileges: Privileges
    until: datetime | None = None


class Standings:
    """Finds standings.

    Args:
        store: The record.
        house: The tree of organizations.
        settings: Effective settings.
    """

    def __init__(self, store: Store, house: House, settings: Settings) -> None:
        self._store = store
        self._house = house
        self._local = settings.access.roles
        self._facility = settings.record.facility
        self._reveals = settings.access.reveal == "staff"
        self._zone = ZoneInfo(settings.search.time_zone)
        self._epoch = -1
        self._places: OrderedDict[str, Place] = OrderedDict()

    async def find(self, principal: Principal, epoch: int, now: datetime) -> Standing:
        """Return the standing of a principal.

        Args:
            principal: Who.
            epoch: The epoch of authorization as this request has read it.
            now: The time.

        Raises:
            Unavailable: The database cannot be reached.
        """
        match principal.audience:
            case "patient":
                return await self._of_patient(principal)
            case "staff":
                return await self._of_staff(principal, epoch, now)
            case "system" if principal.facilities:
                tree = await self._house.tree(epoch)
                below = frozenset[str]().union(*(tree.below(one) for one in principal.facilities))
                custody = Anything() if tree.root in principal.facilities else OwnedBy(below)
                return Standing(principal.facility, custody=custody)
            case _:
                return Standing()

    async def _of_patient(self, principal: Principal) -> Standing:
        own = principal.own | ({principal.patient} - {""})
        records = {one: await linked(self._store, frozenset({one})) for one in sorted(own)}
        kept = await self._store.keepers("Patient", own.union(*records.values()))
        return Standing(records=records, keepers={one: keeper.custodian for one, keeper in kept.items()})

    async def _of_staff(self, principal: Principal, epoch: int, now: datetime) -> Standing:
        tree = await self._house.tree(epoch)
        place = await self._place(principal.acting_as, tree, epoch, now)
        if not place.facility:
            return replace(NOWHERE, until=place.until)
        custody = Anything() if place.facility == tree.root else OwnedBy(tree.below(place.facility))
        standing = Standing(place.facility, place.privileges, custody, reveals=self._reveals)
        if isinstance(standing.custody, Anything):
            glass = await broken_by(self._store, principal, None, now)
            return replace(standing, glass=glass, until=min(filter(None, (place.until, *glass.values())), default=None))
        sharing = tree.sharing(place.facility, now)
        networks = frozenset(one.network for one in tree.memberships(place.facility, now))
        members = sharing.network | sharing.related
        where = Where(tree.below(place.facility), networks, members, sharing.emergency)
        found = await care(self._store, principal, where, now)
        ends = (place.until, tree.changes_after(now), found.changes_at)
        return replace(
            standing,
            network=sharing.network,
            related=sharing.related,
            patients=found.patients,
            objecting=found.objecting,
            glass=found.glass,
            where=where,
            until=min((one for one in ends if one), default=None),
        )

    async def patients(self, principal: Principal, where: Where, now: datetime) -> frozenset[str]:
        """Return the patients of other facilities with a relationship at this moment.

        Raises:
            Unavailable: The database cannot be reached.
        """
        return await related(self._store, principal, where, now)

    async def facility(self, acting_as: str, epoch: int, now: datetime) -> str:
        """Return the facility that somebody works for by a PractitionerRole, empty for none.

        Raises:
            Unavailable: The database cannot be reached.
        """
        if not acting_as.startswith(f"{ROLE}/"):
            return ""
        return (await self._place(acting_as, await self._house.tree(epoch), epoch, now)).facility

    async def _place(self, acting_as: str, tree: Tree, epoch: int, now: datetime) -> Place:
        """Return where somebody works by a role; without roles at all, in a practice of one facility, at that one."""
        kind, _, role_id = acting_as.partition("/")
        if kind != ROLE:
            return Place(self._facility or tree.root, EVERYTHING) if tree.is_single else Place("", privileges.NOTHING)
        if epoch != self._epoch:
            self._places.clear()
            self._epoch = epoch
        kept = self._places.get(role_id)
        if kept and (kept.until is None or now < kept.until):
            return kept
        place = await self._read(role_id, now)
        self._places[role_id] = place
        if len(self._places) > KEPT:
            self._places.popitem(last=False)
        return place

    async def _read(self, role_id: str, now: datetime) -> Place:
        """Return where a PractitionerRole is held and what its codes allow; nowhere where it is not held now."""
        stored = await self._store.read(ROLE, role_id, ANYTHING)
        if stored is None:
            return Place("", privileges.NOTHING)
        role = json.decode(stored.body)
        held = next(date.intervals([("Period", role.get("period", {}))], self._zone), ALWAYS)
        if not role.get("active", True) or held.high <= now:
            return Place("", privileges.NOTHING)
        if now < held.low:
            return Place("", privileges.NOTHING, held.low)
        facility = reference.local(role.get("organization", {}).get("reference", ""), "")
        if facility is None or facility.resource_type != "Organization":
            return Place("", privileges.NOTHING)
        given = privileges.of(_codes(role.get("code", [])), self._local)
        return Place(facility.id, given, None if held.high == date.LATEST else held.high)


def _codes(concepts: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return the codings of concepts as `system|code`."""
    return [f"{one.get('system', '')}|{one.get('code', '')}" for each in concepts for one in each.get("coding", [])]
