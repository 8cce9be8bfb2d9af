"""The rule of one member of an object: array or not, primitive or not, and the `_x` siblings of primitives (R4 2.6.2.3)."""

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from profiles.definitions.model import Element, RequiredSet
from profiles.primitives import ALLOWED, ID, SHAPES, article, fault, json_kind, kind
from profiles.validate import binding, invariant, narrative, reference, resource
from profiles.validate.messages import home, shown
from profiles.validate.walk import Json, Place, Walk

if TYPE_CHECKING:
    from profiles.validate.structure import Check, Checks

Rule = Callable[[Any, Json, Place, Walk], None]
Nested = Callable[[Json, Place, Walk, "Checks"], None]

_LINKS = frozenset({"uri", "url", "canonical"})


@lru_cache(maxsize=4096)
def _leads_out(uri: str) -> bool:
    return SHAPES["uri"](uri) and uri[0] != "#"


_USUAL: Mapping[str, Callable[[str], object]] = {
    "string": str.isprintable,
    "markdown": str.isprintable,
    "code": lru_cache(maxsize=1024)(SHAPES["code"]),
    "id": ID.fullmatch,
    # Systems, profiles and moments repeat within a resource and within a bundle.
    "uri": _leads_out,
    "url": _leads_out,
    "canonical": _leads_out,
    "date": lru_cache(maxsize=4096)(SHAPES["date"]),
    "dateTime": lru_cache(maxsize=4096)(SHAPES["dateTime"]),
    "instant": lru_cache(maxsize=1024)(SHAPES["instant"]),
}


def rule(element: Element, checks: "Checks") -> Rule:
    """Return the rule of an element's own key."""
    if element.type == "xhtml":
        return _narrative(element)
    if element.type in SHAPES:
        own = _primitives(element, checks) if element.array else _primitive(element, checks)
        return _constrained(own, element, checks) if _has_constraints(element) else own
    if element.type == "Resource":
        nested = resource.contained if element.name == "contained" else resource.entry
        return _resources(element, checks, nested) if element.array else _resource(element, checks, nested)
    return _objects(element, checks) if element.array else _object(element, checks)


def usual(element: Element, checks: "Checks") -> Callable[[str], object] | None:
    """Return what is true of nearly every short, non-empty text that the element may have, and of no other, if anything is.

    Functions of C, or of Python with a memory of their own: a call costs a quarter of that of a rule.
    """
    codes = binding.codes(element, checks.definitions)
    if element.array or element.type == "xhtml" or _has_constraints(element):
        return None
    if codes is not None:
        return codes.codes.__contains__
    return _USUAL.get(element.type)


def _has_constraints(element: Element) -> bool:
    """Return whether the element states something about a single primitive value; of R4's own only ElementDefinition.max does."""
    return not element.array and invariant.constrains(element.invariants, element.path)


def _constrained(own: Rule, element: Element, checks: "Checks") -> Rule:
    """Return the rule of a primitive with what only this element says about it."""
    holds = invariant.compile(element.invariants, element.path, element.type, checks.engine)
    accepts, step = SHAPES[element.type], segment(element)

    def one(value: Any, node: Json, where: Place, walk: Walk) -> None:
        own(value, node, where, walk)
        if holds is not None and accepts(value):
            holds(value, (where, step, None), walk)

    return one


def sibling(element: Element, checks: "Checks") -> Rule:
    """Return the rule of a primitive element's `_x`: an Element, or an array of Element and null."""
    return _siblings(element, checks) if element.array else _sibling(element, checks)


def segment(element: Element) -> str:
    """Return the element's name as FHIRPath has it: `birthDate`, `value.ofType(Quantity)`."""
    return f"{element.choice}.ofType({element.type})" if element.choice else element.name


def _object(element: Element, checks: "Checks") -> Rule:
    step, name, more = segment(element), element.type, _more(element, checks)

    def one(value: Any, node: Json, where: Place, walk: Walk) -> None:
        here = (where, step, None)
        if type(value) is dict:
            checks[name](value, here, walk)
            for check in more:
                check(value, here, walk)
        else:
            _not_an_object(value, element, here, walk)

    return one


