"""Every object of a resource, with its type: what is checked wherever it stands, whatever a profile says."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from profiles.definitions.registry import Definitions
from profiles.validate.profile import attachments, codings, extensions, links, uris
from profiles.validate.profile.visit import Found, Visit
from profiles.validate.walk import Place

if TYPE_CHECKING:
    from profiles.validate.profile.validator import ProfileValidator

Json = dict[str, Any]

CHECKS: Mapping[str, Callable[[Json, Place, Visit, "ProfileValidator"], None]] = {
    "Coding": codings.check,
    "Attachment": attachments.check,
    "Narrative": links.check,
}
"""By the type of the object."""


class Part(NamedTuple):
    """How a member of a type that is an object is found.

    Attributes:
        name: How it is called in the type that has it: `HumanName.family`, `Observation.value`.
        segment: In a location: `value.ofType(Quantity)`.
        type: Its type.
        value: Of what belongs to a code of a required value set, the member with the code; else empty.
    """

    name: str
    segment: str
    type: str
    value: str


def check(resource: Json, where: Place, visit: Visit, validator: "ProfileValidator") -> None:
    """Check all objects in a resource in document order, without going into resources within it."""
    kind = str(resource.get("resourceType"))
    _check(resource, kind, "", where, visit, validator)


def _check(  # noqa: C901, PLR0917 - every object comes through here; each part costs
    owner: Json, kind: str, inner: str, where: Place, visit: Visit, validator: "ProfileValidator"
) -> None:
    if "extension" in owner or "modifierExtension" in owner:
        extensions.check(owner, kind, inner, where, visit, validator)
    own = CHECKS.get(kind)
    if own is not None:
        own(owner, where, visit, validator)
    if validator.strict:
        uris.check(owner, kind, where, visit, validator)
        visit.identify(owner, where)
    parts = validator.parts(kind)
    for key, member in owner.items():
        if type(member) is str or (part := parts.get(key)) is None:
            continue
        if type(member) is dict:
            _check(member, part.type, part.name, (where, part.segment, None), visit, validator)
        elif type(member) is list:
            settles = part.type == "Extension" and kind != "Extension" and not validator.strict
            for index, row in enumerate(member):
                if type(row) is dict and settles:
                    _extended(row, part, (where, part.segment, index), visit, validator)
                elif type(row) is dict:
                    _check(row, part.type, part.name, (where, part.segment, index), visit, validator)
        if part.value and validator.strict:
            _coded(member, owner.get(part.value), (where, part.segment, None), visit)


def _extended(row: Json, part: Part, where: Place, visit: Visit, validator: "ProfileValidator") -> None:
    """Check what is in an extension, if nothing is known of an equal one."""
    for value in row.values():
        if type(value) is dict or type(value) is list:
            break
    else:
        return  # A plain value: nothing in it is checked wherever it stands.
    known, shared = validator.extended, visit.shared
    found = known.find(part.name, row, where, shared)
    if found is None:
        found = known.learn(part.name, row, where, shared, partial(_aside, row, part, where, visit, validator))
    for one in found:
        visit.add(one)


def _aside(row: Json, part: Part, where: Place, visit: Visit, validator: "ProfileValidator") -> list[Found]:
    there = visit.aside()
    _check(row, part.type, part.name, where, there, validator)
    return there.issues


def parts(kind: str, definitions: Definitions) -> dict[str, Part]:
    """Return the members of a type that are objects, by JSON key; of a primitive, what belongs to it (`_x`)."""
    definition = definitions.type(kind)
    found: dict[str, Part] = {}
    for element in definition.elements.values() if definition is not None else ():
        if element.type != "Resource":
            step = element.choice or element.name
            segment = f"{step}.ofType({element.type})" if element.choice else element.name
            primitive = definitions.primitive(element.type) is not None
            coded = element.type == "code" and definitions.required_codes(element.binding or "") is not None
            key = f"_{element.name}" if primitive else element.name
            found[key] = Part(f"{kind}.{step}", segment, element.type, element.name if coded else "")
    return found


def _coded(siblings: Any, values: Any, place: Place, visit: Visit) -> None:
    """Report codes that are not there, but only why they are not."""
    where, segment, _ = place
    several = isinstance(siblings, list)
    there = values if isinstance(values, list) else [values]
    for index, one in enumerate(siblings if isinstance(siblings, list) else [siblings]):
        if one is not None and (index >= len(there) or there[index] is None):
            visit.report("code-missing", (where, segment, index if several else None))
