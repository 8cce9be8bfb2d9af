"""Extensions wherever they stand (R4 Extensibility): their definition, where it allows them, and whether they modify."""

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from profiles.fhirpath.errors import FhirPathError
from profiles.snapshot.generate import Snapshot
from profiles.validate.messages import shown
from profiles.validate.profile.items import Item
from profiles.validate.profile.visit import Visit
from profiles.validate.walk import Place

if TYPE_CHECKING:
    from profiles.validate.profile.validator import ProfileValidator

Json = dict[str, Any]

CANONICAL = frozenset({"CanonicalResource", "MetadataResource"})
"""Types of R5 that definitions of extensions name: resources with a URL of their own, which a Basic may stand for."""


ANYWHERE = frozenset({"Element"})
"""Contexts that every element has, and every resource: the root of one is an element as well."""

_ALLOWED = re.compile(
    r"example\.org|example\.com|acme\.com|nema\.org|^http://hl7\.org/fhir/[0-9]\.[0-9]/StructureDefinition/extension-"
)
"""Domains whose extensions nobody defines, and elements of other versions of FHIR."""


def check(  # noqa: PLR0917 - one place calls it
    owner: Json, kind: str, inner: str, where: Place, visit: Visit, validator: "ProfileValidator"
) -> None:
    """Check the extensions of one object.

    Args:
        owner: The object.
        kind: Its type.
        inner: How it is called in the type that it is a member of: `HumanName.family`; empty for a resource.
        where: Its place.
        visit: Gets the findings.
        validator: Knows the definitions.
    """
    for name in ("extension", "modifierExtension"):
        rows = owner.get(name)
        for index, row in enumerate(rows if isinstance(rows, list) else ()):
            url = row.get("url") if isinstance(row, dict) else None
            if not isinstance(url, str):
                continue
            item = Item(row, None, (where, name, index), "Extension")
            if ":" in url:
                _extension(item, (url, kind, inner), visit, validator)
            elif kind != "Extension":
                visit.report("extension-relative", item.where, extension=shown(url))


def _extension(item: Item, use: tuple[str, str, str], visit: Visit, validator: "ProfileValidator") -> None:
    url = use[0]
    modifies = item.where[1] == "modifierExtension"
    if (*use, modifies) in validator.placed:
        for one in validator.outcome(item, url, None, visit) or ():
            visit.add(one)
        return
    made = validator.find(url)
    if made is None or made.type != "Extension" or made.fails:
        refused = made is None and validator.strict and not _ALLOWED.search(url)
        message = "modifier-unknown" if modifies else "extension-unknown"
        visit.report(f"{message}-error" if refused else message, item.where, extension=shown(url), url=url)
        return
    defined = bool(made.rows[0].get("isModifier"))
    if modifies and not defined:
        visit.report("extension-no-modifier", item.where, extension=shown(url))
    elif defined and not modifies:
        visit.report("extension-modifier", item.where, extension=shown(url))
    if _context(item, use, made, visit, validator) and modifies is defined:
        validator.placed.add((*use, modifies))
    for one in validator.outcome(item, url, None, visit) or ():
        visit.add(one)


def _context(
    item: Item, use: tuple[str, str, str], made: Snapshot, visit: Visit, validator: "ProfileValidator"
) -> bool:
    """Check that the definition allows the extension here (StructureDefinition.context), and return whether it does so anywhere."""
    url, kind, inner = use
    # A later edition may have moved what R4 itself defines; what R4 allows stays allowed.
    ours = validator.snapshots.source.type(url)
    editions = (made.origin, *((ours,) if ours is not None else ()))
    contexts = [row for one in editions for row in one.structure.get("context", ()) if isinstance(row, dict)]
    names = {kind, inner, *validator.lineage(kind), *ANYWHERE}
    if not contexts or any(row.get("type") == "element" and row.get("expression") in names for row in contexts):
        # Wherever such an element stands.
        return True
    visit.shared.outside += 1
    path = _path(item.where[0])
    names.add(path)
    if kind == "Basic" or "url" in getattr(validator.snapshots.source.definitions.type(path), "elements", ()):
        names |= CANONICAL
    for row in contexts:
        expression = str(row.get("expression", ""))
        match row.get("type"):
            case "element":
                if _fits(expression, path, names):
                    return False
            case "extension":
                if expression in _around(item, visit):
                    return False
            case _:
                if _selects(expression, visit, validator):
                    return False
    allowed = ", ".join(str(row.get("expression", "")) for row in contexts)
    visit.report("extension-context", item.where, extension=shown(url), found=path, allowed=allowed)
    return False


def _path(where: Place | None) -> str:
    """Return the path of an element from its place: `Observation.value` for `Observation.value.ofType(Quantity)`."""
    steps: list[str] = []
    while where is not None:
        where, segment, _ = where
        if isinstance(segment, dict):
            steps.append(str(segment.get("resourceType")))
            break
        steps.append(segment.partition(".ofType(")[0])
    return ".".join(reversed(steps))


def _fits(expression: str, path: str, names: set[str]) -> bool:
    plain = expression.replace("[x]", "")
    return expression in names or plain in names or path.endswith(f".{plain}") or plain == path


def _around(item: Item, visit: Visit) -> set[str]:
    """URLs of the extensions that an extension stands in."""
    found: set[str] = set()
    value = visit.resource[0]
    for segment, index in list(_segments(item.where[0]))[1:]:
        value = segment if isinstance(segment, dict) else _step(value, segment, index)
        if segment in ("extension", "modifierExtension"):
            found.add(str(value.get("url", "")))
    return found


def _step(owner: Json, segment: str, index: int | None) -> Json:
    """Return the object that a segment of a place leads to; of a primitive, what belongs to it."""
    stem, _, kind = segment.partition(".ofType(")
    name = stem + kind[:1].upper() + kind[1:-1]
    for key in (name, f"_{name}"):
        value = owner.get(key)
        if index is not None and isinstance(value, list) and index < len(value):
            value = value[index]
        if isinstance(value, dict):
            return value
    return {}


def _segments(where: Place | None) -> Iterator[tuple[Any, int | None]]:
    found = []
    while where is not None:
        where, segment, index = where
        found.append((segment, index))
    yield from reversed(found)


def _selects(expression: str, visit: Visit, validator: "ProfileValidator") -> bool:
    """Return whether a FHIRPath context selects something in the resource; one that cannot be read forbids nothing."""
    try:
        return bool(validator.engine.compile(expression).evaluate(visit.resource[0]))
    except FhirPathError:
        return True
