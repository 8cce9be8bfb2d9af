"""Paths of discriminators: the part of FHIRPath that R4 allows there (Profiling §5.1.0.15.1)."""

import re
from typing import NamedTuple

from profiles.validate.profile.items import Item

_STEP = re.compile(
    r"(?:(?P<name>[A-Za-z][A-Za-z0-9]*)(?P<choice>\[x\])?|(?P<this>\$this)|(?P<resolve>resolve\(\))"
    r"|extension\('(?P<url>[^']*)'\)|ofType\((?P<type>[A-Za-z.]+)\))(?:\.|\Z)",
    re.ASCII,
)


class Step(NamedTuple):
    """One step.

    Attributes:
        name: Element, or `resolve()`.
        url: Of an extension that is meant alone, else empty.
        type: Of a choice that is meant alone, else empty.
    """

    name: str
    url: str = ""
    type: str = ""

    def keeps(self, item: Item) -> bool:
        """Return whether a value of the element is one that the step means."""
        return (not self.url or item.part("url") == self.url) and (not self.type or item.type == self.type)


def steps(path: str) -> tuple[Step, ...] | None:
    """Return the steps of a path, none for `$this`, or `None` for what R4 does not allow."""
    found: list[Step] = []
    position = 0
    while position < len(path):
        match = _STEP.match(path, position)
        if match is None:
            return None
        position = match.end()
        if match["url"] is not None:
            found.append(Step("extension", url=match["url"]))
        elif match["type"] is not None and found:
            found[-1] = found[-1]._replace(type=match["type"])
        elif match["resolve"]:
            found.append(Step("resolve()"))
        elif match["name"]:
            found.append(Step(match["name"]))
    return tuple(found)
