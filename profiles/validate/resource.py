"""Resources: the one that was sent, those in entries and parameters, and contained ones (R4 2.4.0.11).

The first two are roots of their own. A contained resource shares the root of its container: `#` in it is the container,
`#id` another contained resource.
"""

from typing import TYPE_CHECKING

from profiles.definitions.registry import Definitions
from profiles.validate.messages import shown
from profiles.validate.walk import Json, Place, Walk

if TYPE_CHECKING:
    from profiles.validate.structure import Checks


def root(value: Json, where: Place | None, walk: Walk, checks: "Checks") -> None:
    """Check a resource with a walk of its own; `where` is `None` for the one that was sent."""
    name = _type_of(value, where, walk, checks.definitions)
    if not name:
        return
    here: Place = (None, name, None) if where is None else (where, value, None)
    _register(value, here, walk)
    checks[name](value, here, walk)
    _unused(value, here, walk)


def entry(value: Json, where: Place, walk: Walk, checks: "Checks") -> None:
    """Check the resource of an entry or a parameter."""
    transaction = walk.root.get("resourceType") == "Bundle" and walk.root.get("type") == "transaction"
    conditional = walk.conditional or transaction
    inner = Walk(value, walk.issues, walk.warnings, conditional=conditional, strict=walk.strict)
    inner.hints = walk.hints
    root(value, where, inner, checks)
    walk.hints = inner.hints


def contained(value: Json, where: Place, walk: Walk, checks: "Checks") -> None:
    """Check one contained resource as a part of its container."""
    name = _type_of(value, where, walk, checks.definitions)
    if not name:
        return
    if "id" not in value:
        walk.report("contained-id", where)
    outer, outside = walk.current, walk.inside
    walk.current, walk.inside = value, where[2] if outside is None else outside
    checks[name](value, (where, value, None), walk)
    walk.current, walk.inside = outer, outside


def _type_of(value: Json, where: Place | None, walk: Walk, definitions: Definitions) -> str:
    """Return the concrete type of a resource; report why it has none and return nothing otherwise."""
    name, types = value.get("resourceType"), definitions.resource_types
    if type(name) is str and name in types:
        return name
    known = definitions.type(name) if type(name) is str else None
    if name is None:
        close = [key for key in value if key.lower().strip("_ ") in {"resourcetype", "resource_type", "type"}]
        walk.report("type-missing", where, hint=f" (did you mean it by '{shown(close[0])}'?)" if close else "")
    elif known is not None and known.kind == "resource":
        walk.report("type-abstract", where, found=name)
    else:
        walk.report("type-unknown", where, found=shown(name), hint=walk.hint(name, types))
    return ""


def _register(value: Json, where: Place, walk: Walk) -> None:
    """Note the contained resources before anything refers to them."""
    inner = value.get("contained")
    for index, one in enumerate(inner if type(inner) is list else ()):
        one_id = one.get("id") if type(one) is dict else None
        if type(one_id) is not str:
            continue
        if one_id in walk.contained:
            walk.report("contained-duplicate", (where, "contained", index), value=shown(one_id))
        walk.contained[one_id] = one.get("resourceType")


def _unused(value: Json, where: Place, walk: Walk) -> None:
    """Report contained resources that nothing refers to and that do not refer to their container (dom-3)."""
    if not walk.contained:
        return
    for index, one in enumerate(value["contained"]):
        one_id = one.get("id") if type(one) is dict else None
        if type(one_id) is str and one_id not in walk.used and index not in walk.backward:
            walk.report("contained-unused", (where, "contained", index), value=shown(one_id))
