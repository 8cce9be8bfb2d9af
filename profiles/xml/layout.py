"""How the XML of each type is laid out (R4 2.6.1): the order of its elements, and which members are attributes."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from profiles.definitions.model import Element, TypeDefinition
from profiles.definitions.registry import Definitions
from profiles.primitives import kind

FHIR = "http://hl7.org/fhir"
XHTML = "http://www.w3.org/1999/xhtml"

Form = Literal["boolean", "number", "string", "complex", "resource", "xhtml"]


@dataclass(frozen=True, slots=True)
class Child:
    """An element that a type may have.

    Attributes:
        name: Its name, in XML as in JSON.
        rank: Its place among the elements of the type.
        form: What its value is.
        type: Name of its type.
        array: Whether it repeats.
        choice: `value` for a member of `value[x]`, else empty.
        primitive: Whether its value is an attribute, and its id and extensions are a member of their own in JSON.
    """

    name: str
    rank: int
    form: Form
    type: str
    array: bool
    choice: str
    primitive: bool


@dataclass(frozen=True, slots=True)
class Layout:
    """The XML of a type.

    Attributes:
        name: Name of the type.
        attributes: JSON members that are attributes.
        children: Elements by name, in their order.
    """

    name: str
    attributes: tuple[str, ...]
    children: Mapping[str, Child]


class Layouts:
    """Layouts by type, each made when it is first asked for.

    Args:
        definitions: FHIR definitions.
    """

    def __init__(self, definitions: Definitions) -> None:
        self._definitions = definitions
        self._known: dict[str, Layout] = {}

    def resource(self, name: object) -> Layout | None:
        """Return the layout of a resource type, `None` where the name is that of none."""
        return self.of(name) if isinstance(name, str) and name in self._definitions.resource_types else None

    def of(self, name: str) -> Layout:
        """Return the layout of a type that is known to exist."""
        found = self._known.get(name)
        if found is None:
            found = self._known[name] = _layout(self._definitions.types[name], self._definitions)
        return found


def _layout(definition: TypeDefinition, definitions: Definitions) -> Layout:
    attributes: tuple[str, ...] = () if definition.kind == "resource" else ("id",)
    if definition.name == "Extension":
        attributes += ("url",)
    children = {
        name: _child(element, rank, definitions)
        for rank, (name, element) in enumerate(definition.elements.items())
        if name not in attributes
    }
    return Layout(definition.name, attributes, children)


def _child(element: Element, rank: int, definitions: Definitions) -> Child:
    form: Form
    if element.type == "xhtml":
        form = "xhtml"
    elif definitions.primitive(element.type):
        form = _FORMS[kind(element.type)]
    else:
        form = "resource" if definitions.types[element.type].kind == "resource" else "complex"
    primitive = form in _FORMS.values()
    return Child(element.name, rank, form, element.type, element.array, element.choice, primitive)


_FORMS: Mapping[str, Form] = {"boolean": "boolean", "number": "number", "string": "string"}
