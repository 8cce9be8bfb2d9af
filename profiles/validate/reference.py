"""Literal references (R4 2.3.0.1): their format, the type that they point to, and contained targets (ref-1)."""

import re
from collections.abc import Callable

from profiles.definitions.model import Element
from profiles.definitions.registry import Definitions
from profiles.validate.messages import shown
from profiles.validate.walk import Json, Place, Walk

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]*:", re.ASCII)
_RELATIVE = re.compile(r"([A-Za-z]+)/[A-Za-z0-9\-.]{1,64}(?:/_history/[A-Za-z0-9\-.]{1,64})?", re.ASCII)
_CONDITIONAL = re.compile(r"([A-Za-z]+)\?\S+", re.ASCII)
_HTTP = re.compile(r"https?://\S*?/([A-Z][A-Za-z]+)/[A-Za-z0-9\-.]{1,64}(?:/_history/[A-Za-z0-9\-.]{1,64})?", re.ASCII)


def compile(element: Element, definitions: Definitions) -> Callable[[Json, Place, Walk], None]:  # noqa: A001 - the word for it
    """Return the check of one element of type Reference."""
    targets, types = frozenset(element.targets), definitions.resource_types
    allowed = ", ".join(sorted(targets))

    def check(node: Json, where: Place, walk: Walk) -> None:
        text, declared = node.get("reference"), node.get("type")
        found = _literal(text, types, where, walk) if type(text) is str and text else ""
        if type(declared) is str and declared:
            found = _declared(declared, found, types, where, walk) or found
        if found and targets and found not in targets:
            walk.report("reference-target", where, found=shown(found), allowed=allowed)

    return check


def _literal(text: str, types: frozenset[str], where: Place, walk: Walk) -> str:
    """Return the resource type that a literal reference names, nothing where it names none."""
    if text[0] == "#":
        return _contained(text, where, walk)
    match = _RELATIVE.fullmatch(text)
    if match is not None and match[1] in types:
        return match[1]
    here = (where, "reference", None)
    if match is not None:
        walk.report("reference-type", here, found=shown(match[1]), value=shown(text), hint=walk.hint(match[1], types))
        return ""
    if _SCHEME.match(text):
        match = _HTTP.fullmatch(text)
        return match[1] if match and match[1] in types else ""
    match = _CONDITIONAL.fullmatch(text)
    if match is None or match[1] not in types:
        walk.report("reference-format", here, value=shown(text))
        return ""
    if not walk.conditional:
        walk.report("reference-conditional", here, value=shown(text))
    return match[1]


def _declared(declared: str, found: str, types: frozenset[str], where: Place, walk: Walk) -> str:
    """Check `Reference.type` and return the resource type that it names, nothing where it names none."""
    name = declared.removeprefix("http://hl7.org/fhir/StructureDefinition/")
    here = (where, "type", None)
    if name not in types:
        walk.report("reference-type-name", here, value=shown(declared), hint=walk.hint(name, types))
        return ""
    if found and found != name:
        walk.report("reference-disagrees", here, found=shown(found), expected=name)
    return "" if found else name


def target(node: Json, walk: Walk) -> str:
    """Return the resource type that a reference claims to point to, nothing where it leaves that open."""
    text, declared = node.get("reference"), node.get("type")
    if type(declared) is str and declared:
        return declared
    if type(text) is not str:
        return ""
    if text.startswith("#"):
        found = walk.contained.get(text[1:]) if text != "#" else walk.root.get("resourceType")
        return found if type(found) is str else ""
    return named(text)


def named(reference: str) -> str:
    """Return the resource type that is written in a relative or absolute reference, nothing where there is none."""
    match = _RELATIVE.fullmatch(reference) or _HTTP.fullmatch(reference)
    return match[1] if match else ""


def _contained(text: str, where: Place, walk: Walk) -> str:
    """Return the type of the contained resource (or with `#` the container) that a fragment names."""
    walk.point(text)
    if text == "#":
        found = walk.root.get("resourceType")
    elif text[1:] in walk.contained:
        found = walk.contained[text[1:]]
    else:
        walk.report("reference-contained", (where, "reference", None), value=shown(text))
        return ""
    return found if type(found) is str else ""
