"""Rules that a hierarchy keeps, whatever is written and by whom: no circles, no inversions, no contradicting agreements.

They are checked in the unit of work that writes, after it has written, so that it sees all of its bundle; and units that
change the hierarchy hold one lock, so that no two of them make together what neither would make alone.
"""

from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from typing import Any

from fhir_server.access.scope_filter import ScopeFilter, Unrestricted
from fhir_server.facilities import nodes, rules
from fhir_server.facilities.nodes import Affiliation
from fhir_server.facilities.rules import Finding
from fhir_server.model.errors import Conflict, FhirError, Forbidden, Unprocessable
from fhir_server.repository.ground import Ground
from fhir_server.search.reading import Reading
from fhir_server.store import Change, Create, Delete, Extra, Store, Unit, Update
from fhir_server.store.facilities import AFFILIATION, LOCATION, ORGANIZATION
from profiles.issue import Issue

PART_OF, NETWORK, MEMBER = "partof", "primary-organization", "participating-organization"
ERRORS: Mapping[int, type[FhirError]] = {403: Forbidden, 409: Conflict, 422: Unprocessable}
ISSUES = {403: "forbidden", 409: "conflict", 422: "business-rule"}

Resource = Mapping[str, Any]


def _upper(resource: Resource) -> str:
    """Return the reference to what a resource is part of, as it is written."""
    return str(resource.get("partOf", {}).get("reference", ""))


PLACED: Mapping[str, Callable[[Resource], tuple[Any, ...]]] = {
    ORGANIZATION: lambda one: (nodes.organization(one), _upper(one), [*nodes.levels(one)]),
    LOCATION: lambda one: (_upper(one), rules.rank(one)),
}
"""All that says where a resource stands."""


def alters(change: Change) -> bool:
    """Return whether a change may make the hierarchy another one: a new address does not, nor does a place of its own."""
    if isinstance(change, Extra):
        return False
    if isinstance(change, Update) and (placed := PLACED.get(change.resource_type)):
        return placed(change.superseded["r"]) != placed(change.doc["r"])
    if change.resource_type != LOCATION:
        return True
    if isinstance(change, Delete):
        return False
    # Where its id was in use before, others may be part of it already.
    return "partOf" in change.doc["r"] or ("physicalType" in change.doc["r"] and change.doc["v"] > 1)


def apart(change: Change) -> bool:
    """Return whether a change only brings or takes an Organization that has to do with no other one.

    A new one that is part of nothing and whose id nobody can know yet, and one that is deleted, to which, as its deletion by itself
    sees to, nothing refers: whatever others do to the hierarchy meanwhile, neither makes the other wrong, so it needs no lock.
    """
    if isinstance(change, Create) and change.resource_type == ORGANIZATION:
        return change.doc["v"] == 1 and change.doc["m"] == "POST" and "partOf" not in change.doc["r"]
    return isinstance(change, Delete) and change.resource_type == ORGANIZATION


async def check_apart(ground: Ground, change: Create | Delete) -> None:
    """Refuse what `check` would, of a change that stands apart, before it is written.

    Raises:
        Conflict: An Organization that is deleted keeps records.
        Unprocessable: The level is none.
    """
    if isinstance(change, Delete):
        found = await _records(ground.store, change.id)
    else:
        found = [*rules.organization(change.doc["r"])]
    if found:
        raise refusal(found, change.resource_type)


async def _records(store: Store, organization: str, unit: Unit | None = None) -> list[Finding]:
    """Return what is wrong with the deletion of an Organization, as a unit sees it that writes other things too."""
    kept = await store.facilities.kept(organization, await store.types(), unit.session if unit else None)
    if not kept:
        return []
    text = (
        f"Organization/{organization} keeps records ({', '.join(kept[:5])}). It stays; set `active` to false when it "
        "has closed."
    )
    return [Finding("org-has-records", text)]


