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
                _take(item, name, found, scope)
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
    """Return all members of an element, in the order of its type."""
    found: Items = []
    for name in node.type.names or (tuple(node.value) if type(node.value) is dict else ()):
        _take(node, name, found, scope)
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
            _option(node, option, value, found, scope)
    else:
        for key in value:
            chosen = known.by_key.get(key)
            if chosen is not None and (key == chosen.key or chosen.key not in value):
                _option(node, chosen, value, found, scope)


def _option(node: Node, option: Option, value: Any, found: Items, scope: Scope) -> None:
    key = option.key
    one = value.get(key)
    sibling = value.get(option.sibling) if option.sibling else None
    if type(one) is list or type(sibling) is list:
        _each(node, option, (one, sibling), found, scope)
    elif one is None and sibling is None:
        return
    elif not option.any:
        found.append(Node(one, option.type, sibling, node, key))
    elif type(one) is dict:
        found.append(Node(one, scope.model.of(one), None, node, key))


def _each(node: Node, option: Option, pair: tuple[Any, Any], found: Items, scope: Scope) -> None:
    """Take the items of an array, a primitive one with what its sibling has at the same place."""
    values, siblings = pair
    left = values if type(values) is list else [] if values is None else [values]
    right = siblings if type(siblings) is list else []
    key = option.key
    if option.any:
        found.extend(
            Node(one, scope.model.of(one), None, node, key, place)
            for place, one in enumerate(left)
            if type(one) is dict
        )
    elif not right:
        kind = option.type
        found.extend(Node(one, kind, None, node, key, place) for place, one in enumerate(left) if one is not None)
    else:
        for place in range(max(len(left), len(right))):
            one = left[place] if place < len(left) else None
            sibling = right[place] if place < len(right) else None
            if one is not None or sibling is not None:
                found.append(Node(one, option.type, sibling, node, key, place))


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
