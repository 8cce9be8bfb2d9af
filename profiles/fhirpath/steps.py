"""From elements to their members: the step that most of an expression consists of."""

from decimal import Decimal
from typing import Any

from profiles.fhirpath.model import Option
from profiles.fhirpath.scope import Run, Scope
from profiles.fhirpath.syntax import Amount
from profiles.fhirpath.values import Item, Items, Node, System, TypeName, systems

MANY = 4
"""Choices of as many types are looked for among the keys that an object has."""


def member(source: Run, name: str) -> Run:
    """Return the run that takes from each item of a source the member of a name."""

    def run(scope: Scope) -> Items:
        found: Items = []
        for item in source(scope):
            if type(item) is Node:
                kind = item.type
                known = kind.members[name] if kind.plain is None else None
                only = None if known is None else known.only
                if only is None or type(item.value) is not dict:
                    _take(item, name, found, scope)
                    continue
                # What follows is _option() for nearly every step: half of the time of an evaluation is spent here.
                one = item.value.get(only.key)
                if only.sibling in item.value:
                    _each_or_one(item, item.value, only, found)
                elif type(one) is list:
                    inner, key = only.type, only.key
                    found += [
                        Node(each, inner, None, item, key, place) for place, each in enumerate(one) if each is not None
                    ]
                elif one is not None:
                    found.append(Node(one, only.type, None, item, only.key))
            else:
                found.extend(_of_system(item, name))
        scope.left -= len(found) + 1
        return found if scope.left >= 0 else scope.held(found)

    return run


def head(name: str) -> Run:
    """Return the run of a path's first name: the focus itself where that is the name of its type, else the member."""

    def run(scope: Scope) -> Items:
        found: Items = []
        for item in scope.this:
            if type(item) is not Node:
                found.extend(_of_system(item, name))
            elif name in item.type.lineage:
                found.append(item)
            else:
                _take(item, name, found, scope)
        scope.spend(len(found) + 1)
        return found

    return run


def focus(scope: Scope) -> Items:
    """Return `$this`."""
    return scope.this


def taken(node: Node, name: str, scope: Scope) -> Items:
    """Return the member of an element of a name."""
    found: Items = []
    _take(node, name, found, scope)
    return found


def children(node: Node, scope: Scope) -> Items:
    """Return all members of an element."""
    found: Items = []
    kind = node.type
    holder = node.value if kind.plain is None else node.sibling
    if type(holder) is dict:
        for key in holder:
            option = kind.keys[key]
            if option is None:
                if not kind.name:
                    _free(node, holder[key], key, found)
            elif key == option.key or option.key not in holder:
                _option(node, holder, option, found, scope)
    return found


def _take(node: Node, name: str, found: Items, scope: Scope) -> None:
    kind = node.type
    if kind.plain is None:
        value = node.value
    elif name == "value":
        found.extend(systems([node]))
        return
    else:
        value = node.sibling
    if type(value) is not dict:
        return
    known = kind.members[name]
    if known is None:
        if not kind.name:
            _free(node, value.get(name), name, found)
    elif len(known.options) < MANY:
        for option in known.options:
            _option(node, value, option, found, scope)
    else:
        for key in value:
            chosen = known.by_key.get(key)
            if chosen is not None and (key == chosen.key or chosen.key not in value):
                _option(node, value, chosen, found, scope)


def _each_or_one(node: Node, holder: dict[str, Any], option: Option, found: Items) -> None:
    """Take a primitive member that has a sibling."""
    one, sibling = holder.get(option.key), holder.get(option.sibling)
    if type(one) is list or type(sibling) is list:
        _each(node, option, one, sibling, found)
    elif one is not None or sibling is not None:
        found.append(Node(one, option.type, sibling, node, option.key))


def _option(node: Node, holder: dict[str, Any], option: Option, found: Items, scope: Scope) -> None:
    """Take what stands under a key."""
    if not option.any:
        _each_or_one(node, holder, option, found)
        return
    key = option.key
    value = holder.get(key)
    for place, one in enumerate(value if type(value) is list else [value]):
        if type(one) is dict:
            found.append(Node(one, scope.model.of(one), None, node, key, place if type(value) is list else None))


def _each(node: Node, option: Option, values: Any, siblings: Any, found: Items) -> None:
    """Take the items of an array, a primitive one with what its sibling has at the same place."""
    left = values if type(values) is list else [] if values is None else [values]
    right = siblings if type(siblings) is list else []
    for place in range(max(len(left), len(right))):
        one = left[place] if place < len(left) else None
        sibling = right[place] if place < len(right) else None
        if one is not None or sibling is not None:
            found.append(Node(one, option.type, sibling, node, option.key, place))


def _free(node: Node, value: Any, name: str, found: Items) -> None:
    """Take what stands in an object that has no type."""
    for place, one in enumerate(value if type(value) is list else [value]):
        if type(one) is dict:
            found.append(Node(one, node.type, None, node, name, place if type(value) is list else None))
        elif type(one) is float:
            found.append(Decimal(repr(one)))
        elif one is not None and type(one) is not list:
            found.append(one)


def _of_system(item: Item, name: str) -> tuple[System, ...]:
    match item:
        case Amount(value, _) if name == "value":
            return (value,)
        case Amount(_, unit) if name in {"unit", "code"}:
            return (unit,)
        case TypeName(namespace, own, base) if name in _TYPE_NAME:
            return ((namespace, own, base)[_TYPE_NAME[name]],)
        case _:
            return ()


_TYPE_NAME = {"namespace": 0, "name": 1, "baseType": 2}
