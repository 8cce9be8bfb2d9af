"""What would change if a membership came into force: asked of the tree, before anybody accepts (docs/hierarchy.md)."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from hashlib import sha256

from fhir_server.facilities import rules
from fhir_server.facilities.nodes import Affiliation
from fhir_server.facilities.rules import Finding
from fhir_server.facilities.tree import Sharing, Tree


def terms(one: Affiliation) -> str:
    """Return what is accepted of an affiliation, as a hash: the two sides, the kind, the agreement, and when it ends."""
    agreed = one.agreement
    said = (
        one.network, one.member, sorted(one.codes), one.end, agreed.treatment_access, agreed.rollup, agreed.directory,
        agreed.emergency, sorted(agreed.export_recipients), agreed.residency,
    )  # fmt: skip
    return sha256(repr(said).encode()).hexdigest()


def conflicts(tree: Tree, one: Affiliation) -> list[Finding]:
    """Return what forbids that an affiliation comes into force."""
    return [*_conflicts(tree, replace(one, active=True))]


def joined(tree: Tree, one: Affiliation, at: datetime) -> tuple[Sharing, Sharing]:
    """Return what the staff of a member share with others at a moment, without an affiliation and with it."""
    others = [each for each in tree.affiliations.values() if each.id != one.id]
    start = min(one.start, at)
    after = Tree(tree.organizations, [*others, replace(one, active=True, start=start)], tree.root)
    before = Tree(tree.organizations, others, tree.root)
    return before.sharing(one.member, at), after.sharing(one.member, at)


def _conflicts(tree: Tree, one: Affiliation) -> Iterator[Finding]:
    if one.member == one.network:
        yield Finding("self-affiliation", "An organization is no member of itself.", "participatingOrganization")
        return
    levels = tree.level(one.member), tree.level(one.network)
    yield from rules.stands_below(one.member, levels[0], one.network, levels[1], "participatingOrganization")
    if _leads_back(tree, one):
        text = f"Organization/{one.network} is itself, over one or more memberships, a member of Organization/{one.member}."
        yield Finding("org-cycle", text, "participatingOrganization")
    for other in tree.affiliations.values():
        yield from rules.beside(one, other)
    yield from rules.resides(one, tree.zone(one.member))


def _leads_back(tree: Tree, one: Affiliation) -> bool:
    upward = [each for each in tree.affiliations.values() if each.overlaps(one) and each.codes & one.codes]
    waiting, seen = {one.network}, {one.network}
    while waiting:
        nexts = {each.network for each in upward if each.member in waiting and each.id != one.id}
        if one.member in nexts:
            return True
        waiting = nexts - seen
        seen |= nexts
    return False
