"""One validation on its way: what was found, what is known already, and which resource `#id` and `urn:uuid:` mean.

A resource may be met several times, as an entry and as the target of references. What a profile says about it is worked out
once and kept by the identity of the value, which lives as long as the visit.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from profiles.issue import Issue
from profiles.validate.messages import shown
from profiles.validate.profile.asking import Asking
from profiles.validate.profile.messages import MESSAGES, issue
from profiles.validate.walk import Place, render

Json = dict[str, Any]
Met = tuple[Json, Place]

MOST_ISSUES = 1000
MOST_STEPS = 1_000_000
"""A step is one look whether a value belongs to a slice; the largest documents of guides take a thousand."""

MOST_EVALUATED = 3_000_000
"""Steps of the expressions of all constraints (FHIRPath) together; a resource of a few KB takes some hundred."""

_ANCHOR = re.compile(r"""\s(?:id|name)\s*=\s*["']([^"']{1,300})["']""")


class TooCostlyError(Exception):
    """Profiles ask more of a resource than is worth its time."""


class Told:
    """A finding whose sentence is made when somebody asks for it: most are only looked at, whether a profile fits.

    Attributes:
        fails: Whether it refuses the resource.
    """

    __slots__ = ("_made", "_message_id", "_places", "_where", "fails")

    def __init__(self, message_id: str, where: Place, places: dict[str, object]) -> None:
        self.fails = MESSAGES[message_id].severity == "error"
        self._message_id = message_id
        self._where = where
        self._places = places
        self._made: Issue | None = None

    @property
    def issue(self) -> Issue:
        """The finding itself."""
        if self._made is None:
            self._made = issue(self._message_id, render(self._where), **self._places)
        return self._made

    @property
    def text(self) -> str:
        """Its sentence."""
        return self.issue.text


Found = Issue | Told


class Elsewhere:
    """Resources that are not at hand, each asked for once.

    Args:
        resolve: Returns the resource of a reference, `None` where there is none.
    """

    def __init__(self, resolve: Callable[[str], Json | None]) -> None:
        self._resolve = resolve
        self._met: dict[str, Met | None] = {}

    def find(self, reference: str) -> Met | None:
        """Return a resource with a place of its own, or `None`."""
        if reference not in self._met:
            found = self._resolve(reference)
            self._met[reference] = (found, (None, str(found.get("resourceType")), None)) if found is not None else None
        return self._met[reference]


@dataclass(slots=True)
class Shared:
    """What all visits of a validation share.

    Attributes:
        must_support: Whether must-support elements that are absent are told.
        elsewhere: Finds resources that are not at hand by their reference, if anybody does.
        known: Findings by value and profile; `None` while they are being worked out.
        bound: Value sets that elements met so far are bound to.
        before: More of them, met before the value that is looked at to be known again (`settled`).
        wires: What was written of values to know them again, by their identity.
        outside: How often a check looked beyond the value that it is about: at other parts of the resource, or elsewhere.
        targets: By the identity of a Bundle, its entries by what refers to them.
        budget: Steps that are left, in a list that is shared with visits for which nothing is known.
        expressions: Steps that are left to the expressions of all constraints together, likewise.
        asking: Who is asked about codes that are not known here, if anybody is.
        manner: What findings of a value depend on besides it.
    """

    must_support: bool = False
    elsewhere: Elsewhere | None = None
    known: dict[tuple[int, str], list[Found] | None] = field(default_factory=dict)
    bound: set[str] = field(default_factory=set)
    before: frozenset[str] | set[str] = frozenset()
    wires: dict[int, bytes | None] = field(default_factory=dict)
    outside: int = 0
    targets: dict[int, dict[str, Met]] = field(default_factory=dict)
    budget: list[int] = field(default_factory=lambda: [MOST_STEPS])
    expressions: list[int] = field(default_factory=lambda: [MOST_EVALUATED])
    asking: Asking | None = None
    manner: tuple[bool, str] = field(init=False)

    def __post_init__(self) -> None:
        self.manner = self.must_support, self.asking.manner if self.asking else ""

    def spend(self, steps: int) -> None:
        """Take steps off what is left of them.

        Raises:
            TooCostlyError: There are none left.
        """
        self.budget[0] -= steps
        if self.budget[0] < 0:
            raise TooCostlyError


class Visit:
    """The state within one resource.

    Attributes:
        resource: The resource being visited, and its place.
        shared: What all visits share.
        container: The resource that it is contained in, else itself.
        outer: The visit of the Bundle that it is an entry of, else `None`.
        issues: What was found.
        ids: Ids of elements met so far, where they are noted.
    """

    __slots__ = ("_anchors", "container", "ids", "issues", "outer", "resource", "shared")

    def __init__(
        self, resource: Met, shared: Shared, container: Met | None = None, outer: "Visit | None" = None
    ) -> None:
        self.resource = resource
        self.shared = shared
        self.container = container or resource
        self.outer = outer
        self.issues: list[Found] = []
        self.ids: set[str] = set()
        self._anchors: set[str] | None = None

    def report(self, message_id: str, where: Place, **places: object) -> None:
        """Add the finding of a message at a place."""
        self.add(Told(message_id, where, places))

    def add(self, found: Found) -> None:
        """Add a finding, as long as there are not too many."""
        if len(self.issues) < MOST_ISSUES:
            self.issues.append(found)

    def identify(self, owner: Json, where: Place) -> None:
        """Note the id of an element, and report one that another element of the resource has."""
        name, resource = owner.get("id"), self.resource[0]
        # Those of ElementDefinitions are paths, the same in snapshot and differential.
        if isinstance(name, str) and owner is not resource and resource.get("resourceType") != "StructureDefinition":
            if name in self.ids:
                self.report("id-duplicate", where, value=shown(name))
            self.ids.add(name)

    def aside(self) -> "Visit":
        """Return a visit at the same place whose findings are only looked at."""
        return Visit(self.resource, self.shared, self.container, self.outer)

    def within(self, value: Json, where: Place) -> "Visit":
        """Return the visit of a resource that stands in this one: contained, or an entry or parameter."""
        if where[1] == "contained":
            return Visit((value, (where, value, None)), self.shared, self.container, self.outer)
        return Visit((value, (where, value, None)), self.shared, None, self)

    def apart(self, value: Json, where: Place) -> "Visit":
        """Return the visit of a resource that stands elsewhere."""
        return Visit((value, where), self.shared)

    def resolve(self, reference: object) -> Met | None:
        """Return the resource that a reference means, if it is contained, or an entry of the Bundle, else `None`."""
        if not isinstance(reference, str) or not reference:
            return None
        self.shared.outside += 1
        if reference.startswith("#"):
            return self._contained(reference[1:])
        visit: Visit | None = self
        while visit is not None:
            if visit.resource[0].get("resourceType") == "Bundle":
                targets = visit.targets
                found = targets.get(reference) or targets.get(reference.partition("/_history/")[0])
                if found is not None:
                    return found
            visit = visit.outer
        elsewhere = self.shared.elsewhere
        return elsewhere.find(reference) if elsewhere is not None else None

    def anchors(self) -> set[str]:
        """Return what a link in the narrative of this resource may name (`anchors`), in a Bundle also in its other entries."""
        self.shared.outside += 1
        if self._anchors is None:
            outermost = self
            while outermost.outer is not None:
                outermost = outermost.outer
            self._anchors = anchors(outermost.container[0])
        return self._anchors

    def _contained(self, name: str) -> Met | None:
        container, where = self.container
        if not name:
            return self.container
        contained = container.get("contained")
        for index, one in enumerate(contained if isinstance(contained, list) else ()):
            if isinstance(one, dict) and one.get("id") == name:
                return one, ((where, "contained", index), one, None)
        return None

    @property
    def targets(self) -> dict[str, Met]:
        """Resources of the entries by full URL and by `Type/id`, if this is the visit of a Bundle."""
        known, key = self.shared.targets, id(self.resource[0])
        if key not in known:
            known[key] = dict(_entries(*self.resource))
        return known[key]


def _entries(bundle: Json, where: Place) -> Iterator[tuple[str, Met]]:
    if bundle.get("resourceType") != "Bundle" or not isinstance(bundle.get("entry"), list):
        return
    for index, entry in enumerate(bundle["entry"]):
        resource = entry.get("resource") if isinstance(entry, dict) else None
        if not isinstance(resource, dict):
            continue
        met = resource, (((where, "entry", index), "resource", None), resource, None)
        full = entry.get("fullUrl")
        if isinstance(full, str):
            yield full, met
            # R4 Bundle §2.36.4: a relative reference is one to the server of the entry that makes it.
            if not full.startswith("urn:"):
                yield "/".join(full.split("/")[-2:]), met
        yield f"{resource.get('resourceType')}/{resource.get('id')}", met


def anchors(resource: Json) -> set[str]:
    """Return what a link may name: ids of elements, and of what stands in narratives."""
    found: set[str] = set()
    open_: list[Any] = [resource]
    while open_:
        value = open_.pop()
        if isinstance(value, list):
            open_ += value
        elif isinstance(value, dict):
            name, div = value.get("id"), value.get("div")
            if isinstance(name, str):
                found.add(name)
            if isinstance(div, str):
                found.update(_ANCHOR.findall(div))
            open_ += value.values()
    return found
