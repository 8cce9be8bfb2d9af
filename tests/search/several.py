"""Searches of several types and of compartments, generated, and told by a plain scan over all that was stored."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from random import Random

from tests.search import asking
from tests.search.naive import evaluate
from tests.search.oracle import Resource, parameters, selects
from tests.search.package import Package
from tests.search.selections import PARAMETERS

SORTS = ("", "", "_id", "-_id", "_lastUpdated", "-_lastUpdated")
NEWEST = "-_lastUpdated"
"""The order of several types where none is asked for."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A search of several types, or of the part of them that belongs to a compartment.

    Attributes:
        path: Below the service base.
        pairs: What is asked there.
        criteria: The pairs that are criteria.
        types: The types that are searched.
        sort: The order of what is found; empty where that of the type is not told.
    """

    path: str
    pairs: asking.Pairs
    criteria: asking.Pairs
    types: Sequence[str]
    sort: str


@dataclass(frozen=True, slots=True)
class Compartments:
    """What belongs to each compartment (R4 CompartmentDefinition).

    Attributes:
        types: Compartment -> the types that it may hold.
        held: `Type/id` that a compartment is about -> `Type/id` of what names it.
    """

    types: Mapping[str, list[str]]
    held: Mapping[str, set[str]]

    def holds(self, place: str, resource: Resource) -> bool:
        """Return whether a resource belongs to the compartment of an instance; the instance itself does."""
        own = f"{resource['resourceType']}/{resource['id']}"
        return own == place or own in self.held.get(place, ())


def compartments(resources: Mapping[str, list[Resource]], package: Package) -> Compartments:
    """Return the compartments of all that was stored."""
    held: dict[str, set[str]] = {}
    for code, links in package.links.items():
        for name, expressions in links.items():
            for one in resources.get(name, ()):
                for value in [value for expression in expressions for value in evaluate(expression, one)]:
                    if value.get("reference", "").startswith(f"{code}/"):
                        held.setdefault(value["reference"], set()).add(f"{name}/{one['id']}")
    return Compartments({code: sorted({code, *links}) for code, links in package.links.items()}, held)


def of_types(chance: Random, resources: Mapping[str, list[Resource]], offered: Sequence[str], path: str) -> Asked:
    """Return a search of some types, or of all that are offered."""
    there = sorted(set(offered) & resources.keys())
    named = chance.sample(there, min(len(there), chance.choice([1, 2, 2, 3]))) if chance.random() < 0.8 else []
    # Without `_type` also types are searched of which nothing was stored: only the parameters of all are common to them.
    common = shared(named) if named else list(parameters(""))
    criteria = [
        _shared_criterion(chance, common, named or there, resources) for _ in range(chance.choice([0, 1, 1, 2]))
    ]
    sort = chance.choice(SORTS)
    pairs = [*([("_type", ",".join(named))] if named else []), *criteria, *([("_sort", sort)] if sort else [])]
    return Asked(path, pairs, criteria, named or there, sort or NEWEST)


def of_compartment(
    chance: Random, resources: Mapping[str, list[Resource]], compartments: Compartments, code: str
) -> Asked:
    """Return a search of a compartment: of one type in it, or of several."""
    place = f"{code}/{chance.choice(resources[code])['id']}"
    types = compartments.types[code]
    if chance.random() < 0.4:
        return of_types(chance, resources, types, f"{place}/*")
    inside = {
        name: [one for one in resources[name] if compartments.holds(place, one)]
        for name in types
        if name in resources and name in PARAMETERS
    }
    resource_type = chance.choice([name for name, pool in inside.items() if pool or chance.random() < 0.1])
    pairs = asking.search(chance, resource_type, inside[resource_type] or resources[resource_type])
    pairs = pairs[: chance.choice([0, 1, 1, 2])]
    sort = dict(pairs).get("_sort", "")
    return Asked(f"{place}/{resource_type}", pairs, [one for one in pairs if one[0] != "_sort"], [resource_type], sort)


def told(asked: Asked, resources: Mapping[str, list[Resource]], compartments: Compartments, now: datetime) -> set[str]:
    """Return `Type/id` of what it should find."""
    place = "/".join(asked.path.split("/")[:2])
    return {
        f"{name}/{one['id']}"
        for name in asked.types
        for one in resources[name]
        if all(selects(one, *each, now) for each in asked.criteria) and (not place or compartments.holds(place, one))
    }


def shared(types: Sequence[str]) -> list[str]:
    """Return the parameters that all of the types have, read from the same kind of value."""
    known = [{code: kind.partition(" ")[0] for code, (kind, _) in parameters(name).items()} for name in types]
    return [code for code in known[0] if len({rows.get(code, "") for rows in known}) == 1]


def _shared_criterion(
    chance: Random, common: list[str], types: Sequence[str], resources: Mapping[str, list[Resource]]
) -> tuple[str, str]:
    chosen = chance.choice(types)
    pool = resources[chosen]
    own = [code for code in common if code not in parameters("")]
    return asking.criterion(chance, chosen, pool, [*common, *own, *own])
