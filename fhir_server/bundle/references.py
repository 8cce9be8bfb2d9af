"""Rewrites the references of a transaction: `urn:uuid` and conditional ones become `Type/id` (R4 3.1.0.11.2).

References are found wherever they stand: `Reference.reference`, every element of type uri, url, oid, uuid or canonical,
links and images in narrative, contained resources and extensions.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from fhir_server.model import reference
from fhir_server.model.errors import BadRequest
from profiles.definitions.registry import Definitions

_LINK = re.compile(r"""((?:href|src)\s*=\s*)(["'])(.*?)\2""", re.ASCII | re.DOTALL)
_LOCAL_SCHEMES = ("urn:uuid:", "urn:oid:")


LINK_TYPES = frozenset({"uri", "url", "canonical", "oid", "uuid"})


def link_members(definitions: Definitions) -> frozenset[str]:
    """Return the JSON members that may hold a link: `reference`, and those of a link type in any FHIR type."""
    members = {"reference"}
    for definition in definitions.types.values():
        members |= {name for name, element in definition.elements.items() if element.type in LINK_TYPES}
    return frozenset(members)


def rewritten(value: Any, targets: Mapping[str, str], members: frozenset[str], key: str = "") -> Any:
    """Return the value with every link in `targets` replaced; parts without links are shared, not copied.

    Args:
        value: A resource or a part of one.
        targets: What a link is in the bundle (`urn:uuid:…`, a fullUrl, `Patient?identifier=…`) to `Type/id`.
        members: JSON members that hold links (`link_members`).
        key: The JSON member that holds the value.
    """
    if isinstance(value, dict):
        changed = {name: rewritten(child, targets, members, name) for name, child in value.items()}
        return changed if any(changed[name] is not child for name, child in value.items()) else value
    if isinstance(value, list):
        items = [rewritten(child, targets, members, key) for child in value]
        return items if any(new is not old for new, old in zip(items, value, strict=True)) else value
    if isinstance(value, str):
        if key == "div":
            return _LINK.sub(lambda link: _link(link, targets), value) if "=" in value else value
        if key in members:
            return _target(value, targets) or value
    return value


def conditionals(value: Any, path: str) -> Iterator[tuple[str, str]]:
    """Yield (location, text) of the conditional references in a resource."""
    for place, holder in reference.walk(value, path):
        text = holder["reference"]
        if reference.conditional(text):
            yield f"{place}.reference", text


def refuse_dangling(value: Any, path: str, known: Mapping[str, str]) -> None:
    """Refuse a `urn:uuid` or `urn:oid` reference that no entry's fullUrl defines.

    Raises:
        BadRequest: Names the element.
    """
    for place, holder in reference.walk(value, path):
        text = holder["reference"]
        if text.startswith(_LOCAL_SCHEMES) and text.partition("#")[0] not in known:
            raise BadRequest(
                f"The reference '{text[:80]}' names no entry of this bundle. Add the entry with that fullUrl, or refer to "
                "an existing resource.",
                expression=f"{place}.reference",
            )


def _target(text: str, targets: Mapping[str, str]) -> str | None:
    if text in targets:
        return targets[text]
    head, mark, tail = text.partition("#")
    return f"{targets[head]}#{tail}" if mark and head in targets else None


def _link(found: re.Match[str], targets: Mapping[str, str]) -> str:
    target = _target(found[3], targets)
    return f"{found[1]}{found[2]}{target}{found[2]}" if target else found[0]
