"""References within documents, messages and collections (R4 2.36.4.1, 3.3.1): they resolve, and lead to every entry."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

from profiles.validate.messages import shown
from profiles.validate.packs.messages import report
from profiles.validate.walk import Json, Place, Walk

_MUST_HOLD = ("subject", "encounter", "author", "attester", "custodian", "event", "section")
"""Members of a Composition in which references must lead to entries of the document (R4 3.3.1)."""

_UNASKED = frozenset({"extension", "modifierExtension"})
_MOST_LINKS = 100_000
"""References that are followed; a bundle of more is beyond the size of a document."""


@dataclass(frozen=True, slots=True)
class _Link:
    """A reference of an entry.

    Attributes:
        source: Index of the entry.
        text: The literal reference.
        where: Its place.
        element: First member of the resource on the way to it.
        target: Indexes of the entries that it resolves to.
    """

    source: int
    text: str
    where: Place
    element: str
    target: tuple[int, ...]


class _Entries:
    """Entries by what refers to them."""

    def __init__(self, entries: list[Json]) -> None:
        self.urls = [str(entry.get("fullUrl", "")) for entry in entries]
        self.by_url: dict[str, list[int]] = defaultdict(list)
        self.by_name: dict[str, list[int]] = defaultdict(list)
        for index, entry in enumerate(entries):
            if self.urls[index]:
                self.by_url[self.urls[index]].append(index)
            resource = entry.get("resource", {})
            if "id" in resource:
                self.by_name[f"{resource.get('resourceType')}/{resource['id']}"].append(index)

    def target(self, text: str, source: int) -> tuple[int, ...]:
        """Return the entries that a reference in one of them resolves to."""
        plain = text.partition("/_history/")[0].partition("#")[0]
        if ":" not in plain:
            base = self._base(source)
            if base is None:
                return ()
            plain = f"{base}{plain}"
        return tuple(self.by_url.get(plain, ()))

    def beside(self, text: str) -> list[int]:
        """Return the entries of the type and id that a reference names, whatever their full URL."""
        name = "/".join(text.partition("/_history/")[0].partition("#")[0].split("/")[-2:])
        return self.by_name.get(name, [])

    def _base(self, source: int) -> str | None:
        """Return what relative references of an entry begin with; `None` where they cannot be resolved in the bundle."""
        url = self.urls[source]
        if url.startswith("urn:"):
            return None
        base, _, _ = url.rpartition("/")
        base, slash, _ = base.rpartition("/")
        return f"{base}{slash}"


def check(entries: list[Json], kind: str, where: Place, walk: Walk) -> None:
    """Report references that do not resolve as they must, and entries that nothing leads to."""
    known = _Entries(entries)
    links = list(islice(_links(entries, known, where), _MOST_LINKS))
    for link in links:
        if not link.target:
            _unresolved(link, kind, known, walk)
    if kind != "collection" and entries:
        _reach(entries, links, kind, where, walk)


def _links(entries: list[Json], known: _Entries, where: Place) -> Iterator[_Link]:
    for index, entry in enumerate(entries):
        resource = entry.get("resource")
        if type(resource) is not dict:
            continue
        here: Place = (((where, "entry", index), "resource", None), resource, None)
        for name, member in resource.items():
            for text, place in _references(member, name, here):
                yield _Link(index, text, place, name, known.target(text, index))


def _references(member: Any, name: str, where: Place) -> Iterator[tuple[str, Place]]:
    """Yield the literal references in a member of a resource, with their places."""
    if type(member) is list:
        for index, item in enumerate(member):
            if type(item) is dict:
                yield from _inside(item, (where, name, index))
    elif type(member) is dict:
        yield from _inside(member, (where, name, None))


def _inside(node: Json, where: Place) -> Iterator[tuple[str, Place]]:
    text = node.get("reference")
    if type(text) is str and text and text[0] != "#":
        yield text, where
    for name, member in node.items():
        if type(member) is dict or type(member) is list:
            yield from _references(member, name, where)


def _unresolved(link: _Link, kind: str, known: _Entries, walk: Walk) -> None:
    beside = known.beside(link.text)
    hint = _hint(beside, link, known)
    if kind == "document" and link.source == 0 and link.element in _MUST_HOLD and not _aside(link.where):
        element = f"Composition.{link.element}"
        report(walk, "reference-outside", link.where, value=shown(link.text), element=element, type=kind, hint=hint)
    elif beside:
        message = "reference-beside-collection" if kind == "collection" else "reference-beside"
        report(walk, message, link.where, value=shown(link.text), hint=hint)


def _aside(where: Place | None) -> bool:
    while where is not None:
        where, segment, _ = where
        if isinstance(segment, str) and segment in _UNASKED:
            return True
    return False


def _hint(beside: list[int], link: _Link, known: _Entries) -> str:
    if not beside:
        return ""
    urls = ", ".join(f"'{shown(known.urls[index])}'" for index in beside[:3])
    own = known.urls[link.source]
    return (
        f" Entry {', '.join(str(index) for index in beside[:3])} has that type and id, but its fullUrl {urls} does not match from the "
        f"source fullUrl '{shown(own)}'."
    )


def _reach(entries: list[Json], links: list[_Link], kind: str, where: Place, walk: Walk) -> None:
    forward: dict[int, set[int]] = defaultdict(set)
    either: dict[int, set[int]] = defaultdict(set)
    for link in links:
        for target in link.target:
            forward[link.source].add(target)
            either[link.source].add(target)
            either[target].add(link.source)
    ahead, around = _closure(forward), _closure(either)
    for index, entry in enumerate(entries):
        resource = entry.get("resource")
        if index in ahead or type(resource) is not dict:
            continue
        here = (where, "entry", index)
        value = shown(entry.get("fullUrl", f"{resource.get('resourceType')}/{resource.get('id', '')}"))
        if index not in around:
            report(walk, "entry-unreachable" if kind == "document" else "entry-unreachable-message", here, value=value)
        elif kind == "document" and resource.get("resourceType") != "Provenance":
            report(walk, "entry-backward", here, value=value)


def _closure(steps: dict[int, set[int]]) -> set[int]:
    """Return what can be reached from the first entry."""
    seen, waiting = {0}, [0]
    while waiting:
        fresh: Iterable[int] = steps.get(waiting.pop(), set()) - seen
        seen |= set(fresh)
        waiting += fresh
    return seen
