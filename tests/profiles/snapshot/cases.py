"""HL7's snapshot generation cases: their files, most of them XML, as resources."""

import tarfile
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

from fhir_server.model.json import decode
from profiles.definitions.registry import Definitions

Json = dict[str, Any]

FOLDER = "r4b/snapshot-generation/"
FHIR = "{http://hl7.org/fhir}"
NUMBERS = frozenset({"integer", "positiveInt", "unsignedInt"})


@dataclass(frozen=True)
class Case:
    """One case of the manifest: the profile, what it needs, and the published result (`None` where it must fail)."""

    name: str
    profile: Json
    others: tuple[Json, ...]
    expected: Json | None
    refused: bool


def read(archive: Path, definitions: Definitions) -> list[Case]:
    """Return the cases of the archive in the order of its manifest."""
    files = _files(archive)
    resources = {
        name: _resource(name, content, definitions) for name, content in files.items() if name != "manifest.xml"
    }
    by_stem = {name.rpartition(".")[0]: resource for name, resource in resources.items()}
    found = []
    for row in ET.fromstring(files["manifest.xml"]).iter("test"):
        name = row.get("id", "")
        if f"{name}-input" not in by_stem:
            continue
        others = tuple(by_stem[one.strip()] for one in row.get("register", "").split(",") if one.strip() in by_stem)
        case = Case(
            name, by_stem[f"{name}-input"], others, by_stem.get(f"{name}-expected"), row.get("fail", "") == "true"
        )
        found.append(case)
    return found


def _files(archive: Path) -> dict[str, bytes]:
    found = {}
    with tarfile.open(archive) as file:
        for member in file:
            content = file.extractfile(member) if member.name.startswith(FOLDER) else None
            if content is not None:
                found[member.name.removeprefix(FOLDER)] = content.read()
    return found


def _resource(name: str, content: bytes, definitions: Definitions) -> Json:
    if name.endswith(".json"):
        value: Json = decode(content)
        return value
    root = ET.fromstring(content)
    tag = root.tag.removeprefix(FHIR)
    return {"resourceType": tag, **_object(root, tag, definitions)}


def _object(node: ET.Element, type_name: str, definitions: Definitions) -> Json:
    definition = definitions.types[type_name]
    found: Json = {key: value for key, value in node.attrib.items() if key in {"id", "url"}}
    for child in node:
        name = child.tag.removeprefix(FHIR)
        element = definition.elements.get(name)
        if element is None:
            continue
        value = _value(child, element.type, definitions)
        if value is None:
            continue
        if element.array:
            found.setdefault(name, []).append(value)
        else:
            found[name] = value
    return found


def _value(node: ET.Element, type_name: str, definitions: Definitions) -> Any:
    if type_name == "xhtml":
        return None
    if type_name == "Resource":
        inner = node[0]
        tag = inner.tag.removeprefix(FHIR)
        return {"resourceType": tag, **_object(inner, tag, definitions)}
    if definitions.primitive(type_name) is None:
        return _object(node, type_name, definitions)
    return _primitive(node.get("value"), type_name)


def _primitive(text: str | None, type_name: str) -> Any:
    if text is None:
        return None
    readers: Mapping[str, Any] = {"boolean": lambda value: value == "true", "decimal": Decimal}
    return int(text) if type_name in NUMBERS else readers.get(type_name, str)(text)
