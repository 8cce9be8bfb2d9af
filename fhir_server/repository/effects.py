"""What writes of some types do besides: rules that are checked and registers that change in the same unit of work.

A row says of which types the changes concern it. A write that concerns none goes out by itself, grouped with those of
concurrent requests; one that does becomes a unit of work, and what it does besides is there if and only if the write is.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from fhir_server.repository import confirmed, hierarchy, relating, subscribing
from fhir_server.repository.ground import Ground
from fhir_server.repository.parameters import Parameters
from fhir_server.repository.rights import Rights
from fhir_server.search.custom import RESOURCE_TYPE
from fhir_server.store import Change, Create, Delete, Extra, Store, Unit
from fhir_server.store.facilities import LOCK


class Effect(Protocol):
    """Does what changes bring with them, in their unit of work, when they are written in it already."""

    async def __call__(self, ground: Ground, changes: Sequence[Change], unit: Unit) -> None:
        """Check, and write what goes with the changes; what it raises undoes all of it.

        Args:
            ground: What to stand on.
            changes: Those of the types that the effect is for.
            unit: The unit of work.
        """
        ...


def always(change: Change) -> bool:
    """Return that a change has the effect, whatever it changes."""
    return True


@dataclass(frozen=True, slots=True)
class Row:
    """One row.

    Attributes:
        types: Resource types whose changes it is for.
        effect: What it does.
        lock: Name of the lock that units with such changes hold from their beginning, so that they queue and do not collide;
            empty for effects that keep to the row of their resource.
        when: Which of the changes it is for, said quickly: a write that has no effect goes out with others.
    """

    types: frozenset[str]
    effect: Effect
    lock: str = ""
    when: Callable[[Change], bool] = always


async def _parameters(ground: Ground, changes: Sequence[Change], unit: Unit) -> None:
    """Enter search parameters into their register."""
    await Parameters(ground.store, ground.own, ground.published).enter(changes, unit, ground.places)


async def _hierarchy(ground: Ground, changes: Sequence[Change], unit: Unit) -> None:
    """Tell that the hierarchy is another one, and so, maybe, somebody's reach."""
    await ground.store.facilities.raise_version(unit.session)


async def _reach(ground: Ground, changes: Sequence[Change], unit: Unit) -> None:
    """Tell that somebody's reach may be another one."""
    await ground.store.facilities.raise_epoch(unit.session)


async def _relations(ground: Ground, changes: Sequence[Change], unit: Unit) -> None:
    """Keep which facilities have to do with which patients, and who objects."""
    seen = Rights(ground.store, ground.scope, ground.own, "", unit.session).referable
    zone, strict = ground.reading.zone, ground.rules.consent == "refuse"
    await relating.Relating(ground.store, unit, seen, zone, ground.places, ground.root, strict).follow(changes)


ORGANIZATIONS = frozenset({"Organization", "OrganizationAffiliation"})

TABLE: tuple[Row, ...] = (
    Row(frozenset({subscribing.TYPE}), subscribing.enter),
    Row(frozenset({RESOURCE_TYPE}), _parameters, "search-parameters"),
    Row(ORGANIZATIONS, hierarchy.check, "hierarchy", hierarchy.alters),
    Row(ORGANIZATIONS, _hierarchy, LOCK, hierarchy.alters),
    Row(frozenset({"Location"}), hierarchy.check, "places", hierarchy.alters),
    Row(confirmed.TYPES, confirmed.check, when=confirmed.loosens),
    Row(frozenset({"PractitionerRole"}), _reach, LOCK),
    Row(relating.TYPES, _relations, when=relating.relates),
)
"""All effects, in the order in which they take place. Whatever changes somebody's reach belongs into a row with that lock."""

CONCERNED = frozenset(name for row in TABLE for name in row.types)


def concerns(change: Change) -> bool:
    """Return whether a change has effects."""
    if isinstance(change, Extra) or change.resource_type not in CONCERNED:
        return False
    return any(row.when(change) for row in TABLE if change.resource_type in row.types)


async def needed(store: Store, changes: Sequence[Change]) -> bool:
    """Return whether changes have effects, looking at more than themselves where they do not tell.

    Raises:
        Unavailable: The database cannot be reached.
    """
    for row in TABLE:
        own = _concerned(row, changes)
        if own and (row.effect is not _relations or await relating.crosses(store, own)):
            return True
    return False


def types(changes: Sequence[Change]) -> frozenset[str]:
    """Return the resource types of changes."""
    return frozenset(change.resource_type for change in changes if not isinstance(change, Extra))


def locks(resource_types: Iterable[str]) -> list[str]:
    """Return the locks of units that change resources of these types, sorted."""
    concerned = frozenset(resource_types)
    return sorted({row.lock for row in TABLE if row.lock and row.types & concerned})


async def write(ground: Ground, changes: Sequence[Change], unit: Unit, *, locked: bool) -> None:
    """Write changes in a unit, with all their effects.

    Args:
        ground: What to stand on.
        changes: What is written.
        unit: The unit of work.
        locked: Whether the unit holds the locks of such changes from its beginning; else it has only begun.

    Raises:
        FhirError: An effect refuses them.
    """
    if not locked:
        await unit.lock(sorted({row.lock for row in TABLE if row.lock and _concerned(row, changes)}))
    await unit.apply(changes)
    for row in TABLE:
        if own := _concerned(row, changes):
            await row.effect(ground, own, unit)


def _concerned(row: Row, changes: Sequence[Change]) -> list[Change]:
    """Return the changes that a row is for."""
    return [one for one in changes if not isinstance(one, Extra) and one.resource_type in row.types and row.when(one)]


async def goes_along(ground: Ground, changes: Sequence[Change]) -> bool:
    """Return whether changes only alter the hierarchy, and in a way that goes out with others; they are checked already then.

    Raises:
        FhirError: What they do to the hierarchy is refused.
    """
    own = [one for one in changes if isinstance(one, Create | Delete) and hierarchy.apart(one)]
    if not own or len(own) < len([one for one in changes if not isinstance(one, Extra)]):
        return False
    for change in own:
        await hierarchy.check_apart(ground, change)
    return True


QUEUED: Mapping[str, Sequence[str]] = {
    name: locks({name}) for name in (*ORGANIZATIONS, "PractitionerRole", RESOURCE_TYPE)
}
"""Types of which a create and a deletion mostly hold locks, with their names."""


def queue(resource_type: str, resource: Mapping[str, Any]) -> Sequence[str]:
    """Return the locks that a create, or a deletion (of nothing), of a type will hold."""
    apart = resource_type == "Organization" and "partOf" not in resource
    return () if apart else QUEUED.get(resource_type, ())
