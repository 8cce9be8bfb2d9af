"""Invariants of StructureDefinition and ElementDefinition (R4 5.3, 2.29)."""

import re
from collections.abc import Callable, Mapping
from typing import Any

from profiles.validate.rules.shape import (
    ContextRule,
    Rule,
    distinct,
    each_distinct,
    has,
    inner,
    many,
    most_one,
    needs,
    only_if,
    some,
)
from profiles.validate.walk import Json, Walk

_SLICE = re.compile(r"[a-zA-Z0-9/\-_\[\]@]+", re.ASCII)
_PATH = re.compile(r"[A-Za-z][A-Za-z0-9]*(\.[a-z][A-Za-z0-9]*(\[x\])?)*", re.ASCII)
_WORD = r"[^\s.,:;'\"/|?!@#$%&*()\[\]{}]{1,64}"
_NAMES = re.compile(rf"{_WORD}(\.{_WORD}(\[x\])?(:[^\s.]+)?)*", re.ASCII)
_BINDABLE = frozenset({"code", "Coding", "CodeableConcept", "Quantity", "string", "uri"})
_VIEWS = ("snapshot", "differential")
_NOT_WITH_REFERENCE = (
    "type",
    "defaultValue[x]",
    "fixed[x]",
    "pattern[x]",
    "example",
    "minValue[x]",
    "maxValue[x]",
    "maxLength",
    "binding",
)
_HL7 = "http://hl7.org/fhir/StructureDefinition"


def _roots(node: Json) -> list[Json]:
    return [
        element for view in _VIEWS for element in inner(node, view, "element") if "." not in element.get("path", "")
    ]


def _bare_roots(node: Json) -> bool:
    return not any(has(element, name) for element in _roots(node) for name in ("label", "code", "requirements"))


def _first_has_no_type(view: str) -> Rule:
    return lambda node: (
        node.get("kind") == "logical"
        or not any(has(one, "type") and "." not in one.get("path", "") for one in inner(node, view, "element")[:1])
    )


def _named_by_type(node: Json) -> bool:
    first = inner(node, "snapshot", "element")[:1]
    return node.get("kind") == "logical" or not first or first[0].get("path") == node.get("type")


def _snapshot_paths(node: Json, walk: Walk) -> bool:
    paths = [element.get("path", "") for element in many(node, "element")]
    first = paths[0] if paths else ""
    named = walk.current.get("kind") == "logical" or first == walk.current.get("type")
    return named and all(path.startswith(f"{first}.") for path in paths[1:])


def _differential_paths(node: Json, walk: Walk) -> bool:
    paths = [element.get("path", "") for element in many(node, "element")]
    first = paths[0] if paths else ""
    named = walk.current.get("kind") == "logical" or first.startswith(walk.current.get("type", ""))
    return named and all(path.startswith(first.partition(".")[0] + ".") for path in paths[1:])


def _have_ids(*views: str) -> Rule:
    return lambda node: all("id" in element for view in views for element in inner(node, view, "element"))


def _own_ids(view: str) -> Rule:
    return lambda node: _have_ids(view)(node) and distinct(inner(node, view, "element", "id"))


def _defaults(node: Json, *views: str) -> bool:
    return any(has(element, "defaultValue[x]") for view in views for element in inner(node, view, "element"))


def _is_hl7(node: Json) -> bool:
    return bool(node.get("url", "").startswith(_HL7))


def _every_element(*names: str) -> Rule:
    return lambda node: all(has(element, name) for element in many(node, "element") for name in names)


def _range(node: Json) -> bool:
    least, most = node.get("min"), node.get("max")
    return least is None or most in {None, "*"} or bool(least <= int(str(most)))


def _bindable(node: Json) -> bool:
    types = inner(node, "type", "code")
    return not has(node, "binding") or not types or not _BINDABLE.isdisjoint(types)


def _absolute_set(node: Json) -> bool:
    return bool(node.get("valueSet", "urn:").startswith(("http:", "https", "urn:")))


def _no_reference_mix(node: Json) -> bool:
    return not has(node, "contentReference") or not any(has(node, name) for name in _NOT_WITH_REFERENCE)


def _single_type_with(name: str) -> Rule:
    return lambda node: not has(node, name) or len(many(node, "type")) <= 1


RULES: Mapping[str, Rule] = {
    "eld-1": some("discriminator", "description"),
    "eld-2": _range,
    "eld-4": only_if("aggregation", code=("Reference", "canonical")),
    "eld-5": _no_reference_mix,
    "eld-6": _single_type_with("fixed[x]"),
    "eld-7": _single_type_with("pattern[x]"),
    "eld-8": most_one("pattern[x]", "fixed[x]"),
    "eld-11": _bindable,
    "eld-12": _absolute_set,
    "eld-13": each_distinct("type", "code"),
    "eld-14": each_distinct("constraint", "key"),
    "eld-15": most_one("defaultValue[x]", "meaningWhenMissing"),
    "eld-16": lambda node: "sliceName" not in node or _SLICE.fullmatch(node["sliceName"]) is not None,
    "eld-17": only_if("targetProfile", code=("Reference", "canonical")),
    "eld-18": lambda node: node.get("isModifier") is not True or has(node, "isModifierReason"),
    "eld-19": lambda node: "path" not in node or _NAMES.fullmatch(node["path"]) is not None,
    "eld-20": lambda node: "path" not in node or _PATH.fullmatch(node["path"]) is not None,
    "eld-21": some("expression"),
    "eld-22": needs("sliceIsConstraining", "sliceName"),
    "sdf-1": lambda node: (
        node.get("derivation") == "constraint" or distinct(inner(node, "snapshot", "element", "path"))
    ),
    "sdf-2": some("name", "uri"),
    "sdf-3": _every_element("definition", "min", "max"),
    "sdf-4": lambda node: node.get("abstract") is True or has(node, "baseDefinition"),
    "sdf-5": lambda node: (
        node.get("type") != "Extension" or node.get("derivation") == "specialization" or has(node, "context")
    ),
    "sdf-6": some("snapshot", "differential"),
    "sdf-8b": _every_element("base"),
    "sdf-9": _bare_roots,
    "sdf-10": lambda node: (
        "binding" not in node or any(has(node["binding"], name) for name in ("valueSet", "description"))
    ),
    "sdf-11": _named_by_type,
    "sdf-14": _have_ids(*_VIEWS),
    "sdf-15": _first_has_no_type("snapshot"),
    "sdf-15a": _first_has_no_type("differential"),
    "sdf-16": _own_ids("snapshot"),
    "sdf-17": _own_ids("differential"),
    "sdf-18": only_if("contextInvariant", type="Extension"),
    "sdf-20": lambda node: (
        not any("slicing" in element for element in many(node, "element") if "." not in element.get("path", ""))
    ),
    "sdf-21": lambda node: node.get("derivation") == "specialization" or not _defaults(node, "differential"),
    "sdf-22": lambda node: not (_is_hl7(node) and _defaults(node, *_VIEWS)),
    "sdf-23": lambda node: not any("sliceName" in element for element in _roots(node)),
}

IN_CONTEXT: Mapping[str, ContextRule] = {"sdf-8": _snapshot_paths, "sdf-8a": _differential_paths}

ON_TEXTS: Mapping[str, Callable[[Any], bool]] = {
    "eld-3": lambda text: text == "*" or (text.isascii() and text.isdigit())
}
