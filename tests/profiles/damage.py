"""Kinds of damage to a valid resource: where each applies, and what it does there.

A site is a member of an object of the resource. Each kind names the trait that a site must have and a function that
spoils it in place; the caller puts the object back.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from profiles.definitions.model import Element, TypeDefinition
from profiles.definitions.registry import Definitions
from profiles.primitives import SHAPES

Json = dict[str, Any]
TEXTS = frozenset({"string", "markdown", "code", "uri", "url", "canonical", "id", "dateTime", "date", "instant"})
NUMBERS = frozenset({"integer", "positiveInt", "unsignedInt", "decimal"})


@dataclass(frozen=True, slots=True)
class Site:
    """One member of an object, or with an empty key the object itself."""

    node: Json
    key: str
    definition: TypeDefinition
    element: Element | None
    traits: frozenset[str]

    @property
    def value(self) -> Any:
        """The member's value, the first one of an array."""
        value = self.node[self.key]
        return value[0] if isinstance(value, list) else value

    def put(self, value: Any) -> None:
        """Replace the value, the first one of an array."""
        if isinstance(self.node[self.key], list):
            self.node[self.key] = [value, *self.node[self.key][1:]]
        else:
            self.node[self.key] = value


def sites(resource: Json, definitions: Definitions) -> Iterator[Site]:
    """Yield each object of the resource and each member of one."""
    definition = definitions.type(resource["resourceType"])
    assert definition is not None
    more = {"searchless"} if resource.get("type") != "transaction" else set()
    if "contained" in definition.elements:
        yield Site(resource, "", definition, None, frozenset({"container"}))
    yield from _sites(resource, definition, definitions, frozenset(more))


def _sites(node: Json, definition: TypeDefinition, definitions: Definitions, more: frozenset[str]) -> Iterator[Site]:
    part = "resource" if definition.kind == "resource" else "part"
    yield Site(node, "", definition, None, frozenset({"object", part, f"a-{definition.name}"}))
    for key, value in node.items():
        element = definition.elements.get(key)
        if element is None:
            continue
        yield Site(node, key, definition, element, frozenset(_traits(node, element, definition, definitions)) | more)
        if element.type in SHAPES:
            continue
        for item in value if isinstance(value, list) else [value]:
            inner = definitions.type(item["resourceType"] if element.type == "Resource" else element.type)
            assert inner is not None
            yield from _sites(item, inner, definitions, more)


def _traits(node: Json, element: Element, definition: TypeDefinition, definitions: Definitions) -> set[str]:
    primitive, array = element.type in SHAPES, element.array
    attribute = (element.name == "id" and definition.kind != "resource") or element.path == "Extension.url"
    rivals = [other for other in definition.elements.values() if element.choice and other.choice == element.choice]
    bound = bool(element.binding and definitions.required_codes(element.binding))
    where = {
        "member": True,
        element.type: True,
        "list": array,
        "single": not array,
        "primitive": primitive,
        "primitive-single": primitive and not array,
        "extensible": primitive and not array and not attribute and element.type != "xhtml",
        "extensible-list": primitive and array,
        "complex": not primitive,
        "complex-list": not primitive and array and element.type != "Resource",
        "complex-single": not primitive and not array and element.type != "Resource",
        "text": element.type in TEXTS,
        "number": element.type in NUMBERS,
        "required": element.min and not element.choice and f"_{element.name}" not in node,
        "choice": len(rivals) > 1,
        "bound-code": bound and primitive,
        "bound-concept": bound and not primitive,
        "targeted": element.type == "Reference" and element.targets,
        "literal": element.name == "reference" and definition.name == "Reference",
    }
    return {trait for trait, holds in where.items() if holds}


Kind = tuple[str, Callable[[Site], object]]
"""The traits that a site must have, and what spoils it."""


def _set(value: Any) -> Callable[[Site], object]:
    return lambda site: site.put(value)


def _whole(change: Callable[[Any], Any]) -> Callable[[Site], object]:
    def damage(site: Site) -> None:
        site.node[site.key] = change(site.node[site.key])

    return damage


def _one(change: Callable[[Any], Any]) -> Callable[[Site], object]:
    return lambda site: site.put(change(site.value))


def _add(**members: Any) -> Callable[[Site], object]:
    return lambda site: site.node.update(members)


def _sibling(value: Any) -> Callable[[Site], object]:
    def damage(site: Site) -> None:
        site.node[f"_{site.key}"] = value(site.node[site.key]) if callable(value) else value

    return damage


