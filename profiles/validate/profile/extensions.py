"""Extensions wherever they stand (R4 Extensibility): their definition, where it allows them, and whether they modify."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from profiles.definitions.registry import Definitions
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


def check(resource: Json, where: Place, visit: Visit, validator: "ProfileValidator") -> None:
    """Check every extension in a resource, without going into resources within it."""
    for owner, path, kind, place in _owners(resource, str(resource.get("resourceType")), where, validator):
        for name in ("extension", "modifierExtension"):
            rows = owner.get(name)
            for index, row in enumerate(rows if isinstance(rows, list) else ()):
                url = row.get("url") if isinstance(row, dict) else None
                if isinstance(url, str) and "://" in url:
                    item = Item(row, None, (place, name, index), "Extension")
                    _extension(item, (url, path, kind), visit, validator)


def _extension(item: Item, use: tuple[str, str, str], visit: Visit, validator: "ProfileValidator") -> None:
    url, path, kind = use
    modifies = item.where[1] == "modifierExtension"
    made = validator.find(url)
    if made is None or made.type != "Extension" or made.fails:
        visit.report("modifier-unknown" if modifies else "extension-unknown", item.where, extension=shown(url))
        return
    defined = bool(made.rows[0].get("isModifier"))
    if modifies and not defined:
        visit.report("extension-no-modifier", item.where, extension=shown(url))
    elif defined and not modifies:
        visit.report("extension-modifier", item.where, extension=shown(url))
    _context(item, (url, path, kind), made, visit, validator)
    for one in validator.outcome(item, url, None, visit) or ():
        visit.add(one)


def _context(
    item: Item, use: tuple[str, str, str], made: Snapshot, visit: Visit, validator: "ProfileValidator"
) -> None:
    """Check that the definition allows the extension here (StructureDefinition.context)."""
    url, path, kind = use
    contexts = [row for row in made.origin.structure.get("context", ()) if isinstance(row, dict)]
    if not contexts:
        return
    names = {path, kind, *validator.lineage(kind)}
    if kind == "Basic" or "url" in getattr(validator.snapshots.source.definitions.type(path), "elements", ()):
        names |= CANONICAL
    for row in contexts:
        expression = str(row.get("expression", ""))
        match row.get("type"):
            case "element":
                if _fits(expression, path, names):
                    return
            case "extension":
                if expression in _around(item, visit):
                    return
            case _:
                if _selects(expression, visit, validator):
                    return
    allowed = ", ".join(str(row.get("expression", "")) for row in contexts)
    visit.report("extension-context", item.where, extension=shown(url), found=path, allowed=allowed)


def _fits(expression: str, path: str, names: set[str]) -> bool:
    plain = expression.replace("[x]", "")
    return expression in names or plain in names or path.endswith(f".{plain}") or plain == path


def _around(item: Item, visit: Visit) -> set[str]:
    """URLs of the extensions that an extension stands in."""
    found: set[str] = set()
    value: Any = None
    for segment, index in _segments(item.where[0]):
        value = value.get(segment) if isinstance(value, dict) else value
        if isinstance(segment, dict):
            value = segment
        if index is not None and isinstance(value, list) and index < len(value):
            value = value[index]
        if segment in ("extension", "modifierExtension") and isinstance(value, dict):
            found.add(str(value.get("url", "")))
    return found


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


def _owners(
    value: Json, path: str, where: Place, validator: "ProfileValidator"
) -> Iterator[tuple[Json, str, str, Place]]:
    """Yield each object that holds extensions: (object, path, type, place), in document order."""
    open_: list[tuple[Json, str, str, Place]] = [(value, path, path, where)]
    while open_:
        owner, here, kind, place = open_.pop()
        if "extension" in owner or "modifierExtension" in owner:
            yield owner, here, kind, place
        parts = validator.parts(kind)
        below: list[tuple[Json, str, str, Place]] = []
        for key, member in owner.items():
            if type(member) is str or key not in parts:
                continue
            step, segment, type_name = parts[key]
            if type(member) is dict:
                below.append((member, f"{here}.{step}", type_name, (place, segment, None)))
            elif type(member) is list:
                below += [
                    (row, f"{here}.{step}", type_name, (place, segment, index))
                    for index, row in enumerate(member)
                    if type(row) is dict
                ]
        below.reverse()
        open_ += below


def parts(kind: str, definitions: Definitions) -> dict[str, tuple[str, str, str]]:
    """Return what of a type may hold extensions: by JSON key the name in a path, in a location, and the type."""
    definition = definitions.type(kind)
    found: dict[str, tuple[str, str, str]] = {}
    for element in definition.elements.values() if definition is not None else ():
        if element.type != "Resource":
            step = element.choice or element.name
            segment = f"{step}.ofType({element.type})" if element.choice else element.name
            primitive = definitions.primitive(element.type) is not None
            found[f"_{element.name}" if primitive else element.name] = (step, segment, element.type)
    return found
