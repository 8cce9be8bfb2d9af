"""The values of an element in a JSON object: plain or repeated, with what belongs to a primitive, of the type chosen."""

from dataclasses import dataclass
from typing import Any, NamedTuple

from profiles.validate.walk import Place

Json = dict[str, Any]
Row = tuple[str, str, str, str]

_NEW = tuple.__new__


class Item(NamedTuple):
    """One value of an element.

    Attributes:
        value: Its JSON, `None` for a primitive that has extensions only.
        sibling: What belongs to a primitive, as `_birthDate` to `birthDate`.
        where: Its place.
        type: Its type: `HumanName`, `dateTime`, `Observation.component`.
    """

    value: Any
    sibling: Any
    where: Place
    type: str

    def part(self, name: str) -> Any:
        """Return a member of the value, or of what belongs to it where it is a primitive."""
        owner = self.value if isinstance(self.value, dict) else self.sibling
        return owner.get(name) if isinstance(owner, dict) else None

    @property
    def object(self) -> Json:
        """The value as an object; of a primitive, what belongs to it."""
        owner = self.value if isinstance(self.value, dict) else self.sibling
        return owner if isinstance(owner, dict) else {}


@dataclass(frozen=True, slots=True)
class Member:
    """How an element is found in JSON.

    Attributes:
        name: Its name in the path, such as `value[x]` or `name`.
        keys: By JSON key, the key of the value, the key of what belongs to it, its type and the segment of a location. A
            primitive's `_x` leads to the same row as `x`.
        only: The row of an element that is no choice, else `None`.
    """

    name: str
    keys: dict[str, Row]
    only: Row | None

    def items(self, owner: Json, where: Place) -> list[Item]:
        """Return the values in an object, in order."""
        only = self.only
        if only is not None:
            key, beside, type_name, step = only
            value, sibling = owner.get(key), owner.get(beside)
            if sibling is None:
                # As nearly all are: the same as below, without the detours.
                if type(value) is dict and "resourceType" not in value:
                    return [_NEW(Item, (value, None, (where, step, None), type_name))]
                if value is None:
                    return []
            if type(value) is list or type(sibling) is list:
                return _repeated(value, sibling, (where, step), type_name)
            return [_item(value, sibling, (where, step, None), type_name)]
        keys = self.keys
        found: list[Item] = []
        for key in owner:
            row = keys.get(key)
            if row is not None and (key == row[0] or row[0] not in owner):
                found += _values(owner, row, where)
        return found

    def present(self, owner: Json) -> bool:
        """Return whether the element is in an object."""
        return not self.keys.keys().isdisjoint(owner)


def member(name: str, types: tuple[str, ...], path: str) -> Member:
    """Return how an element is found.

    Args:
        name: Its name in the path.
        types: Names of all types that it may have by the base definition.
        path: Its path there, which names the type of a backbone.
    """
    if not name.endswith("[x]"):
        kind = types[0] if types and types[0] not in {"BackboneElement", "Element"} else path
        keys = _keys(name, kind, name)
        return Member(name, keys, keys[name])
    stem = name.removesuffix("[x]")
    keys = {}
    for one in types:
        keys |= _keys(stem + one[:1].upper() + one[1:], one, f"{stem}.ofType({one})")
    return Member(name, keys, None)


def _values(owner: Json, row: Row, where: Place) -> list[Item]:
    value, sibling = owner.get(row[0]), owner.get(row[1])
    if type(value) is list or type(sibling) is list:
        return _repeated(value, sibling, (where, row[3]), row[2])
    return [_item(value, sibling, (where, row[3], None), row[2])]


def _keys(key: str, type_name: str, step: str) -> dict[str, Row]:
    row = (key, f"_{key}", type_name, step)
    return {row[0]: row, row[1]: row}


def _repeated(value: Any, sibling: Any, place: tuple[Place, str], type_name: str) -> list[Item]:
    values = value if type(value) is list else []
    where, step = place
    if type(sibling) is not list:
        if len(values) == 1 and type(one := values[0]) is dict and "resourceType" not in one:
            return [_NEW(Item, (one, None, (where, step, 0), type_name))]
        return [
            _NEW(Item, (one, None, (where, step, index), type_name))
            if type(one) is dict and "resourceType" not in one
            else _item(one, None, (where, step, index), type_name)
            for index, one in enumerate(values)
            if one is not None
        ]
    found = []
    for index in range(max(len(values), len(sibling))):
        one = values[index] if index < len(values) else None
        beside = sibling[index] if index < len(sibling) else None
        if one is not None or beside is not None:
            found.append(_item(one, beside, (where, step, index), type_name))
    return found


def _item(value: Any, sibling: Any, where: Place, type_name: str) -> Item:
    # Hundreds are made for a resource; what a NamedTuple's own constructor does besides costs as much again.
    if type(value) is dict and type(found := value.get("resourceType")) is str:
        return _NEW(Item, (value, sibling, (where, value, None), found))
    return _NEW(Item, (value, sibling, where, type_name))
