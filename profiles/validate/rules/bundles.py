"""Invariants of Bundle (R4 2.36): which members go with which type, and what an entry may have."""

from collections.abc import Mapping

from profiles.validate.rules.shape import Rule, has, many, only_if, some
from profiles.validate.walk import Json

_REQUESTS = frozenset({"batch", "transaction", "history"})
_RESPONSES = frozenset({"batch-response", "transaction-response", "history"})


def _on_every_entry(name: str, types: frozenset[str]) -> Rule:
    """The member is on every entry of a bundle of these types, and on none of another."""
    return lambda node: all(has(entry, name) == (node.get("type") in types) for entry in many(node, "entry"))


def _unique_addresses(node: Json) -> bool:
    if node.get("type") == "history":
        return True
    seen: set[tuple[str, str]] = set()
    for entry in many(node, "entry"):
        if "fullUrl" in entry:
            version = entry.get("resource", {}).get("meta", {}).get("versionId", "")
            if (entry["fullUrl"], version) in seen:
                return False
            seen.add((entry["fullUrl"], version))
    return True


def _identified(node: Json) -> bool:
    identifier = node.get("identifier", {})
    return has(identifier, "system") and has(identifier, "value")


def _first_is(resource_type: str) -> Rule:
    return lambda node: (
        [entry.get("resource", {}).get("resourceType") for entry in many(node, "entry")[:1]] == [resource_type]
    )


def _in(bundle_type: str, rule: Rule) -> Rule:
    return lambda node: node.get("type") != bundle_type or rule(node)


RULES: Mapping[str, Rule] = {
    "bdl-1": only_if("total", type=("searchset", "history")),
    "bdl-2": lambda node: (
        node.get("type") == "searchset" or not any(has(entry, "search") for entry in many(node, "entry"))
    ),
    "bdl-3": _on_every_entry("request", _REQUESTS),
    "bdl-4": _on_every_entry("response", _RESPONSES),
    "bdl-5": some("resource", "request", "response"),
    "bdl-7": _unique_addresses,
    "bdl-8": lambda node: "/_history/" not in node.get("fullUrl", ""),
    "bdl-9": _in("document", _identified),
    "bdl-10": _in("document", lambda node: "timestamp" in node),
    "bdl-11": _in("document", _first_is("Composition")),
    "bdl-12": _in("message", _first_is("MessageHeader")),
}