async def check(ground: Ground, changes: Sequence[Change], unit: Unit) -> None:
    """Refuse changes that would break a rule of the hierarchy.

    Raises:
        Forbidden: A membership is brought into force or ended otherwise than by both sides.
        Conflict: Agreements contradict each other, or an Organization that is deleted keeps records.
        Unprocessable: All else.
    """
    for change in changes:
        if isinstance(change, Extra):
            continue
        found = [one async for one in _Look(ground, unit).at(change)]
        if found:
            raise refusal(found, ground.places.get((change.resource_type, _id(change)), change.resource_type))


def refusal(found: Sequence[Finding], place: str) -> FhirError:
    """Return the error for findings: that of the first one, which is the only kind that it names."""
    status = rules.STATUS.get(found[0].code, 422)
    same = [one for one in found if rules.STATUS.get(one.code, 422) == status]
    issues = [
        Issue("error", ISSUES[status], one.text, f"{place}.{one.place}" if one.place else place, one.code)
        for one in same
    ]
    return ERRORS[status](same[0].text, issues=issues)


class _Look:
    """What a change makes of the hierarchy, as its unit sees it."""

    def __init__(self, ground: Ground, unit: Unit) -> None:
        self._facilities = ground.store.facilities
        self._store = ground.store
        self._scope = ground.scope
        self._reading: Reading = ground.reading
        self._session = unit.session
        self._others = unit if ground.places else None  # those of a bundle have places

    async def at(self, change: Create | Update | Delete) -> AsyncIterator[Finding]:
        """Yield what is wrong with a change."""
        look = {ORGANIZATION: self._organization, AFFILIATION: self._affiliation, LOCATION: self._location}
        async for one in look[change.resource_type](change):
            yield one

    async def _organization(self, change: Create | Update | Delete) -> AsyncIterator[Finding]:
        if isinstance(change, Delete):
            for one in await _records(self._store, change.id, self._others):
                yield one
            return
        resource = change.doc["r"]
        for one in rules.organization(resource):
            yield one
        own = nodes.organization(resource, self._reading.base)
        line = await self._line(ORGANIZATION, own.parent)
        if own.parent == own.id or any(one["id"] == own.id for one in line):
            yield Finding("org-cycle", f"Organization/{own.id} would be part of itself, over {_names(line)}.", "partOf")
            return
        upper = next((one for one in map(nodes.organization, line) if one.level), None)
        if upper:
            for one in rules.stands_below(own.id, own.level, upper.id, upper.level):
                yield one
        async for one in self._below(own.id, own.level):
            yield one
        for other, lower, higher in await self._sides(own.id):
            for one in rules.stands_below(lower.id, lower.level, higher.id, higher.level, "type"):
                yield Finding(one.code, f"{one.text} OrganizationAffiliation/{other} has it so.", one.place)

    async def _below(self, organization: str, level: str) -> AsyncIterator[Finding]:
        """Yield the nearest of those below that have a level, where it is a higher one."""
        waiting, seen = [organization], {organization}
        while level and waiting:
            for one in await self._facilities.referring(
                ORGANIZATION, [PART_OF], f"Organization/{waiting.pop()}", self._session
            ):
                part = nodes.organization(one)
                for finding in rules.stands_below(part.id, part.level, organization, level, "type"):
                    yield finding
                if not part.level and part.id not in seen:
                    seen.add(part.id)
                    waiting.append(part.id)

    async def _affiliation(self, change: Create | Update | Delete) -> AsyncIterator[Finding]:
        before = None if isinstance(change, Create) else self._read(change.superseded["r"])
        resource = None if isinstance(change, Delete) else change.doc["r"]
        own = self._read(resource) if resource else None
        if resource and own:
            for one in rules.affiliation(resource, own):
                yield one
        if by_hand := None if may_decide(self._scope) else rules.changed_by_hand(before, own):
            yield by_hand
        if own and own.active and own.network and own.member and own.network != own.member:
            async for one in self._in_force(own):
                yield one

    async def _in_force(self, own: Affiliation) -> AsyncIterator[Finding]:
        """Yield what is wrong with an affiliation that is in force, or will be."""
        if await self._leads_back(own):
            text = f"Organization/{own.network} is itself, over one or more memberships, a member of Organization/{own.member}."
            yield Finding("org-cycle", text, "participatingOrganization")
        for _, lower, higher in await self._levels([own]):
            for one in rules.stands_below(lower.id, lower.level, higher.id, higher.level, "participatingOrganization"):
                yield one
        others = await self._affiliations(own.member, MEMBER)
        for other in others:
            for one in rules.beside(own, other):
                yield one
        line = await self._line(ORGANIZATION, own.member)
        zone = next((one.zone for one in map(nodes.organization, line) if one.zone), "")
        for one in rules.resides(own, zone):
            yield one

    async def _leads_back(self, own: Affiliation) -> bool:
        """Return whether the network is, over affiliations of the same kind and time, a member of its member."""
        waiting, seen = [own.network], {own.network}
        while waiting:
            for one in await self._affiliations(waiting.pop(), MEMBER):
                if one.id == own.id or not one.overlaps(own) or not one.codes & own.codes:
                    continue
                if one.network == own.member:
                    return True
                if one.network not in seen:
                    seen.add(one.network)
                    waiting.append(one.network)
        return False

    async def _sides(self, organization: str) -> list[tuple[str, nodes.Organization, nodes.Organization]]:
        """Return the affiliations in force that an Organization is a side of, with the lower and the higher one."""
        both = await self._affiliations(organization, NETWORK, MEMBER)
        return await self._levels([one for one in both if one.active])

    async def _levels(
        self, affiliations: Iterable[Affiliation]
    ) -> list[tuple[str, nodes.Organization, nodes.Organization]]:
        found = []
        for one in affiliations:
            lower = await self._facilities.one(ORGANIZATION, one.member, self._session)
            higher = await self._facilities.one(ORGANIZATION, one.network, self._session)
            if nodes.MEMBER in one.codes and lower and higher:
                found.append((one.id, nodes.organization(lower), nodes.organization(higher)))
        return found

    async def _location(self, change: Create | Update | Delete) -> AsyncIterator[Finding]:
        if isinstance(change, Delete):
            return
        resource = change.doc["r"]
        parent = nodes.target(resource.get("partOf"), self._reading.base, LOCATION)
        line = await self._line(LOCATION, parent)
        if parent == resource["id"] or any(one["id"] == resource["id"] for one in line):
            text = f"Location/{resource['id']} would be part of itself, over {_names(line)}."
            yield Finding("location-cycle", text, "partOf")
            return
        for upper in line[:1]:
            for one in rules.place_below(resource, upper):
                yield one
        if "physicalType" in resource and change.doc["v"] > 1:
            target = f"{LOCATION}/{resource['id']}"
            for lower in await self._facilities.referring(LOCATION, [PART_OF], target, self._session):
                for one in rules.place_below(lower, resource):
                    yield Finding(one.code, one.text, "physicalType")

    async def _line(self, resource_type: str, first: str) -> list[Resource]:
        """Return an instance and what it is part of, upward, until the top or where a circle closes."""
        found: list[Resource] = []
        seen: set[str] = set()
        while first and first not in seen:
            seen.add(first)
            one = await self._facilities.one(resource_type, first, self._session)
            if one is None:
                break
            found.append(one)
            first = nodes.target(one.get("partOf"), self._reading.base, resource_type)
        return found

    async def _affiliations(self, organization: str, *parameters: str) -> list[Affiliation]:
        target = f"{ORGANIZATION}/{organization}"
        found = await self._facilities.referring(AFFILIATION, parameters, target, self._session)
        return [self._read(one) for one in found]

    def _read(self, resource: Resource) -> Affiliation:
        return nodes.affiliation(resource, self._reading.zone, self._reading.base)


def may_decide(scope: ScopeFilter) -> bool:
    """Return whether a caller may bring memberships into force by hand: this program, and systems that may change everything."""
    return isinstance(scope, Unrestricted) or (scope.principal.audience == "system" and scope.covers("u"))


def _id(change: Create | Update | Delete) -> str:
    return change.id if isinstance(change, Delete) else str(change.doc["_id"])


def _names(line: Sequence[Resource]) -> str:
    return ", ".join(f"{one['id']}" for one in line) or "itself"