def _objects(element: Element, checks: "Checks") -> Rule:
    step, name, limited, more = segment(element), element.type, element.max is not None, _more(element, checks)

    def each(value: Any, node: Json, where: Place, walk: Walk) -> None:
        if type(value) is not list:
            _not_an_array(value, element, (where, step, None), walk)
            return
        for index, item in enumerate(value):
            here = (where, step, index)
            if type(item) is dict:
                checks[name](item, here, walk)
                for check in more:
                    check(item, here, walk)
            else:
                _not_an_object(item, element, here, walk)
        if not value or limited:
            _count(len(value), element, (where, step, None), walk)

    return each


def _more(element: Element, checks: "Checks") -> tuple["Check", ...]:
    """Return the checks of what only this element says about its values, beyond what their type does."""
    found = (
        reference.compile(element, checks.definitions) if element.type == "Reference" else None,
        binding.compile(element, checks.definitions),
        invariant.compile(element.invariants, element.path, element.type, checks.engine),
    )
    return tuple(check for check in found if check is not None)


def _resource(element: Element, checks: "Checks", nested: Nested) -> Rule:
    def one(value: Any, node: Json, where: Place, walk: Walk) -> None:
        here = (where, element.name, None)
        if type(value) is dict:
            nested(value, here, walk, checks)
        else:
            _not_an_object(value, element, here, walk)

    return one


def _resources(element: Element, checks: "Checks", nested: Nested) -> Rule:
    def each(value: Any, node: Json, where: Place, walk: Walk) -> None:
        if type(value) is not list:
            _not_an_array(value, element, (where, element.name, None), walk)
            return
        for index, item in enumerate(value):
            here = (where, element.name, index)
            if type(item) is dict:
                nested(item, here, walk, checks)
            else:
                _not_an_object(item, element, here, walk)
        if not value:
            _count(0, element, (where, element.name, None), walk)

    return each


def _narrative(element: Element) -> Rule:
    def one(value: Any, node: Json, where: Place, walk: Walk) -> None:
        here = (where, element.name, None)
        if SHAPES["xhtml"](value):
            narrative.check(value, here, walk)
        else:
            _refuse(value, element, here, walk)

    return one


def _primitive(element: Element, checks: "Checks") -> Rule:
    codes = binding.codes(element, checks.definitions)
    if codes is not None:
        return _coded(element, codes)
    if element.type in _LINKS:
        return _link(element)
    accepts, step = SHAPES[element.type], segment(element)

    def one(value: Any, node: Json, where: Place, walk: Walk) -> None:
        if not accepts(value):
            _refuse(value, element, (where, step, None), walk)

    return one


def _link(element: Element) -> Rule:
    accepts, step = SHAPES[element.type], segment(element)

    def one(value: Any, node: Json, where: Place, walk: Walk) -> None:
        if not accepts(value):
            _refuse(value, element, (where, step, None), walk)
        elif value[0] == "#":
            walk.point(value)

    return one


def _coded(element: Element, members: RequiredSet) -> Rule:
    accepts, step, codes = SHAPES[element.type], segment(element), members.codes

    def one(value: Any, node: Json, where: Place, walk: Walk) -> None:
        # A member of the set has the shape of a code, so most values need one look-up only.
        if type(value) is str and value in codes:
            return
        if accepts(value):
            binding.refuse(value, members, (where, step, None), walk)
        else:
            _refuse(value, element, (where, step, None), walk)

    return one


def _primitives(element: Element, checks: "Checks") -> Rule:
    accepts, codes = SHAPES[element.type], binding.codes(element, checks.definitions)
    step, name, limited, links = segment(element), element.name, element.max is not None, element.type in _LINKS

    def primitives(value: Any, node: Json, where: Place, walk: Walk) -> None:
        if type(value) is not list:
            _not_an_array(value, element, (where, step, None), walk)
            return
        for index, item in enumerate(value):
            if accepts(item):
                if codes is not None and item not in codes.codes:
                    binding.refuse(item, codes, (where, step, index), walk)
                elif links and item[0] == "#":
                    walk.point(item)
            elif item is not None:
                _refuse(item, element, (where, step, index), walk)
            elif not _extended(node.get(f"_{name}"), index):
                walk.report("null-in-array", (where, step, index), name=name, sibling=f"_{name}")
        if not value or limited:
            _count(len(value), element, (where, step, None), walk)

    return primitives


