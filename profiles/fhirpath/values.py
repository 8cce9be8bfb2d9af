"""What collections hold: elements of resources with their place, and values that expressions compute."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, TypeAlias

from profiles.fhirpath.model import Type
from profiles.fhirpath.moments import Moment
from profiles.fhirpath.syntax import Amount


class Node:
    """An element of a resource, or a resource. Millions are made: it is a plain class, and nobody changes one.

    Attributes:
        value: JSON value; `None` for a primitive that has only a sibling.
        type: Its type.
        sibling: What stands under `_x` beside a primitive value: an object with `id` and `extension`, or `None`.
        parent: The node that it is a member of, `None` at the root.
        key: Its JSON key there, empty at the root.
        index: Its position where the key has an array, else `None`.
    """

    __slots__ = ("index", "key", "parent", "sibling", "type", "value")

    def __init__(  # noqa: PLR0917 - made a million times a second, where keywords cost
        self,
        value: Any,
        type: Type,  # noqa: A002 - the word for it
        sibling: Any = None,
        parent: "Node | None" = None,
        key: str = "",
        index: int | None = None,
    ) -> None:
        self.value = value
        self.type = type
        self.sibling = sibling
        self.parent = parent
        self.key = key
        self.index = index

    @property
    def path(self) -> str:
        """Its place as JSON keys: `Patient.name[0].family`."""
        steps: list[str] = []
        node = self
        while node.parent is not None:
            steps.append(node.key if node.index is None else f"{node.key}[{node.index}]")
            node = node.parent
        return ".".join([node.type.name, *reversed(steps)])

    def __repr__(self) -> str:
        return f"Node({self.path})"


@dataclass(frozen=True, slots=True)
class TypeName:
    """What `type()` returns: a name in the namespace `FHIR` or `System`, and the name of the type that it specializes."""

    namespace: str
    name: str
    base: str = ""


System: TypeAlias = bool | int | Decimal | str | Moment | Amount | TypeName
Item: TypeAlias = Node | bool | int | Decimal | str | Moment | Amount | TypeName
Items: TypeAlias = list[Item]

NAMES: dict[type, str] = {bool: "Boolean", int: "Integer", Decimal: "Decimal", str: "String", Amount: "Quantity"}

UCUM = "http://unitsofmeasure.org"

_CALENDAR = {
    "a": "year",
    "mo": "month",
    "wk": "week",
    "d": "day",
    "h": "hour",
    "min": "minute",
    "s": "second",
    "ms": "millisecond",
}


def system(item: Item) -> Item | None:
    """Return the value that operators and functions compute with: of a primitive what it says, of a Quantity the amount.

    `None` for a primitive without a value; other elements are returned as they are.
    """
    if type(item) is not Node:
        return item
    plain = item.type.plain
    if plain is not None:
        return plain(item.value)
    return amount(item) or item if "Quantity" in item.type.lineage else item


def systems(items: Sequence[Item]) -> Items:
    """Return the values of a collection; primitives without a value are left out."""
    return [found for item in items if (found := system(item)) is not None]


def amount(node: Node) -> Amount | None:
    """Return the amount of a FHIR Quantity, `None` where it has no number or only a bound of one (its comparator)."""
    value = node.value
    if type(value) is not dict or "comparator" in value:
        return None
    number, code, unit = value.get("value"), value.get("code"), value.get("unit")
    if type(number) is int:
        number = Decimal(number)
    if type(number) is not Decimal or not number.is_finite():
        return None
    if value.get("system") == UCUM and type(code) is str:
        return Amount(number, code)
    name = code if type(code) is str else unit if type(unit) is str else "1"
    return Amount(number, name)


def type_of(item: Item) -> TypeName:
    """Return the type of an item."""
    if type(item) is Node:
        base = next(iter(item.type.lineage - {item.type.name}), "") if len(item.type.lineage) == 2 else ""
        return TypeName("FHIR", item.type.name, f"FHIR.{base}" if base else "")
    if type(item) is Moment:
        return TypeName("System", item.kind, "System.Any")
    return TypeName("System", NAMES.get(type(item), "Any"), "System.Any")


def is_type(item: Item, name: str) -> bool:
    """Return whether an item is of a type, given in full (`FHIR.Quantity`, `System.String`), or specializes it."""
    if type(item) is Node:
        return name[:5] == "FHIR." and name[5:] in item.type.lineage
    if name == "System.Any":
        return True
    return name == (f"System.{item.kind}" if type(item) is Moment else f"System.{NAMES.get(type(item), '')}")


def chosen(item: Item, name: str) -> bool:
    """Return whether `as` and `ofType` choose an item: it is of the type or specializes it, but a primitive is exactly of it."""
    if type(item) is Node and item.type.primitive:
        return name == f"FHIR.{item.type.name}"
    return is_type(item, name)


def outside(item: Item) -> Any:
    """Return an item as JSON has it: an element as it stands, an amount as a Quantity, a date as text."""
    match item:
        case Node():
            return item.value
        case Amount(value, unit, calendar):
            return (
                {"value": value, "unit": unit}
                if calendar
                else {"value": value, "unit": unit, "system": UCUM, "code": unit}
            )
        case Moment():
            return str(item)
        case TypeName(namespace, name):
            return {"namespace": namespace, "name": name}
        case _:
            return item
