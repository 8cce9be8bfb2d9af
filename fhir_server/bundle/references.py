"""Rewrites the links of a transaction: those to other entries and conditional ones become `Type/id` (R4 3.1.0.11.2).

Links are found wherever they stand: `Reference.reference`, elements of type uri, url, oid and uuid, links and images in
narrative, contained resources and extensions. What merely names something is no link and stays: business identifiers
(strings), canonical URLs, a resource's own `url`, the `url` of an extension, code systems. So does all that is in the
entries of a Bundle which is stored as a resource: its references are resolved in it.
"""

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from fhir_server.bundle.entries import Entry
from fhir_server.model import json, reference
from fhir_server.model.errors import BadRequest
from profiles.definitions.registry import Definitions

LINK_TYPES = frozenset({"uri", "url", "oid", "uuid"})
BUNDLE_ONLY = ("urn:uuid:", "urn:oid:")
EXTENSIONS = frozenset({"extension", "modifierExtension"})

_IN_NARRATIVE = re.compile(r"""((?:href|src)\s*=\s*)(["'])(.*?)\2""", re.ASCII | re.DOTALL)
_RESTFUL = re.compile(r"(https?://.+/)[A-Z][A-Za-z]+/[A-Za-z0-9\-.]{1,64}", re.ASCII)
# Looked for in JSON that we wrote, where none of these characters is escaped.
_URN_OR_CONDITIONAL = re.compile(rb'"reference":"(?:urn:|[A-Za-z]+\?)')
_LINK = re.compile(r"([^#]*?)(?:/_history/([A-Za-z0-9\-.]{1,64}))?(#.*)?", re.ASCII | re.DOTALL)


def link_members(definitions: Definitions) -> frozenset[str]:
    """Return the JSON members that may hold a link.

    These are `reference`, and those of a link type in any FHIR type; but a member that is a canonical somewhere, such as
    `definition` or `system`, is one only if it is `url`, which leads to the content of an Attachment.
    """
    elements = [each for definition in definitions.types.values() for each in definition.elements.items()]
    canonical = {name for name, element in elements if element.type == "canonical"}
    links = {name for name, element in elements if element.type in LINK_TYPES}
    return frozenset({"reference", "url", *(links - canonical)})


@dataclass(frozen=True, slots=True)
class Target:
    """What an entry's fullUrl leads to.

    Attributes:
        identity: `Type/id`.
        version: The version that the bundle makes of it, 0 where no link asks for it.
    """

    identity: str
    version: int = 0


@dataclass(frozen=True, slots=True)
class Aim:
    """Where a link leads.

    Attributes:
        full_url: The entry.
        versioned: Whether it names a version.
        fragment: From `#` on.
    """

    full_url: str
    versioned: bool = False
    fragment: str = ""

    def text(self, targets: Mapping[str, Target]) -> str | None:
        """Return the link as it will be stored, `None` where the entry leaves no instance behind."""
        target = targets.get(self.full_url)
        if target is None:
            return None
        version = f"/_history/{target.version}" if self.versioned else ""
        return f"{target.identity}{version}{self.fragment}"


class Known:
    """The entries of a bundle that links may lead to (R4 Bundle, "Resolving references in Bundles")."""

    __slots__ = ("_versions",)

    def __init__(self, entries: Iterable[Entry]) -> None:
        self._versions = {entry.full_url: _stated_version(entry) for entry in entries if entry.full_url}

    def __contains__(self, text: str) -> bool:
        """Whether the text is a fullUrl."""
        return text in self._versions

    def aim(self, text: str, root: str) -> Aim | None:
        """Return where a link leads to in the bundle, `None` where it leads elsewhere.

        Args:
            text: The link.
            root: Base of the resource that holds it, such as `http://example.org/fhir/`, empty where it has none.
        """
        if text in self._versions:
            return Aim(text)
        found = _LINK.fullmatch(text)
        if not found:
            return None
        address, version, fragment = found[1], found[2] or "", found[3] or ""
        full_url = address if address in self._versions else root + address if root else ""
        if full_url not in self._versions or (version and self._versions[full_url] not in {"", version}):
            return None
        return Aim(full_url, bool(version), fragment)


@dataclass(frozen=True, slots=True)
class Link:
    """One place that holds links, with the text that the client sent.

    Attributes:
        holder: The object, or the array of uris.
        member: Its member.
        text: What the client sent.
        aims: Where each link in it leads, by its text; one for a reference or uri, any number for narrative.
    """

    holder: Any
    member: str | int
    text: str
    aims: Mapping[str, Aim]

    def point(self, targets: Mapping[str, Target]) -> None:
        """Write what the links lead to; what is not in `targets` stays as it was sent."""
        if self.member == "div":
            texts = {text: aim.text(targets) for text, aim in self.aims.items()}
            self.holder["div"] = _IN_NARRATIVE.sub(lambda found: _in_narrative(found, texts), self.text)
        else:
            self.holder[self.member] = self.aims[self.text].text(targets) or self.text


