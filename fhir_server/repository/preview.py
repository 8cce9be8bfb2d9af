"""What will change when a membership comes into force, in numbers: asked by both sides before they accept (product.md 9)."""

from collections.abc import Collection, Sequence

import msgspec

from fhir_server.facilities import joining, nodes
from fhir_server.facilities.nodes import Affiliation
from fhir_server.facilities.rollup import SMALL
from fhir_server.facilities.rules import Finding
from fhir_server.facilities.tree import Tree
from fhir_server.model import json
from fhir_server.model.query import Where
from fhir_server.repository.door import Repository
from fhir_server.repository.sides import refuse_strangers
from fhir_server.store import Store


class Gain(msgspec.Struct, frozen=True):
    """What one side gains: by which access, how many organizations of the other, and how many roles of its own reach them."""

    access: str
    organizations: int
    roles: int


class Preview(msgspec.Struct, frozen=True):
    """What will change.

    Attributes:
        affiliation: The membership.
        conflicts: What forbids it.
        patients: Patients that the member keeps; below `SMALL` it is -1.
        member: What staff of the member gain.
        others: What staff of the other members gain.
        duplicates: Patients of the member who share an identifier with one of another member; below `SMALL` it is -1, unless
            there is none.
    """

    affiliation: Affiliation
    conflicts: Sequence[Finding]
    patients: int
    member: Sequence[Gain]
    others: Sequence[Gain]
    duplicates: int


async def preview(repository: Repository, affiliation: str) -> Preview:
    """Return what would change if a membership came into force now.

    Raises:
        NotFound: The caller sees it not.
        Forbidden: The caller speaks for neither side.
    """
    stored = await repository.read("OrganizationAffiliation", affiliation)
    reading, store = repository.intake.reading, repository.store
    one = nodes.affiliation(json.decode(stored.body), reading.zone, reading.base)
    tree, now = await repository.house.now(), store.clock.now()
    refuse_strangers(repository.scope, tree, one.network, one.member)
    before, after = joining.joined(tree, one, now)
    own = tree.below(one.member)
    gained = {
        "network": after.network - before.network,
        "relationship": after.related - before.related - before.network,
        "emergency": after.emergency - before.emergency,
    }
    mine, theirs = [], []
    for access, organizations in gained.items():
        if organizations:
            mine.append(Gain(access, len(organizations), await _roles(store, own)))
            theirs.append(Gain(access, len(own), await _roles(store, organizations)))
    patients = await store.count("Patient", Where("clause", {"f": {"$in": sorted(own)}}), None)
    reached = after.network | after.related | after.emergency
    return Preview(
        one,
        joining.conflicts(tree, one),
        suppressed(patients),
        mine,
        theirs,
        suppressed(await store.facilities.alike(own, reached | _members(tree, one) - own)),
    )


def suppressed(count: int) -> int:
    """Return a count of people, -1 for one that is so small that it tells of somebody."""
    return -1 if 0 < count < SMALL else count


def _members(tree: Tree, one: Affiliation) -> frozenset[str]:
    """Return the other members of the network, with what is part of them."""
    others = [each.member for each in tree.affiliations.values() if each.network == one.network and each.overlaps(one)]
    return frozenset[str]().union(*(tree.below(each) for each in others))


async def _roles(store: Store, organizations: Collection[str]) -> int:
    named = sorted(f"Organization/{one}" for one in organizations)
    clause = {"rf": {"$in": named}, "s.organization": {"$in": named}}
    return await store.count("PractitionerRole", Where("clause", clause), None)
