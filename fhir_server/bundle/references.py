"""Rewrites the links of a transaction: `urn:uuid` and conditional ones become `Type/id` (R4 3.1.0.11.2).

Links are found wherever they stand: `Reference.reference`, every element of type uri, url, oid, uuid or canonical, links
and images in narrative, contained resources and extensions. A business identifier is a string, not a link, and stays.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from fhir_server.model import reference
from fhir_server.model.errors import BadRequest
from profiles.definitions.registry import Definitions

LINK_TYPES = frozenset({"uri", "url", "canonical", "oid", "uuid"})
BUNDLE_ONLY = ("urn:uuid:", "urn:oid:")

_IN_NARRATIVE = re.compile(r"""((?:href|src)\s*=\s*)(["'])(.*?)\2""", re.ASCII | re.DOTALL)


def link_members(definitions: Definitions) -> frozenset[str]:
    """Return the JSON members that may hold a link: `reference`, and those of a link type in any FHIR type."""
    members = {"reference"}
    for definition in definitions.types.values():
        members |= {name for name, element in definition.elements.items() if element.type in LINK_TYPES}
    return frozenset(members)


@dataclass(frozen=True, slots=True)
class Link:
    """One place that may hold a link into the bundle: a member of an object, with the text that the client sent."""

    holder: dict[str, Any]
    member: str
    text: str

    def point(self, targets: Mapping[str, str]) -> None:
        """Write what the link leads to; what is not in `targets` stays as it was sent."""
        if self.member == "div":
            self.holder["div"] = _IN_NARRATIVE.sub(lambda found: _in_narrative(found, targets), self.text)
        else:
            self.holder[self.member] = _target(self.text, targets) or self.text


class Links:
    """All links of the resources of a bundle, found in one walk. The resources are the bundle's own to change."""

    __slots__ = ("_asked", "_links", "_resources")

    def __init__(
        self, resources: Mapping[str, dict[str, Any]], full_urls: Iterable[str], members: frozenset[str]
    ) -> None:
        """Find the links.

        Args:
            resources: Resources by their FHIRPath location.
            full_urls: Identities in the bundle, which links may lead to.
            members: JSON members that may hold a link (`link_members`).
        """
        self._resources = resources
        self._links: list[Link] = []
        self._asked: dict[str, None] = {}
        known = frozenset(full_urls)
        for resource in resources.values():
            self._walk(resource, known, members)

    @property
    def conditional(self) -> list[str]:
        """The distinct conditional references, such as `Patient?identifier=…`."""
        return list(self._asked)

    def point(self, targets: Mapping[str, str]) -> None:
        """Write what every link leads to; may be called again with other targets.

        Raises:
            BadRequest: A `urn:uuid` or `urn:oid` reference names no entry.
        """
        for link in self._links:
            if link.member == "reference" and link.text.startswith(BUNDLE_ONLY) and not _target(link.text, targets):
                raise BadRequest(
                    f"The reference '{link.text[:80]}' names no entry of this bundle. Add the entry with that fullUrl, or "
                    "refer to an existing resource.",
                    expression=self.place(link.text),
                )
            link.point(targets)

    def place(self, text: str) -> str:
        """Return the FHIRPath location of the first reference with this text."""
        for where, resource in self._resources.items():
            for place, holder in reference.walk(resource, where):
                if holder["reference"] == text:
                    return f"{place}.reference"
        return ""

    def _walk(self, resource: dict[str, Any], known: frozenset[str], members: frozenset[str]) -> None:
        stack: list[Any] = [resource]
        while stack:
            node = stack.pop()
            if type(node) is list:
                stack += [child for child in node if type(child) is dict]
                continue
            for name, child in node.items():
                kind = type(child)
                if kind is dict or kind is list:
                    stack.append(child)
                elif kind is str and (name in members or name == "div"):
                    self._consider(node, name, child, known)

    def _consider(self, holder: dict[str, Any], member: str, text: str, known: frozenset[str]) -> None:
        if member == "div":
            if "href" in text or "src" in text:
                self._links.append(Link(holder, member, text))
        elif text in known or text.startswith(BUNDLE_ONLY) or text.partition("#")[0] in known:
            self._links.append(Link(holder, member, text))
        elif member == "reference" and "?" in text and reference.conditional(text):
            self._asked[text] = None
            self._links.append(Link(holder, member, text))


def _target(text: str, targets: Mapping[str, str]) -> str | None:
    if text in targets:
        return targets[text]
    head, mark, tail = text.partition("#")
    return f"{targets[head]}#{tail}" if mark and head in targets else None


def _in_narrative(found: re.Match[str], targets: Mapping[str, str]) -> str:
    target = _target(found[3], targets)
    return f"{found[1]}{found[2]}{target}{found[2]}" if target else found[0]