class Links:
    """All links of the entries of a bundle, found in one walk. Their resources are the bundle's own to change."""

    __slots__ = ("_asked", "_known", "_links", "_members", "_resources")

    def __init__(self, entries: Collection[Entry], base: str, members: frozenset[str]) -> None:
        """Find the links.

        Args:
            entries: The entries, with the resources that they write.
            base: Our service base.
            members: JSON members that may hold a link (`link_members`).
        """
        self._known = Known(entries)
        self._members = members
        self._links: list[Link] = []
        self._asked: dict[int, dict[str, list[dict[str, Any]]]] = {}
        self._resources: dict[int, tuple[str, dict[str, Any]]] = {}
        named = any(entry.full_url for entry in entries)
        relative = any(_RESTFUL.fullmatch(entry.full_url) for entry in entries)
        for entry in entries:
            if (resource := entry.request.resource) is not None:
                self._resources[entry.index] = (entry.at("resource"), resource)
                # To entries without a fullUrl nothing leads; to see that costs a third of the walk.
                if named or _URN_OR_CONDITIONAL.search(json.encode(resource)):
                    self._walk(resource, _root(entry, base) if relative else "", entry.index)

    @property
    def versioned(self) -> set[str]:
        """The fullUrls to which some link leads that names a version."""
        return {aim.full_url for link in self._links for aim in link.aims.values() if aim.versioned}

    def point(self, targets: Mapping[str, Target]) -> None:
        """Write what every link inside the bundle leads to; may be called again with other targets.

        Raises:
            BadRequest: A `urn:uuid` or `urn:oid` reference names no entry.
        """
        for link in self._links:
            if link.member == "reference" and link.text.startswith(BUNDLE_ONLY):
                aim = link.aims.get(link.text)
                if aim is None or aim.full_url not in targets:
                    raise BadRequest(
                        f"The reference '{link.text[:80]}' names no entry of this bundle that stores a resource. Add the entry "
                        "with that fullUrl, or refer to an existing resource.",
                        expression=self.place(link.text),
                    )
            link.point(targets)

    def conditional(self, index: int) -> set[str]:
        """Return the conditional references of an entry, such as `Patient?identifier=…`."""
        return set(self._asked.get(index, ()))

    def refer(self, index: int, found: Mapping[str, str]) -> None:
        """Write what the conditional references of an entry lead to."""
        for text, holders in self._asked.get(index, {}).items():
            for holder in holders:
                holder["reference"] = found[text]

    def place(self, text: str) -> str:
        """Return the FHIRPath location of the first reference that the client sent with this text."""
        holders = [link.holder for link in self._links if link.text == text]
        holders += [holder for asked in self._asked.values() for holder in asked.get(text, ())]
        for where, resource in self._resources.values():
            for place, holder in reference.walk(resource, where):
                if any(holder is each for each in holders):
                    return f"{place}.reference"
        return ""

    def _walk(self, resource: dict[str, Any], root: str, index: int) -> None:
        members, objects, extensions = self._members, [resource], list[dict[str, Any]]()
        while objects or extensions:
            in_extension = not objects
            node = extensions.pop() if in_extension else objects.pop()
            own_url = in_extension or "resourceType" in node
            for name, child in node.items():
                kind = type(child)
                if kind is str:
                    if name in members and not (own_url and name == "url"):
                        self._consider(node, name, child, root, index)
                    elif name == "div":
                        self._consider_narrative(node, child, root)
                elif kind is dict:
                    (extensions if name in EXTENSIONS else objects).append(child)
                elif kind is list and not (name == "entry" and node.get("resourceType") == "Bundle"):
                    (extensions if name in EXTENSIONS else objects).extend(
                        [each for each in child if type(each) is dict]
                    )
                    if name in members:
                        self._consider_list(child, root, index)

    def _consider_list(self, texts: list[Any], root: str, index: int) -> None:
        for place, text in enumerate(texts):
            if type(text) is str:
                self._consider(texts, place, text, root, index)

    def _consider(self, holder: Any, member: str | int, text: str, root: str, index: int) -> None:
        if text in self._known:
            self._links.append(Link(holder, member, text, {text: Aim(text)}))
            return
        is_reference = member == "reference"
        if is_reference and "?" in text and reference.conditional(text):
            self._asked.setdefault(index, {}).setdefault(text, []).append(holder)
            return
        aim = None
        if "#" in text or "/_history/" in text or (root and is_reference):
            aim = self._known.aim(text, root if is_reference else "")
        if aim or (is_reference and text.startswith(BUNDLE_ONLY)):
            self._links.append(Link(holder, member, text, {text: aim} if aim else {}))

    def _consider_narrative(self, holder: dict[str, Any], text: str, root: str) -> None:
        if "href" in text or "src" in text:
            found = {each[3]: self._known.aim(each[3], root) for each in _IN_NARRATIVE.finditer(text)}
            aims = {link: aim for link, aim in found.items() if aim}
            if aims:
                self._links.append(Link(holder, "div", text, aims))


def entry_references(resource: dict[str, Any], place: str, full_urls: Collection[str]) -> Iterator[tuple[str, str]]:
    """Yield (FHIRPath location, text) of each reference of a resource that is the fullUrl of an entry."""
    for where, holder in reference.walk(resource, place):
        if holder["reference"] in full_urls:
            yield f"{where}.reference", holder["reference"]


def _stated_version(entry: Entry) -> str:
    meta = (entry.request.resource or {}).get("meta")
    version = meta.get("versionId") if isinstance(meta, dict) else None
    return version if isinstance(version, str) else ""


def _root(entry: Entry, base: str) -> str:
    """Return the base of relative references in an entry: that of its fullUrl, or ours where it has none."""
    if not entry.full_url:
        return f"{base}/"
    found = _RESTFUL.fullmatch(entry.full_url)
    return found[1] if found else ""


def _in_narrative(found: re.Match[str], texts: Mapping[str, str | None]) -> str:
    target = texts.get(found[3])
    return f"{found[1]}{found[2]}{target}{found[2]}" if target else found[0]
