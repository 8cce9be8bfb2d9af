"""Official examples that are published as XML, as the JSON that they stand for (R4 2.6)."""

from decimal import Decimal
from typing import Any
from xml.etree import ElementTree as ET

from profiles.definitions.model import Element
from profiles.definitions.registry import Definitions
from profiles.primitives import kind

FHIR = "{http://hl7.org/fhir}"
Json = dict[str, Any]


def resource(text: bytes, definitions: Definitions) -> Json:
    """Return the resource of an XML document."""
    return _resource(ET.fromstring(text), definitions)


def _resource(node: ET.Element, definitions: Definitions) -> Json:
    name = node.tag.removeprefix(FHIR)
    return {"resourceType": name} | _members(node, name, definitions)


def _members(node: ET.Element, type_name: str, definitions: Definitions) -> Json:
    known = definitions.types[type_name].elements
    found: Json = {}
    if "id" in node.attrib:
        found["id"] = node.attrib["id"]
    if "url" in node.attrib:
        found["url"] = node.attrib["url"]
    for child in node:
        name = child.tag.removeprefix(FHIR)
        if name.startswith("{"):
            found["div"] = ET.tostring(child, encoding="unicode")
            continue
        element = known[name]
        value, sibling = _value(child, element, definitions)
        if not element.array:
            found |= ({name: value} if value is not None else {}) | ({f"_{name}": sibling} if sibling else {})
            continue
        found.setdefault(name, []).append(value)
        found.setdefault(f"_{name}", []).append(sibling)
    return {key: value for key, value in found.items() if not isinstance(value, list) or any(value)}


def _value(node: ET.Element, element: Element, definitions: Definitions) -> tuple[Any, Json | None]:
    if definitions.types[element.type].kind == "primitive":
        text = node.get("value")
        own = _members(node, "Element", definitions) or None
        return (None if text is None else _primitive(element.type, text)), own
    if element.type == "Resource":
        return _resource(node[0], definitions), None
    return _members(node, element.type, definitions), None


def _primitive(type_name: str, text: str) -> bool | int | Decimal | str:
    match kind(type_name):
        case "boolean":
            return text == "true"
        case "number":
            return Decimal(text) if type_name == "decimal" else int(text)
        case _:
            return text
