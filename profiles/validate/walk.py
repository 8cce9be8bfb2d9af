"""One check on its way through a resource: where it is, what it has found, and what contained resources need to know.

A place is a linked tuple (parent, segment, index), so that a step down costs one small tuple; text is made of it only
when there is something to report. A segment that is a resource adds its type and id, as in
`Bundle.entry[2].resource/*Patient/1*/.gender`.
"""

from collections.abc import Iterable
from difflib import get_close_matches
from typing import Any

from profiles.issue import Issue
from profiles.primitives import ID
from profiles.validate.messages import issue, shown

Json = dict[str, Any]
Place = tuple[Any, Any, int | None]

MOST_HINTS = 20
MOST_ISSUES = 1000


def place(segment: str | Json, parent: Place | None = None, index: int | None = None) -> Place:
    """Return the place of a member (or of the resource itself) below another place."""
    return (parent, segment, index)


def render(where: Place | None) -> str:
    """Return the FHIRPath location of a place, such as `Patient.name[0].family`."""
    parts: list[str] = []
    while where is not None:
        where, segment, index = where
        if isinstance(segment, str):
            parts.append(segment if index is None else f"{segment}[{index}]")
            if where is not None:
                parts.append(".")
        else:
            parts.append(_comment(segment))
    return "".join(reversed(parts))


def _comment(resource: Json) -> str:
    resource_type, resource_id = resource.get("resourceType"), resource.get("id")
    named = type(resource_type) is str and ID.fullmatch(resource_type)
    identified = type(resource_id) is str and ID.fullmatch(resource_id)
    return f"/*{resource_type if named else '?'}/{resource_id if identified else 'null'}*/"


class Walk:
    """The state of one check of one resource that is its own root (an entry of a Bundle has its own).

    Attributes:
        issues: Errors so far, shared with the walks of entries.
        warnings: What does not refuse the resource, likewise.
        root: The resource that `#` refers to.
        current: The resource that `%resource` means: the root, or the contained one being walked.
        contained: Type of each contained resource by id; filled before the walk.
        used: Ids of contained resources that something refers to as `#id`.
        backward: Positions of contained resources that refer to their container as `#`.
        inside: Position of the contained resource being walked, else `None`.
        conditional: Whether conditional references may stand here (a transaction does).
        strict: Whether what published resources commonly get wrong is an error, and not only a warning.
    """

    __slots__ = (
        "backward",
        "conditional",
        "contained",
        "current",
        "hints",
        "inside",
        "issues",
        "root",
        "strict",
        "used",
        "warnings",
    )

    def __init__(
        self,
        root: Json,
        issues: list[Issue],
        warnings: list[Issue],
        *,
        conditional: bool = False,
        strict: bool = False,
    ) -> None:
        self.issues = issues
        self.warnings = warnings
        self.root = root
        self.current = root
        self.contained: dict[str, Any] = {}
        self.used: set[str] = set()
        self.backward: set[int] = set()
        self.inside: int | None = None
        self.conditional = conditional
        self.strict = strict
        self.hints = MOST_HINTS

    def report(self, message_id: str, where: Place | None, **places: object) -> None:
        """Add the finding of a message at a place; after a thousand errors, nothing more is worth its time."""
        if len(self.issues) < MOST_ISSUES:
            self.add(issue(message_id, render(where), **places))

    def add(self, found: Issue) -> None:
        """Add a finding."""
        found_so_far = self.issues if found.fails else self.warnings
        if len(found_so_far) < MOST_ISSUES:
            found_so_far.append(found)

    def point(self, fragment: str) -> None:
        """Note a `#fragment`, wherever it stands: contained resources that nothing points to are refused."""
        if fragment != "#":
            self.used.add(fragment[1:])
        elif self.inside is not None:
            self.backward.add(self.inside)

    def hint(self, name: object, known: Iterable[str]) -> str:
        """Return ` (did you mean 'x'?)` for the known name that is nearest, else nothing.

        Comparing takes a tenth of a millisecond, so only the first twenty mistakes get one.
        """
        if self.hints <= 0 or not isinstance(name, str) or len(name) > 64:
            return ""
        self.hints -= 1
        by_fold = {word.lower(): word for word in sorted(known)}
        found = get_close_matches(name.lower(), by_fold, n=1, cutoff=0.6)
        return f" (did you mean '{shown(by_fold[found[0]])}'?)" if found else ""
