"""The values of an element in a JSON object: plain or repeated, with what belongs to a primitive, of the type chosen."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

from profiles.validate.walk import Place

Json = dict[str, Any]


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
        keys: JSON keys, each with the type of its value and the segment of a location.
    """

    name: str
    keys: tuple[tuple[str, str, str], ...]

    def items(self, owner: Json, where: Place) -> Iterator[Item]:
        """Yield the values in an object, in order."""
        for key, type_name, step in self.keys:
            value, sibling = owner.get(key), owner.get(f"_{key}")
            if value is None and sibling is None:
                continue
            if isinstance(value, list) or isinstance(sibling, list):
                yield from _repeated(value, sibling, (where, step), type_name)
            else:
                yield _item(value, sibling, (where, step, None), type_name)


def member(name: str, types: tuple[str, ...], path: str) -> Member:
    """Return how an element is found.

    Args:
        name: Its name in the path.
        types: Names of all types that it may have by the base definition.
        path: Its path there, which names the type of a backbone.
    """
    if not name.endswith("[x]"):
        kind = types[0] if types and types[0] not in {"BackboneElement", "Element"} else path
        return Member(name, ((name, kind, name),))
    stem = name.removesuffix("[x]")
    return Member(name, tuple((stem + one[:1].upper() + one[1:], one, f"{stem}.ofType({one})") for one in types))


def _repeated(value: Any, sibling: Any, place: tuple[Place, str], type_name: str) -> Iterator[Item]:
    values = value if isinstance(value, list) else []
    siblings = sibling if isinstance(sibling, list) else []
    for index in range(max(len(values), len(siblings))):
        one = values[index] if index < len(values) else None
        beside = siblings[index] if index < len(siblings) else None
        if one is not None or beside is not None:
            yield _item(one, beside, (*place, index), type_name)


def _item(value: Any, sibling: Any, where: Place, type_name: str) -> Item:
    found = value.get("resourceType") if isinstance(value, dict) else None
    if isinstance(found, str):
        return Item(value, sibling, (where, value, None), found)
    return Item(value, sibling, where, type_name)