def _sibling(element: Element, checks: "Checks") -> Rule:
    step, name = segment(element), element.name

    def one(value: Any, node: Json, where: Place, walk: Walk) -> None:
        _extension_of(value, name, (where, step, None), walk, checks, valued=name in node)

    return one


def _siblings(element: Element, checks: "Checks") -> Rule:
    step, name = segment(element), element.name
    own = f"_{name}"

    def each(value: Any, node: Json, where: Place, walk: Walk) -> None:
        here = (where, step, None)
        if type(value) is not list:
            walk.report("array-expected", here, name=own, found=article(value))
            return
        if not value or all(item is None for item in value):
            walk.report("array-empty", here, name=own)
            return
        values = node.get(name)
        there = values if type(values) is list else []
        for index, item in enumerate(value):
            valued = index < len(there) and there[index] is not None
            if item is not None:
                _extension_of(item, name, (where, step, index), walk, checks, valued=valued)
            elif name not in node:
                walk.report("null-in-array", (where, step, index), name=own, sibling=name)
        if name in node and len(value) != len(there):
            walk.report("sibling-length", here, name=name, sibling=own, found=len(value), expected=len(there))

    return each


def _extension_of(value: Any, name: str, where: Place, walk: Walk, checks: "Checks", *, valued: bool) -> None:
    """Check one `_x`. Beside no value, it must itself have content: an extension (ele-1)."""
    own = f"_{name}"
    if type(value) is not dict:
        walk.report("object-expected", where, name=own, found=article(value), type="Element")
    elif not value:
        walk.report("object-empty", where, name=own)
    else:
        checks.sibling(value, where, walk)
        if not valued and "extension" not in value:
            walk.report("content-missing", where, name=own)


def _extended(siblings: Any, index: int) -> bool:
    return type(siblings) is list and index < len(siblings) and type(siblings[index]) is dict


def _refuse(value: Any, element: Element, where: Place, walk: Walk) -> None:
    """Report why a value is not of its primitive type."""
    if not _is_kind(value, element, where, walk):
        return
    reason, allowed = fault(element.type, value), ALLOWED[element.type]
    if value == "":
        walk.report("empty-string", where, name=element.name)
    elif element.path.count(".") == 1 and element.name == "id" and element.type == "id":
        walk.report("resource-id", where, reason=reason, value=shown(value), allowed=allowed)
    else:
        walk.report("primitive", where, type=element.type, value=shown(value), reason=reason, allowed=allowed)


def _is_kind(value: Any, element: Element, where: Place, walk: Walk) -> bool:
    """Return whether the JSON kind of a primitive is right, reporting where it is not."""
    found, expected = json_kind(value), kind(element.type)
    if found == expected:
        return True
    if value is None:
        walk.report("null", where, name=element.name)
    elif found == "array":
        walk.report("array-not-expected", where, name=element.name, expected=f"a {expected}")
    else:
        places = {"expected": expected, "found": article(value), "type": element.type}
        walk.report("primitive-kind", where, name=element.name, **places)
    return False


def _not_an_object(value: Any, element: Element, where: Place, walk: Walk) -> None:
    if type(value) is list and not element.array:
        walk.report("array-not-expected", where, name=element.name, expected="an Object")
    elif value is None and not element.array:
        walk.report("null", where, name=element.name)
    else:
        walk.report("object-expected", where, name=element.name, found=article(value), type=element.type)


def _not_an_array(value: Any, element: Element, where: Place, walk: Walk) -> None:
    walk.report("array-expected", where, name=element.name, found=article(value))


def _count(found: int, element: Element, where: Place, walk: Walk) -> None:
    """Report an array that is empty or too long."""
    if not found:
        walk.report("array-empty", where, name=element.name)
    elif element.max is not None and found > element.max:
        url = home(element.path)
        walk.report("maximum", where, path=element.path, max=element.max, found=found, url=url)
