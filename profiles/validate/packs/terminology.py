"""CodeSystem and ValueSet as wholes (R4 4.8, 4.9): properties and their values, counts, systems that value sets include."""

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from profiles.validate.messages import shown
from profiles.validate.packs.messages import report
from profiles.validate.rules.shape import many
from profiles.validate.walk import Json, Place, Walk

if TYPE_CHECKING:
    from profiles.validate.structure import Checks

PROPERTIES = "http://hl7.org/fhir/concept-properties#"
STANDARD: Mapping[str, str] = {
    "inactive": "boolean",
    "deprecated": "dateTime",
    "deprecationDate": "dateTime",
    "notSelectable": "boolean",
    "parent": "code",
    "child": "code",
    "partOf": "code",
    "synonym": "code",
    "comment": "string",
    "itemWeight": "decimal",
}
"""Properties that FHIR defines for all code systems, with their types."""

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]*:", re.ASCII)
_VALUES = {
    "valueCode": "code",
    "valueCoding": "Coding",
    "valueString": "string",
    "valueInteger": "integer",
    "valueBoolean": "boolean",
    "valueDateTime": "dateTime",
    "valueDecimal": "decimal",
}
_EMPTY = "not-present"
_MOST_CONCEPTS = 200_000
"""Concepts that are looked at; a code system of more is loaded as a release, not sent as a resource."""


def code_system(node: Json, where: Place, walk: Walk, checks: "Checks") -> None:
    """Report properties and concepts of a CodeSystem that do not fit one another."""
    types = _properties(node, where, walk)
    count = 0
    for concept, place in _concepts(node, where):
        count += 1
        if count > _MOST_CONCEPTS:
            return
        for index, one in enumerate(many(concept, "property")):
            _value(one, types, (place, "property", index), walk)
    _count(node, count, where, walk)
    supplement = node.get("content") == "supplement"
    if supplement != ("supplements" in node):
        report(walk, "supplement-unnamed" if supplement else "supplement-content", where)


def _properties(node: Json, where: Place, walk: Walk) -> dict[str, str]:
    """Report properties that are there twice or are not what FHIR means by them, and return the type of each code."""
    types: dict[str, str] = {}
    uris: Counter[str] = Counter()
    for index, one in enumerate(many(node, "property")):
        here = (where, "property", index)
        code, uri, kind = one.get("code"), one.get("uri"), one.get("type")
        if type(code) is not str:
            continue
        if code in types:
            report(walk, "property-repeated", here, what="code", value=shown(code))
        else:
            types[code] = kind
        if uri is None:
            continue
        uris[uri] += 1
        if uris[uri] == 2:
            report(walk, "property-repeated", here, what="URI", value=shown(uri))
        meant = uri.removeprefix(PROPERTIES) if uri.startswith(PROPERTIES) else ""
        if meant in STANDARD:
            if kind != STANDARD[meant]:
                report(walk, "property-type", here, found=shown(kind), uri=shown(uri), expected=STANDARD[meant])
            if code != meant and code in STANDARD:
                report(walk, "property-code", here, uri=shown(uri), expected=meant, found=shown(code))
    return types


def _concepts(node: Json, where: Place) -> Iterator[tuple[Json, Place]]:
    """Yield all concepts with their places, without recursion: hierarchies are as deep as their authors like."""
    waiting = [(one, (where, "concept", index)) for index, one in reversed([*enumerate(many(node, "concept"))])]
    while waiting:
        concept, place = waiting.pop()
        yield concept, place
        waiting += [(one, (place, "concept", index)) for index, one in reversed([*enumerate(many(concept, "concept"))])]


def _value(one: Json, types: Mapping[str, str], where: Place, walk: Walk) -> None:
    code = one.get("code")
    expected = types.get(str(code))
    found = next((kind for key, kind in _VALUES.items() if key in one or f"_{key}" in one), "")
    if expected is None:
        if code not in STANDARD:
            report(walk, "property-undefined", where, value=shown(code), hint=walk.hint(code, types))
    elif found and found != expected:
        report(walk, "property-value", where, value=shown(code), found=found, expected=expected)


def _count(node: Json, found: int, where: Place, walk: Walk) -> None:
    stated, content = node.get("count"), node.get("content")
    here = (where, "count", None)
    if content == _EMPTY and found:
        report(walk, "content-unexpected", (where, "content", None), found=found)
    elif content == "complete" and type(stated) is int and found and stated != found:
        report(walk, "count-complete", here, stated=stated, found=found)
    elif content in {"fragment", "example"} and type(stated) is int and found >= stated > 0:
        report(walk, "count-fragment", here, content=content, stated=stated, found=found)


def value_set(node: Json, where: Place, walk: Walk, checks: "Checks") -> None:
    """Report systems of a ValueSet that are none."""
    compose = node.get("compose")
    if type(compose) is not dict:
        return
    for name in ("include", "exclude"):
        for index, one in enumerate(many(compose, name)):
            here = ((where, "compose", None), name, index)
            system = one.get("system")
            if type(system) is not str:
                continue
            if not _SCHEME.match(system):
                report(walk, "include-relative", (here, "system", None), value=shown(system), name=name)
            elif "/ValueSet/" in system and checks.definitions.value_set(system) is not None:
                report(walk, "include-value-set", (here, "system", None), value=shown(system))
            codes = Counter(concept.get("code") for concept in many(one, "concept"))
            for code, times in codes.items():
                if times > 1:
                    report(walk, "include-repeated", (here, "concept", None), value=shown(code), found=times)
