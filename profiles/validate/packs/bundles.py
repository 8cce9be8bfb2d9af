"""Bundles as wholes (R4 2.36, 3.1.1): full URLs, links, what a search may have found."""

import re
from collections import Counter
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, urlsplit

from profiles.validate.messages import shown
from profiles.validate.packs import documents
from profiles.validate.packs.messages import report
from profiles.validate.rules.shape import has, many
from profiles.validate.walk import Json, Place, Walk

if TYPE_CHECKING:
    from profiles.validate.structure import Checks

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]*:\S", re.ASCII)
_RESTFUL = re.compile(r"https?://.+/([A-Z][A-Za-z]+)/[A-Za-z0-9\-.]{1,64}", re.ASCII)
_UNNAMED = frozenset({"transaction", "batch", "transaction-response", "batch-response"})
_IDENTIFIED = frozenset({"document", "message"})
_PAGING = ("first", "previous", "prev", "next", "last")
_ONCE = ("self", *_PAGING)
_FOUND = frozenset({"match", "include"})


def check(node: Json, where: Place, walk: Walk, checks: "Checks") -> None:
    """Report what is wrong with a Bundle beyond its structure and invariants."""
    kind = str(node.get("type"))
    entries = many(node, "entry")
    types = checks.definitions.resource_types
    for index, entry in enumerate(entries):
        _full_url(entry, kind, (where, "entry", index), walk, types)
    _links(node, kind, where, walk)
    if kind == "searchset":
        _search(node, entries, where, walk, types)
    elif kind in _IDENTIFIED or (kind == "collection" and walk.strict):
        # Of a collection there are warnings only, which take as long as half of its check.
        documents.check(entries, kind, where, walk)


def _full_url(entry: Json, kind: str, where: Place, walk: Walk, types: frozenset[str]) -> None:
    resource, url = entry.get("resource"), entry.get("fullUrl")
    if url is None:
        if resource is not None and kind not in _UNNAMED and "_fullUrl" not in entry and not _is_outcome(entry):
            report(walk, "full-url-required" if kind in _IDENTIFIED else "full-url-missing", where, type=kind)
        return
    here = (where, "fullUrl", None)
    if not _SCHEME.match(url):
        report(walk, "full-url-relative", here, value=shown(url))
        return
    match = _RESTFUL.fullmatch(url)
    if resource is None or match is None or match[1] not in types:
        return
    name = f"{resource.get('resourceType')}/{resource.get('id', '')}"
    if url.endswith(f"/{name}"):
        return
    if "id" in resource:
        report(walk, "full-url-end", here, value=shown(url), expected=shown(name))
    elif kind not in _UNNAMED:
        report(walk, "full-url-without-id", here, value=shown(url))


def _is_outcome(entry: Json) -> bool:
    return bool(entry.get("search", {}).get("mode") == "outcome")


def _links(node: Json, kind: str, where: Place, walk: Walk) -> None:
    found = Counter(link.get("relation") for link in many(node, "link"))
    for relation in _ONCE:
        if found[relation] > 1:
            report(walk, "link-repeated", (where, "link", None), value=relation, found=found[relation])
        if relation in _PAGING and found[relation] and kind in _IDENTIFIED:
            report(walk, "link-prohibited", (where, "link", None), value=relation, type=kind)


def _search(node: Json, entries: list[Json], where: Place, walk: Walk, types: frozenset[str]) -> None:
    expected = _searched(node, types)
    for index, entry in enumerate(entries):
        here: Place = ((where, "entry", index), "resource", None)
        mode, resource = entry.get("search", {}).get("mode"), entry.get("resource")
        if resource is None:
            continue
        kind = resource.get("resourceType")
        if mode == "outcome":
            if kind != "OperationOutcome":
                report(walk, "outcome-type", here, found=shown(kind))
        elif mode in _FOUND and not has(resource, "id"):
            report(walk, "match-without-id", here, found=shown(kind))
        if mode == "match" and expected and kind not in expected:
            report(walk, "match-type", here, found=shown(kind), expected=", ".join(sorted(expected)))


def _searched(node: Json, types: frozenset[str]) -> frozenset[str]:
    """Return the types that the search was for, by the link `self`; nothing where it does not say."""
    url = next((link["url"] for link in many(node, "link") if link.get("relation") == "self" and "url" in link), "")
    try:
        parts = urlsplit(url)
        asked = dict(parse_qsl(parts.query)).get("_type", "")
    except ValueError:
        return frozenset()
    last = [segment for segment in parts.path.split("/") if segment][-1:]
    # A compartment (Patient/1/*) and an operation (Patient/1/$everything) find more than one type.
    named = asked.split(",") if asked else last
    return frozenset(named) if named and types.issuperset(named) else frozenset()
