"""The types as expressions see them: which members a type has under which JSON keys, what it descends from, and its value.

Every type is made when it is first met, from the definitions; a `Model` belongs to one `Definitions` and may be shared.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache
from typing import Any, TypeVar

from profiles.definitions.model import Element
from profiles.definitions.registry import Definitions
from profiles.fhirpath import patterns
from profiles.fhirpath.moments import Moment

MOST_PATTERNS = 128
"""Regular expressions that are kept, each with the memory that RE2 may use for it."""

Plain = bool | int | Decimal | str | Moment


@dataclass(frozen=True, slots=True)
class Option:
    """One JSON key of a member.

    Attributes:
        key: The key: `birthDate`, and of a choice `valueQuantity`.
        sibling: The key of what belongs to the primitive value: `_birthDate`; empty for other types.
        type: Type of what stands there.
        any: Whether it is a resource, whose type only its content tells.
    """

    key: str
    sibling: str
    type: "Type"
    any: bool


@dataclass(frozen=True, slots=True)
class Member:
    """A member by the name that expressions use: `value` for all of `value[x]`.

    Attributes:
        name: That name.
        options: Its JSON keys.
        array: Whether it repeats.
        by_key: Its options by their keys and siblings.
        only: Its one option, `None` for a choice and for what may be any resource.
    """

    name: str
    options: tuple[Option, ...]
    array: bool
    by_key: Mapping[str, Option]
    only: Option | None


Made = TypeVar("Made")


class Lazy(dict[str, Made | None]):
    """Parts of a type by name; a missing one is made, or is `None` and not kept."""

    def __init__(self, make: Callable[[str], Made | None]) -> None:
        super().__init__()
        self._make = make

    def __missing__(self, name: str) -> Made | None:
        found = self._make(name)
        if found is not None:
            self[name] = found
        return found


class Type:
    """A FHIR type.

    Attributes:
        name: `Patient`, `Quantity`, `Observation.component`, `dateTime`; empty for what has no type.
        lineage: Names of the type and of all that it specializes.
        primitive: Whether it is one.
        resource: Whether it is a resource.
        plain: Turns the JSON value of a primitive into what expressions compute with, `None` where it has another shape.
        members: Its members by name.
        names: Names of all members, in their order.
        keys: Their options by JSON key, siblings included.
    """

    __slots__ = ("keys", "lineage", "members", "name", "names", "plain", "primitive", "resource")

    def __init__(
        self,
        name: str,
        lineage: frozenset[str],
        members: Lazy[Member],
        keys: Lazy[Option],
        *,
        names: tuple[str, ...] = (),
        primitive: bool = False,
        resource: bool = False,
        plain: Callable[[Any], Plain | None] | None = None,
    ) -> None:
        self.name = name
        self.lineage = lineage
        self.members = members
        self.names = names
        self.keys = keys
        self.primitive = primitive
        self.resource = resource
        self.plain = plain


class Model:
    """The types of one set of definitions by name, and what else evaluations share.

    Attributes:
        definitions: Where the types come from.
        pattern: Compiles a regular expression, or has kept it.
        untyped: The type of what has none.
    """

    def __init__(self, definitions: Definitions) -> None:
        self.definitions = definitions
        self._types: dict[str, Type] = {}
        self._systems: dict[str, str] = {}
        self.pattern = lru_cache(maxsize=MOST_PATTERNS)(patterns.compiled)
        self.untyped = Type("", frozenset(), Lazy(_nothing), Lazy(_nothing))

    def type(self, name: str) -> Type | None:
        """Return a type by name, `None` where there is none."""
        found = self._types.get(name)
        if found is None and name in self.definitions.types:
            found = self._types[name] = self._made(name)
        return found

    def named(self, text: str) -> str | None:
        """Return the full name of a type as an expression names it: `FHIR.Quantity`, `System.Integer`; `None` for an unknown one."""
        namespace, dotted, name = text.rpartition(".")
        if namespace in {"", "FHIR"} and name in self.definitions.types:
            return f"FHIR.{name}"
        if namespace in {"", "System"} and name in SYSTEM:
            return f"System.{name}"
        return text if dotted and namespace in {"FHIR", "System"} else None

    def of(self, value: Mapping[str, Any]) -> Type:
        """Return the type of a JSON object by its `resourceType`."""
        name = value.get("resourceType")
        return (self.type(name) if type(name) is str else None) or self.untyped

    def system(self, full: str) -> str | None:
        """Return the type of FHIRPath that items of a type, given in full, are computed with.

        The name itself where there is none; `None` where only the item tells.
        """
        found = self._systems.get(full)
        if found is None:
            found = self._systems[full] = self._system(full)
        return found or None

    def _system(self, full: str) -> str:
        namespace, _, name = full.partition(".")
        if namespace == "System":
            return name if name != "Any" else ""
        kind = self.type(name)
        if kind is None or self.definitions.types[name].abstract:
            return ""
        if kind.primitive:
            return _SYSTEM.get(name, "String")
        return "Quantity" if "Quantity" in kind.lineage else full

    def _made(self, name: str) -> Type:
        definition = self.definitions.types[name]
        lineage: list[str] = []
        base: str = name
        while base and base not in lineage:
            lineage.append(base)
            base = self.definitions.types[base].base if base in self.definitions.types else ""
        by_name: dict[str, list[Element]] = {}
        for element in definition.elements.values():
            by_name.setdefault(element.choice or element.name, []).append(element)

        by_json = {key: one for one in definition.elements.values() for key in (one.name, f"_{one.name}")}

        def member(wanted: str) -> Member | None:
            elements = by_name.get(wanted)
            if elements is None:
                return None
            options = tuple(self._option(one) for one in elements)
            by_key = {key: one for one in options for key in (one.key, one.sibling) if key}
            only = options[0] if len(options) == 1 and not options[0].any else None
            return Member(wanted, options, elements[0].array, by_key, only)

        return Type(
            name,
            frozenset(lineage),
            Lazy(member),
            Lazy(lambda key: self._option(by_json[key]) if key in by_json else None),
            names=tuple(by_name),
            primitive=definition.kind == "primitive",
            resource=definition.kind == "resource",
            plain=_PLAIN.get(name, _text) if definition.kind == "primitive" else None,
        )

    def _option(self, element: Element) -> Option:
        kind = self.type(element.type) or self.untyped
        sibling = f"_{element.name}" if kind.primitive else ""
        return Option(element.name, sibling, kind, kind.resource)


SYSTEM = frozenset({"Any", "Boolean", "Integer", "Decimal", "String", "Date", "DateTime", "Time", "Quantity"})
"""The types of FHIRPath itself."""


_SYSTEM: Mapping[str, str] = {
    "boolean": "Boolean",
    "integer": "Integer",
    "positiveInt": "Integer",
    "unsignedInt": "Integer",
    "decimal": "Decimal",
    "date": "Date",
    "dateTime": "DateTime",
    "instant": "DateTime",
    "time": "Time",
}
"""The types of FHIRPath of the primitives that are no String."""


def _nothing(_: str) -> None:
    return None


def _text(value: Any) -> Plain | None:
    return value if type(value) is str else None


def _boolean(value: Any) -> Plain | None:
    return value if type(value) is bool else None


def _integer(value: Any) -> Plain | None:
    return value if type(value) is int else None


def _decimal(value: Any) -> Plain | None:
    if type(value) is Decimal:
        return value if value.is_finite() else None
    if type(value) is int:
        return Decimal(value)
    return _decimal(Decimal(repr(value))) if type(value) is float else None


def _moment(value: Any) -> Plain | None:
    return Moment.parse(value) if type(value) is str and len(value) < 50 and value[:1] != "T" else None


def _date_time(value: Any) -> Plain | None:
    found = Moment.parse(value) if type(value) is str and len(value) < 50 and value[:1] != "T" else None
    return Moment("DateTime", found.parts, found.zone) if found is not None and found.kind == "Date" else found


def _time(value: Any) -> Plain | None:
    return Moment.parse(f"T{value}") if type(value) is str and len(value) < 50 else None


_PLAIN: Mapping[str, Callable[[Any], Plain | None]] = {
    "boolean": _boolean,
    "integer": _integer,
    "positiveInt": _integer,
    "unsignedInt": _integer,
    "decimal": _decimal,
    "date": _moment,
    "dateTime": _date_time,
    "instant": _date_time,
    "time": _time,
}