def _rename(change: Callable[[str], str]) -> Callable[[Site], object]:
    def damage(site: Site) -> None:
        site.node[change(site.key)] = site.node.pop(site.key)

    return damage


def _drop(site: Site) -> None:
    del site.node[site.key]


def _second_choice(site: Site) -> None:
    assert site.element is not None
    stem, own = site.element.choice, site.element.name
    values = {"Boolean": True, "Integer": 1, "String": "x", "DateTime": "2020", "CodeableConcept": {"text": "x"}}
    others = [key for key, other in site.definition.elements.items() if other.choice == stem and key != own]
    other = next((name for name in values if f"{stem}{name}" in others), None)
    site.node[f"{stem}{other}" if other else others[0]] = values[other] if other else {"text": "x"}


def _inject(fragment: str) -> Callable[[Site], object]:
    """Put a fragment before the end of the narrative's div."""
    return _one(
        lambda text: (
            text.rstrip().removesuffix("</div>") + fragment + "</div>" if text.rstrip().endswith("</div>") else fragment
        )
    )


def _contain(resource: Json) -> Callable[[Site], object]:
    def damage(site: Site) -> None:
        site.node["contained"] = [*site.node.get("contained", []), resource]

    return damage


def _other_target(site: Site) -> str:
    assert site.element is not None
    return next(name for name in ("TestScript", "Basic") if name not in site.element.targets)


def _fill(**members: Any) -> Callable[[Site], object]:
    def damage(site: Site) -> None:
        site.node.clear()
        site.node.update(members)

    return damage


DIV = '<div xmlns="http://www.w3.org/1999/xhtml">'

