"""Applying a FHIRPath Patch to a resource (R4 fhirpatch.html)."""

from collections.abc import Iterator, Sequence
from copy import deepcopy
from typing import Any

from profiles.fhirpath.errors import FhirPathError, shown
from profiles.fhirpath.model import Member, Option, Type
from profiles.fhirpath.values import Node
from profiles.patch.errors import PatchError
from profiles.patch.operations import Operation, Value

Json = dict[str, Any]


def apply(operations: Sequence[Operation], resource: Json) -> Json:
    """Return what the operations make of a resource, one after the other; the resource itself stays.

    What is left without content by a deletion goes too (FHIR has no empty elements).

    Raises:
        PatchError: A path does not lead where the operation needs it, or the value does not fit there.
    """
    changed = deepcopy(resource)
    for operation in operations:
        try:
            _STEPS[operation.kind](operation, changed)
        except FhirPathError as error:
            raise PatchError("resource", f"The path fails on this resource: {error}", operation.place) from None
    return changed


def _found(operation: Operation, resource: Json) -> list[Node]:
    items = operation.path.nodes(resource, limits=operation.limits)
    nodes = [item for item in items if isinstance(item, Node)]
    if len(nodes) != len(items):
        text = f"The path '{_path(operation)}' computes a value instead of leading to an element. Write one that only selects."
        raise PatchError("patch", text, operation.place)
    return nodes


def _one(operation: Operation, resource: Json) -> Node:
    nodes = _found(operation, resource)
    if len(nodes) != 1:
        raise _refused(operation, f"leads to {len(nodes) or 'no'} elements; '{operation.kind}' needs exactly one")
    return nodes[0]


def _path(operation: Operation) -> str:
    return shown(operation.path.text, 60)


def _refused(operation: Operation, reason: str) -> PatchError:
    return PatchError("resource", f"The path '{_path(operation)}' {reason}.", operation.place)


def _add(operation: Operation, resource: Json) -> None:
    node = _one(operation, resource)
    member = _member(node.type, operation.name, operation)
    option, value, sibling = _made(operation.value, member, operation)
    holder = _members(node)
    if member.array:
        length = _length(holder, option)
        _put(holder, option, length, value, sibling)
        return
    if any(key in holder for key in member.by_key):
        raise _refused(operation, f"leads to an element that has '{operation.name}' already; use 'replace'")
    _set(holder, option, value, sibling)


def _insert(operation: Operation, resource: Json) -> None:
    holder, option, member, length = _list(operation, resource)
    if operation.index > length:
        raise _refused(operation, f"leads to a list of {length}; there is no place {operation.index} to insert at")
    chosen, value, sibling = _made(operation.value, member, operation)
    _put(holder, chosen if chosen.key == option.key else option, operation.index, value, sibling)


def _delete(operation: Operation, resource: Json) -> None:
    nodes = _found(operation, resource)
    if len(nodes) > 1:
        raise _refused(operation, f"leads to {len(nodes)} elements; 'delete' takes one, such as the first by [0]")
    if nodes:
        _remove(nodes[0], operation)


def _replace(operation: Operation, resource: Json) -> None:
    node = _one(operation, resource)
    if node.parent is None:
        raise _refused(operation, "is the whole resource. Send it with an update")
    member = _of(node)
    option, value, sibling = _made(operation.value, member, operation)
    holder = _members(node.parent)
    if node.index is not None:
        _put(holder, option, node.index, value, sibling, instead=True)
        return
    for key in member.by_key:
        holder.pop(key, None)
    _set(holder, option, value, sibling)


def _move(operation: Operation, resource: Json) -> None:
    holder, option, _, length = _list(operation, resource)
    for name, place in (("source", operation.source), ("destination", operation.destination)):
        if place >= length:
            raise _refused(operation, f"leads to a list of {length}; its {name} {place} is not there")
    for rows in _lists(holder, option):
        rows.insert(operation.destination, rows.pop(operation.source))


_STEPS = {"add": _add, "insert": _insert, "delete": _delete, "replace": _replace, "move": _move}


def _list(operation: Operation, resource: Json) -> tuple[Json, Option, Member, int]:
    """Return the one array that all found elements are all of: its object, what is in it, its member and its length."""
    nodes = _found(operation, resource)
    first = nodes[0] if nodes else None
    if first is None or first.parent is None or first.index is None:
        raise _refused(operation, f"leads to no list; '{operation.kind}' needs a list, such as Patient.name")
    holder, member = _members(first.parent), _of(first)
    option = member.by_key[first.key]
    length = _length(holder, option)
    if len(nodes) != length or any(node.parent is not first.parent or node.key != first.key for node in nodes):
        raise _refused(operation, f"leads to elements that are not one whole list; '{operation.kind}' needs one")
    return holder, option, member, length


def _of(node: Node) -> Member:
    """Return the member of its parent that an element is."""
    if node.parent is not None:
        for name in node.parent.type.names:
            member = node.parent.type.members[name]
            if member is not None and node.key in member.by_key:
                return member
    raise LookupError(node.path)


