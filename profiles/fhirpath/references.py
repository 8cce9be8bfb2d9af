"""`resolve()`: the resource that a reference points to, in the same resource or Bundle, or wherever the surroundings look."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from profiles.fhirpath.scope import Scope
from profiles.fhirpath.values import Item, Node, system

_LITERAL = re.compile(r"(?:\S*/)?([A-Z][A-Za-z]+)/([A-Za-z0-9\-.]{1,64})(?:/_history/[A-Za-z0-9\-.]{1,64})?", re.ASCII)


def resolved(item: Item, scope: Scope) -> Node | None:
    """Return the node of the resource that a Reference, uri or canonical points to; `None` where it is not found."""
    node = item if isinstance(item, Node) else None
    reference = node.value if node is not None and isinstance(node.value, dict) else None
    text = system(item) if reference is None else reference.get("reference")
    declared = None if reference is None else reference.get("type")
    if not isinstance(text, str):
        return _unread("", declared, scope)
    roots = [*_roots(node), *_variables(scope)]
    if text.startswith("#"):
        return _contained(text[1:], roots, scope)
    for root in roots:
        if root.value.get("resourceType") == "Bundle":
            found = _entry(text, root, node, scope)
            if found is not None:
                return found
    ask = scope.services.resolve
    resource = ask(text) if ask is not None else None
    return scope.node(resource) if resource is not None else _unread(text, declared, scope)


def _roots(node: Node | None) -> Iterator[Node]:
    """Yield the resources that an element is in, from the inside out."""
    while node is not None:
        if node.type.resource and isinstance(node.value, dict):
            yield node
        node = node.parent


def _variables(scope: Scope) -> Iterator[Node]:
    for name in ("resource", "rootResource"):
        for item in scope.variables.get(name, ()):
            if isinstance(item, Node) and isinstance(item.value, dict):
                yield item


def _contained(fragment: str, roots: list[Node], scope: Scope) -> Node | None:
    for root in roots:
        resources = root.value.get("contained")
        for index, resource in enumerate(resources if isinstance(resources, list) else ()):
            scope.spend(1)
            if isinstance(resource, dict) and resource.get("id") == fragment:
                return Node(resource, scope.model.of(resource), None, root, "contained", index)
        if not fragment and root.key != "contained":
            return root
    return None


def _entry(text: str, bundle: Node, source: Node | None, scope: Scope) -> Node | None:
    """Return the resource of the entry that a reference points to (R4 2.36.4): by its full URL, or relative to that of its own entry."""
    entries = bundle.value.get("entry")
    if not isinstance(entries, list):
        return None
    base = next(_bases(source), "") if ":" not in text else ""
    for index, entry in enumerate(entries):
        scope.spend(1)
        resource = entry.get("resource") if isinstance(entry, dict) else None
        # Where no entry says which server it is from, the type and id are all that there is to go by.
        if isinstance(resource, dict) and (
            entry.get("fullUrl") == f"{base}{text}" or (not base and _name(resource) == text)
        ):
            above = Node(entry, scope.model.type("Bundle.entry") or scope.model.untyped, None, bundle, "entry", index)
            return Node(resource, scope.model.of(resource), None, above, "resource")
    return None


def _bases(source: Node | None) -> Iterator[str]:
    """Yield the base of the full URL of the entry that an element is in."""
    while source is not None:
        url = source.value.get("fullUrl") if isinstance(source.value, dict) else None
        match = _LITERAL.fullmatch(url) if isinstance(url, str) else None
        if match is not None and url is not None:
            yield url[: match.start(1)]
        source = source.parent


def _name(resource: Mapping[str, Any]) -> str:
    return f"{resource.get('resourceType')}/{resource.get('id')}"


def _unread(text: str, declared: Any, scope: Scope) -> Node | None:
    """Return a resource of which only the type is known, where the evaluation takes it for the one that is not read."""
    if not scope.unread:
        return None
    match = _LITERAL.fullmatch(text)
    name = match[1] if match is not None else declared
    if not isinstance(name, str) or name not in scope.model.definitions.resource_types:
        return None
    return scope.node({"resourceType": name, "id": match[2]} if match is not None else {"resourceType": name})