KINDS: dict[str, Kind] = {
    # JSON
    "unknown key": ("object", _add(bogusElement="x")),
    "unknown underscore key": ("object", _add(_bogusElement={"id": "x"})),
    "key in another case": ("member", _rename(lambda key: key[0].upper() + key[1:])),
    "key in capitals": ("member", _rename(str.upper)),
    "key misspelt": ("member", _rename(lambda key: f"{key}s_")),
    "sibling of an object": ("complex", _sibling({"id": "x"})),
    "null": ("member", _whole(lambda value: None)),
    "null in array": ("list", _whole(lambda value: [*value, None])),
    "array in array": ("list", _whole(lambda value: [value])),
    "empty array": ("list", _whole(lambda value: [])),
    "empty object": ("complex-single", _whole(lambda value: {})),
    "empty object in array": ("complex-list", _whole(lambda value: [*value, {}])),
    "object with an id alone": ("complex-single", _whole(lambda value: {"id": "x"})),
    "array for one value": ("single", _whole(lambda value: [value])),
    "one value for an array": ("list", _whole(lambda value: value[0])),
    "object for a primitive": ("primitive-single", _whole(lambda value: {"value": value})),
    "text for an object": ("complex", _set("x")),
    "missing required member": ("required", _drop),
    "two types of a choice": ("choice", _second_choice),
    # Primitive values
    "empty text": ("text", _set("")),
    "number for text": ("text", _set(5)),
    "boolean for text": ("text", _set(True)),
    "text for boolean": ("boolean", _set("true")),
    "number for boolean": ("boolean", _set(1)),
    "text for number": ("number", _set("1")),
    "boolean for number": ("number", _set(True)),
    "fraction for integer": ("integer", _set(Decimal("1.0"))),
    "integer of 33 bits": ("integer", _set(2**31)),
    "zero for positiveInt": ("positiveInt", _set(0)),
    "fraction for positiveInt": ("positiveInt", _set(Decimal("1.0"))),
    "negative unsignedInt": ("unsignedInt", _set(-1)),
    "decimal of 35 digits": ("decimal", _set(Decimal("1." + "1" * 34))),
    "decimal beyond the exponent": ("decimal", _set(Decimal("1E+7000"))),
    "float for decimal": ("decimal", _set(1.5)),
    "control character": ("string", _set("a\x0bb")),
    "control character in markdown": ("markdown", _set("a\x00b")),
    "month 13": ("date", _set("2020-13-01")),
    "no such day": ("date", _set("2021-02-29")),
    "date with slashes": ("date", _set("2020/01/01")),
    "dateTime without zone": ("dateTime", _set("2020-01-01T10:00:00")),
    "dateTime without such a day": ("dateTime", _set("2021-04-31T10:00:00Z")),
    "dateTime with a space": ("dateTime", _set("2020-01-01 10:00:00Z")),
    "dateTime in Unicode digits": ("dateTime", _set("٢٠٢٠")),
    "instant as a date": ("instant", _set("2020-01-01")),
    "instant at hour 24": ("instant", _set("2020-01-01T24:00:00Z")),
    "time at hour 25": ("time", _set("25:00:00")),
    "time without seconds": ("time", _set("10:00")),
    "id with an underscore": ("id", _set("a_b")),
    "id of 65 characters": ("id", _set("a" * 65)),
    "uri with a space": ("uri", _set("http://example.org/a b")),
    "canonical with a space": ("canonical", _set("http://example.org/a b")),
    "url with a line feed": ("url", _set("http://example.org/\n")),
    "base64 with another letter": ("base64Binary", _set("AAA!")),
    "base64 of odd length": ("base64Binary", _set("AAAAA")),
    "code with a space at its end": ("code", _set("final ")),
    "code with two spaces": ("code", _set("a  b")),
    # Siblings of primitives
    "sibling as text": ("extensible", _sibling("x")),
    "sibling as empty object": ("extensible", _sibling({})),
    "sibling as array": ("extensible", _sibling([{"id": "x"}])),
    "sibling with another member": ("extensible", _sibling({"value": "x"})),
    "sibling as object for array": ("extensible-list", _sibling({"id": "x"})),
    "sibling of another length": ("extensible-list", _sibling(lambda value: [{"id": "x"}] * (len(value) + 1))),
    "sibling of nulls alone": ("extensible-list", _sibling(lambda value: [None] * len(value))),
    # Bindings
    "code out of its set": ("bound-code", _set("no-such-code")),
    "code of its set in capitals": (
        "bound-code",
        _one(lambda code: code.upper() if code != code.upper() else code.lower() + "x"),
    ),
    "concept out of its set": ("bound-concept", _one(lambda concept: {"coding": [{"system": "urn:x", "code": "x"}]})),
    "concept as text alone": ("bound-concept", _one(lambda concept: {"text": "x"})),
    # Resources and references
    "resourceType unknown": ("resource", _add(resourceType="Nothing")),
    "resourceType in small letters": ("resource", lambda site: _add(resourceType=site.definition.name.lower())(site)),
    "resourceType abstract": ("resource", _add(resourceType="DomainResource")),
    "resourceType missing": ("resource", lambda site: site.node.pop("resourceType")),
    "reference without id": ("literal", _set("Patient")),
    "reference without type": ("literal", _set("123")),
    "reference to an unknown type": ("literal", _set("Pateint/1")),
    "reference to another type": ("targeted", lambda site: site.put({"reference": f"{_other_target(site)}/1"})),
    "type of another reference": ("targeted", lambda site: site.put({"type": _other_target(site), "display": "x"})),
    "reference by a search": ("literal searchless", _set("Patient?identifier=1")),
    "reference to no contained": ("literal", _set("#no-such-thing")),
    "contained that nobody needs": ("container", _contain({"resourceType": "Basic", "id": "x", "code": {"text": "x"}})),
    "contained without an id": ("container", _contain({"resourceType": "Basic", "code": {"text": "x"}})),
    # Narrative
    "narrative with a script": ("xhtml", _inject("<script>x</script>")),
    "narrative with a form": ("xhtml", _inject("<form>x</form>")),
    "narrative with an event handler": ("xhtml", _inject('<p onclick="x()">x</p>')),
    "narrative with a javascript link": ("xhtml", _inject('<a href="java\tscript:x()">x</a>')),
    "narrative with a document type": ("xhtml", _one(lambda text: f"<!DOCTYPE div>{text}")),
    "narrative with an instruction": ("xhtml", _inject("<?php x ?>")),
    "narrative left open": ("xhtml", _one(lambda text: text + "<p>")),
    "narrative without namespace": ("xhtml", _set("<div>x</div>")),
    "narrative without content": ("xhtml", _set(f"{DIV} </div>")),
    # Invariants
    "period that ends before its start": ("a-Period", _add(start="2020-02-02", end="2020-01-01")),
    "contact point without system": ("a-ContactPoint", _fill(value="x")),
    "unit code without system": ("a-Quantity", _fill(value=1, code="mg")),
    "attachment without type": ("a-Attachment", _fill(data="AAAA")),
    "extension with value and children": (
        "a-Extension",
        _add(valueString="x", extension=[{"url": "urn:x", "valueString": "x"}]),
    ),
    "extension with an url alone": ("a-Extension", _fill(url="urn:x")),
    "object emptied": ("part", _fill()),
    "object left with an id": ("part", _fill(id="x")),
}
