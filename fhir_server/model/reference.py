"""Literal references (R4 2.3.0.1): parse them, and find them in a resource."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

LONGEST = 256
"""No local reference is longer; what is longer is not kept in memory either."""

_LOCAL = re.compile(r"([A-Z][A-Za-z]+)/([A-Za-z0-9\-.]{1,64})(?:/_history/([A-Za-z0-9\-.]{1,64}))?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Local:
    """A reference to an instance on this server, such as `Patient/1` or `Patient/1/_history/2`."""

    resource_type: str
    id: str
    version: str = ""

    def __str__(self) -> str:
        return f"{self.resource_type}/{self.id}"


def local(text: str, base: str = "") -> Local | None:
    """Return the local instance that a literal reference names, or `None` for any other kind of reference.

    Args:
        text: `Patient/1`, an absolute URL, `#contained`, `urn:uuid:…`, or a conditional `Patient?identifier=…`.
        base: Our own service base; absolute URLs below it count as local.
    """
    if base and text.startswith(base + "/"):
        text = text[len(base) + 1 :]
    match = _LOCAL.fullmatch(text)
    return Local(match[1], match[2], match[3] or "") if match else None


def plain(text: str, base: str = "") -> str:
    """Return `Type/id` of a local literal reference, without its version; empty for any other kind of reference."""
    if base and text.startswith(base + "/"):
        text = text[len(base) + 1 :]
    return _plain(text) if len(text) <= LONGEST else ""


# The reference to the patient is met up to four times in a resource and again in all resources of a bundle.
@lru_cache(maxsize=4096)
def _plain(text: str) -> str:
    match = _LOCAL.fullmatch(text)
    return f"{match[1]}/{match[2]}" if match else ""


def conditional(text: str) -> tuple[str, str] | None:
    """Return (resource type, query string) of a conditional reference `Patient?identifier=…`, else `None`."""
    resource_type, mark, query = text.partition("?")
    return (resource_type, query) if mark and resource_type.isalpha() and resource_type[0].isupper() else None


def walk(value: Any, path: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield (FHIRPath location, object) for each object in the value that has a string `reference` member."""
    if isinstance(value, dict):
        if isinstance(value.get("reference"), str):
            yield path, value
        for key, child in value.items():
            yield from walk(child, f"{path}.{key}")
    elif isinstance(value, list):
        for index, child in enumerate(value):
            yield from walk(child, f"{path}[{index}]")
