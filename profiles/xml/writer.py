"""Resources as XML (R4 2.6.1): elements in the order of the definitions, primitives as attributes, nothing lost."""

from decimal import Decimal
from itertools import zip_longest
from operator import itemgetter
from typing import Any

from profiles.definitions.registry import Definitions
from profiles.xml.layout import FHIR, Child, Layout, Layouts
from profiles.xml.text import escaped, narrative

STEP = "  "


class UnwritableError(ValueError):
    """What was to be written is no FHIR resource: XML has no form for it."""


class Writer:
    """Writes resources.

    Args:
        definitions: FHIR definitions.
    """

    def __init__(self, definitions: Definitions) -> None:
        self._layouts = Layouts(definitions)

    def write(self, resource: dict[str, Any], *, indented: bool = False) -> bytes:
        """Return a resource as XML in UTF-8.

        Args:
            resource: As decoded from JSON: numbers are `int` or `Decimal`.
            indented: Whether to lay it out for people, with the narrative left as it is.

        Raises:
            UnwritableError: It is no resource, or has a member that its type does not have.
        """
        out: list[str] = []
        _Pen(self._layouts, out).resource(resource, "\n" if indented else "", root=True)
        return "".join(out).lstrip("\n").encode()


class _Pen:
    """One resource being written. `pad` is what stands before each tag: a line end and spaces, or nothing."""

    __slots__ = ("_layouts", "_out")

    def __init__(self, layouts: Layouts, out: list[str]) -> None:
        self._layouts = layouts
        self._out = out

    def resource(self, resource: Any, pad: str, *, root: bool = False) -> None:
        name = resource.get("resourceType") if isinstance(resource, dict) else None
        layout = self._layouts.resource(name)
        if layout is None:
            raise UnwritableError(f"'{str(name)[:60]}' is not a resource type of FHIR R4.")
        namespace = f' xmlns="{FHIR}"' if root else ""
        self._element(layout.name, namespace, resource, layout, pad)

    def _element(self, name: str, attributes: str, node: dict[str, Any], layout: Layout, pad: str) -> None:
        rows = _rows(node, layout)
        if not rows:
            self._out.append(f"{pad}<{name}{attributes}/>")
            return
        self._out.append(f"{pad}<{name}{attributes}>")
        inner = pad + STEP if pad else ""
        for _, child, value, sibling in rows:
            if child.primitive:
                self._primitives(child, value, sibling, inner)
            else:
                for each in value if isinstance(value, list) else (value,):
                    self._child(child, each, inner)
        self._out.append(f"{pad}</{name}>")

    def _primitives(self, child: Child, value: Any, sibling: Any, pad: str) -> None:
        if isinstance(value, list) or isinstance(sibling, list):
            for one, its in zip_longest(value or (), sibling or ()):
                self._primitive(child, one, its, pad)
        else:
            self._primitive(child, value, sibling, pad)

    def _primitive(self, child: Child, value: Any, sibling: Any, pad: str) -> None:
        if value is None and sibling is None:
            raise UnwritableError(f"'{child.name}' has neither a value nor extensions.")
        attribute = "" if value is None else f' value="{_text(child, value)}"'
        if sibling is None:
            self._out.append(f"{pad}<{child.name}{attribute}/>")
        else:
            self._complex(child, "Element", sibling, pad, attribute)

    def _child(self, child: Child, value: Any, pad: str) -> None:
        if child.form == "xhtml":
            self._out.append(f"{pad}{narrative(_text(child, value, raw=True))}")
        elif child.form == "complex":
            self._complex(child, child.type, value, pad)
        else:
            self._out.append(f"{pad}<{child.name}>")
            self.resource(value, pad + STEP if pad else "")
            self._out.append(f"{pad}</{child.name}>")

    def _complex(self, child: Child, type_name: str, value: Any, pad: str, attribute: str = "") -> None:
        if not isinstance(value, dict):
            raise UnwritableError(f"'{child.name}' is no object.")
        layout = self._layouts.of(type_name)
        attributes = "".join([f' {key}="{escaped(str(value[key]))}"' for key in layout.attributes if key in value])
        self._element(child.name, attributes + attribute, value, layout, pad)


def _rows(node: dict[str, Any], layout: Layout) -> list[tuple[int, Child, Any, Any]]:
    """Return (rank, element, value, id and extensions of a primitive) for each element of a node, in their order."""
    rows = []
    children = layout.children
    for name, value in node.items():
        child = children.get(name)
        if child is not None:
            rows.append((child.rank, child, value, node.get(f"_{name}") if child.primitive else None))
        elif name not in layout.attributes and not (name == "resourceType" and not layout.attributes):
            child = children.get(name[1:]) if name.startswith("_") else None
            if child is None or not child.primitive:
                raise UnwritableError(f"{layout.name} has no element '{name[:60]}'.")
            if name[1:] not in node:
                rows.append((child.rank, child, None, value))
    rows.sort(key=itemgetter(0))
    return rows


def _text(child: Child, value: Any, *, raw: bool = False) -> str:
    if type(value) is str:
        return value if raw else escaped(value)
    if type(value) is bool:
        return "true" if value else "false"
    if type(value) in {int, Decimal}:
        return str(value)
    raise UnwritableError(f"'{child.name}' has no simple value.")
