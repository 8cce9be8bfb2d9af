"""What a hold on one resource holds with it: results of a report, members of a panel, what is filed for an order, what tells of it.

A hold goes along edges: a report holds what it names as its results (down), and an order holds what names the order as its base
(up, from there). The elements are in two tables; what is asked of them is pure.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from fhir_server.model.reference import plain

BASED = ("basedOn",)

DOWN: Mapping[str, tuple[str, ...]] = {
    "DiagnosticReport": ("result", "imagingStudy", "media.link", "presentedForm.url"),
    "DocumentReference": ("content.attachment.url",),
    "Media": ("content.url",),
    "Observation": ("hasMember", "derivedFrom"),
}
"""Elements that name what is held together with a resource, by its type."""

UP: Mapping[str, tuple[str, ...]] = {
    "AuditEvent": ("entity.what",),
    "Binary": ("securityContext",),
    "Communication": ("basedOn", "about"),
    "DiagnosticReport": BASED,
    "DocumentReference": ("context.related",),
    "ImagingStudy": BASED,
    "Media": BASED,
    "MedicationRequest": BASED,
    "Observation": BASED,
    "Procedure": BASED,
    "Provenance": ("target",),
    "QuestionnaireResponse": BASED,
    "ServiceRequest": BASED,
    "Task": ("basedOn", "focus"),
}
"""Elements that name what a resource is held together with, by its type."""

NAMING = frozenset(DOWN)
NEVER = frozenset({"Patient", "Practitioner", "PractitionerRole", "Organization", "Location", "RelatedPerson", "Group"})
"""Types that hold nothing with them: whole records name them."""

Key = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Node:
    """A resource as holds see it.

    Attributes:
        down: What it holds with it.
        up: What it is held together with.
        own: Whether it is held by a label of its own.
    """

    down: frozenset[Key]
    up: frozenset[Key]
    own: bool


def node(resource_type: str, document: Mapping[str, Any], base: str) -> Node:
    """Return the node of a stored document.

    Args:
        resource_type: Its type.
        document: Its `gt`, and in `r` at least the elements of the tables.
        base: Our own service base.
    """
    resource = document.get("r", {})  # of a type that is in no table nothing is asked for
    down = frozenset(_targets(resource, DOWN.get(resource_type, ()), base))
    up = frozenset(key for key in _targets(resource, UP.get(resource_type, ()), base) if key[0] not in NEVER)
    return Node(down, up, document.get("gt") == "held")


def elements(resource_type: str) -> list[str]:
    """Return the first elements of the paths of a type."""
    paths = (*DOWN.get(resource_type, ()), *UP.get(resource_type, ()))
    return sorted({path.partition(".")[0] for path in paths})


def roots(nodes: Mapping[Key, Node]) -> dict[Key, set[Key]]:
    """Return for each resource those with labels of their own that hold it.

    Args:
        nodes: Resources, each with all that could hold it.
    """
    below: dict[Key, set[Key]] = {key: {one for one in each.down if one in nodes} for key, each in nodes.items()}
    for key, each in nodes.items():
        for holder in each.up & nodes.keys():
            below[holder].add(key)
    found: dict[Key, set[Key]] = {key: set() for key in nodes}
    for root in (key for key, each in nodes.items() if each.own and key[0] not in NEVER):
        reached, edge = {root}, [root]
        while edge:
            for one in below[edge.pop()] - reached:
                reached.add(one)
                edge.append(one)
                found[one].add(root)
    return found


def _targets(resource: Mapping[str, Any], paths: Iterable[str], base: str) -> Iterator[Key]:
    for path in paths:
        for value in _values(resource, path.split(".")):
            text = value if isinstance(value, str) else value.get("reference")
            if isinstance(text, str) and (local := plain(text, base)):
                resource_type, _, resource_id = local.partition("/")
                yield resource_type, resource_id


def _values(value: Any, path: list[str]) -> Iterator[Any]:
    if isinstance(value, list):
        for one in value:
            yield from _values(one, path)
    elif not path:
        yield value
    elif isinstance(value, Mapping) and path[0] in value:
        yield from _values(value[path[0]], path[1:])