def _member(kind: Type, name: str, operation: Operation) -> Member:
    """Return a member by its name, that of a choice also as `value[x]` or `valueQuantity`."""
    plain = name.removesuffix("[x]")
    for known in (plain, *kind.names):
        member = kind.members[known]
        if member is not None and (known == plain or plain in member.by_key):
            return member
    text = f"'{shown(name)}' is no element of {kind.name}. It has {', '.join(kind.names)}."
    raise PatchError("patch", text, operation.place)


def _made(value: Value | None, member: Member, operation: Operation) -> tuple[Option, Any, Any]:
    """Return where a value goes, itself, and its sibling.

    Primitive types stand in for each other, since many clients send `valueString` for every text; the result is validated.

    Raises:
        PatchError: The element does not take values of this type.
    """
    if value is None:
        raise LookupError(operation.place)
    option = _option(value, member)
    if option is None:
        allowed = ", ".join(sorted({one.type.name or "a resource" for one in member.options}))
        text = f"'{member.name}' is no {value.type or 'anonymous type'}. It takes {allowed}."
        raise PatchError("patch", text, operation.place)
    if value.type == "":
        return option, _spelled(value, option.type, operation), None
    return option, deepcopy(value.json), deepcopy(value.sibling)


def _option(value: Value, member: Member) -> Option | None:
    if len(member.options) > 1:
        exact = [one for one in member.options if one.key == f"{member.name}{value.type}"]
        return exact[0] if exact else None
    option = member.options[0]
    kind = option.type
    if value.type == "":
        return None if kind.primitive or option.any else option
    if value.type == "Resource":
        return option if option.any else None
    if kind.primitive:
        return option if value.sibling is not None or not isinstance(value.json, dict | list) else None
    return option if value.type in kind.lineage or kind.name.endswith(f".{value.type}") else None


def _spelled(value: Value, kind: Type, operation: Operation) -> Json:
    """Return an object of an anonymous type."""
    made: Json = {}
    for name, part in value.json:
        member = _member(kind, name, operation)
        option, own, sibling = _made(part, member, operation)
        if member.array:
            _put(made, option, _length(made, option), own, sibling)
        elif any(key in made for key in member.by_key):
            raise PatchError("patch", f"'{shown(name)}' of {kind.name} does not repeat.", operation.place)
        else:
            _set(made, option, own, sibling)
    return made


def _members(node: Node) -> Json:
    """Return the object that holds the members of an element: its value, or the sibling of a primitive, made where missing."""
    if node.type.plain is None:
        value: Json = node.value
        return value
    if node.sibling is None and node.parent is not None:
        holder, key = _members(node.parent), f"_{node.key}"
        node.sibling = {}
        if node.index is None:
            holder[key] = node.sibling
        else:
            rows = holder.setdefault(key, [None] * len(holder[node.key]))
            rows[node.index] = node.sibling
    sibling: Json = node.sibling
    return sibling


def _lists(holder: Json, option: Option) -> Iterator[list[Any]]:
    """Yield the arrays of a member, that of the siblings too."""
    for key in (option.key, option.sibling):
        if key and isinstance(holder.get(key), list):
            yield holder[key]


def _length(holder: Json, option: Option) -> int:
    return max((len(rows) for rows in _lists(holder, option)), default=0)


def _set(holder: Json, option: Option, value: Any, sibling: Any) -> None:
    if value is not None:
        holder[option.key] = value
    if sibling is not None:
        holder[option.sibling] = sibling


def _put(holder: Json, option: Option, index: int, value: Any, sibling: Any, *, instead: bool = False) -> None:
    """Put an item into the array of a member, and its sibling to the same place."""
    length = _length(holder, option)
    for key, item in ((option.key, value), (option.sibling, sibling)):
        if not key or (key not in holder and item is None):
            continue
        rows = holder.setdefault(key, [])
        rows.extend([None] * (length - len(rows)))
        rows[index : index + instead] = [item]


def _remove(node: Node, operation: Operation) -> None:
    """Take an element out, and what is left without content by that."""
    if node.parent is None:
        raise _refused(operation, "is the whole resource, which a patch does not delete")
    holder = _members(node.parent)
    for key in (node.key, f"_{node.key}"):
        if node.index is None:
            holder.pop(key, None)
        elif isinstance(rows := holder.get(key), list) and node.index < len(rows):
            del rows[node.index]
            if not any(item is not None for item in rows):
                del holder[key]
    if not holder and node.parent.parent is not None:
        if node.parent.type.plain is None or node.parent.value is None:
            _remove(node.parent, operation)
        else:
            _bare(node.parent)


def _bare(node: Node) -> None:
    """Take the empty sibling from a primitive that has a value."""
    if node.parent is None:
        return
    holder, key = _members(node.parent), f"_{node.key}"
    if node.index is None:
        holder.pop(key, None)
        return
    holder[key][node.index] = None
    if not any(item is not None for item in holder[key]):
        del holder[key]
