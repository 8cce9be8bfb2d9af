"""The virtual Group of an Organization: the patients of all that stands below it, as agreements and residency allow.

Nothing of it is stored. Who belongs to it is told by custody (field `f` of each Patient) and the hierarchy of now.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from fhir_server.facilities.nodes import Organization
from fhir_server.facilities.tree import Tree

TYPE = "Group"
PREFIX = "facility."
"""What the ids of virtual Groups begin with; the id of the Organization follows."""


@dataclass(frozen=True, slots=True)
class Cohort:
    """Whose patients a virtual Group has.

    Attributes:
        custodians: Ids of the Organizations that keep them.
        zones: Residency zones that their records may lie in.
    """

    custodians: frozenset[str]
    zones: frozenset[str]


def organization_of(group_id: str) -> str:
    """Return the id of the Organization whose virtual Group has this id, empty where it is no id of such a Group."""
    return group_id.removeprefix(PREFIX) if group_id.startswith(PREFIX) else ""


def cohort(tree: Tree, organization: str, at: datetime, home: str) -> Cohort:
    """Return whose patients the Group of an Organization has at a moment.

    Those of the Organization and of all that is part of it; and of the members of networks among them, if each agreement on the
    way names the Organization as one that exports may go to. Whose records have to stay in another zone is left out.

    Args:
        tree: The hierarchy.
        organization: The Organization.
        at: When.
        home: Zone of this deployment, which holds where nothing else is said.
    """
    own = _zones(tree, organization, at) or frozenset({home})
    within = {one for one in tree.below(organization) if _zones(tree, one, at) <= own}
    waiting = [*tree.below(organization)]
    seen = set(waiting)
    while waiting:
        for each in tree.joined(waiting.pop(), at):
            if organization not in each.agreement.export_recipients:
                continue
            new = tree.below(each.member) - seen
            seen |= new
            waiting += new
            within |= {one for one in new if _zones(tree, one, at) <= own}
    return Cohort(frozenset(within), own | {home})


def resource(organization: Organization) -> Mapping[str, Any]:
    """Return the Group resource of an Organization; its members are not listed."""
    name = organization.name or organization.id
    return {
        "resourceType": TYPE,
        "id": PREFIX + organization.id,
        "active": organization.active,
        "type": "person",
        "actual": True,
        "name": f"Patients of {name}",
        "managingEntity": {"reference": f"Organization/{organization.id}", "display": name},
    }


def _zones(tree: Tree, organization: str, at: datetime) -> frozenset[str]:
    """Return the zones that the records of an Organization have to stay in: by its own word, those above, and agreements."""
    agreed = {one.agreement.residency for one in tree.memberships(organization, at)}
    return frozenset({tree.zone(organization), *agreed} - {""})
