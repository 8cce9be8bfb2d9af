"""Instances that nobody has published: the least that a type requires, with a value where a search parameter looks for one."""

from collections.abc import Iterator
from copy import deepcopy
from dataclasses import replace
from decimal import Decimal
from typing import Any

from fhir_server.search.fhirpath import Equals, Extended, Item, Resolves
from fhir_server.search.paths import Test, selections
from profiles.definitions.model import Element, SearchParameter
from profiles.definitions.registry import Definitions

Json = dict[str, Any]

PRIMITIVES: dict[str, Any] = {
    "base64Binary": "AAAA",
    "boolean": True,
    "canonical": "http://example.org/canonical/planted",
    "code": "planted",
    "date": "2021-02-03",
    "dateTime": "2021-02-03T04:05:06Z",
    "decimal": Decimal("1.5"),
    "id": "planted",
    "instant": "2021-02-03T04:05:06Z",
    "integer": 7,
    "markdown": "planted",
    "oid": "urn:oid:1.2.3",
    "positiveInt": 7,
    "string": "planted",
    "time": "04:05:06",
    "unsignedInt": 7,
    "uri": "http://example.org/planted",
    "url": "http://example.org/planted",
    "uuid": "urn:uuid:c757873d-ec9a-4326-a141-556f43239520",
    "xhtml": '<div xmlns="http://www.w3.org/1999/xhtml">planted</div>',
}
UNIT = {"unit": "mg", "system": "http://unitsofmeasure.org", "code": "mg"}
COMPLEX: dict[str, Json] = {
    # Where the definitions ask for nothing, the invariants do.
    "Attachment": {"contentType": "text/plain", "url": "http://example.org/planted"},
    "CapabilityStatement.implementation": {"description": "planted"},
    "ConceptMap.group.element": {"code": "planted"},
    "ValueSet.expansion.contains": {"system": "http://example.org/codes"},
    "ConceptMap.group.unmapped": {"mode": "other-map", "url": "http://example.org/planted"},
    "MolecularSequence.referenceSeq": {"genomeBuild": "GRCh 37", "windowStart": 1, "windowEnd": 2},
    "Address": {"city": "Planting", "country": "PL", "postalCode": "1234", "state": "Green", "use": "home"},
    "CodeableConcept": {"coding": [{"system": "http://example.org/codes", "code": "planted"}]},
    "Coding": {"system": "http://example.org/codes", "code": "planted"},
    "ContactPoint": {"system": "phone", "value": "123-planted"},
    "HumanName": {"family": "Planted", "given": ["Green"]},
    "Identifier": {"system": "http://example.org/identifiers", "value": "planted"},
    "Money": {"value": Decimal("1.5"), "currency": "EUR"},
    "Period": {"start": "2021-02-03", "end": "2021-02-04"},
    "Range": {"low": {"value": 1, **UNIT}, "high": {"value": 2, **UNIT}},
    "Timing": {"event": ["2021-02-03T04:05:06Z"]},
    **{name: {"value": Decimal("1.5"), **UNIT} for name in ("Quantity", "SimpleQuantity", "Age", "Duration", "Count")},
}

SEEDS: dict[str, Json] = {
    "CapabilityStatement": {
        "kind": "instance",
        "implementation": {"description": "planted"},
        "rest": [{"mode": "server"}],
    },
    "MolecularSequence": {"coordinateSystem": 0},
    "SearchParameter": {"status": "draft", "type": "token"},
    "StructureDefinition": {
        "kind": "logical",
        "type": "A",
        "snapshot": {
            "element": [
                {
                    "id": "A",
                    "path": "A",
                    "definition": "planted",
                    "min": 0,
                    "max": "*",
                    "base": {"path": "A", "min": 0, "max": "*"},
                    "binding": {"strength": "example", "valueSet": "http://example.org/canonical/planted"},
                }
            ]
        },
    },
}
"""What invariants ask of types that have no official example, or none that a value can be put into."""

VALUES: dict[str, tuple[str, ...]] = {
    "date": ("dateTime", "date", "instant", "Period", "Timing"),
    "number": ("decimal", "integer", "positiveInt", "unsignedInt", "Range"),
    "quantity": ("Quantity", "Age", "Duration", "Count", "Distance", "Money", "Range"),
    "reference": ("Reference", "uri", "canonical", "Composition", "MessageHeader"),
    "string": ("string", "markdown", "HumanName", "Address"),
    "token": (
        "CodeableConcept", "Coding", "Identifier", "ContactPoint", "code", "id", "string", "uri", "canonical", "boolean",
    ),
}  # fmt: skip
"""What a value is made of, the preferred first."""


class Nursery:
    """Makes instances by the definitions."""

    def __init__(self, definitions: Definitions) -> None:
        self._definitions = definitions

    def least(self, type_name: str) -> Json:
        """Return an object of a type with what it requires."""
        definition = self._definitions.type(type_name)
        assert definition is not None, type_name
        made: Json = {"resourceType": type_name} if definition.kind == "resource" else {}
        chosen: set[str] = set()
        for name, element in definition.elements.items():
            if element.min and element.choice not in chosen:
                chosen |= {element.choice} if element.choice else set()
                value = self._value(element, ())
                made[name] = [value] if element.array else value
        return made | SEEDS.get(type_name, {})

    def planted(self, resource: Json, parameter: SearchParameter) -> Json | None:
        """Return a copy of a resource with a value for the parameter, `None` where it selects nothing of the type."""
        copy = deepcopy(resource)
        for expressions, kind, targets in self._asked(parameter, resource["resourceType"]):
            ways = [
                way
                for expression in expressions
                for way in selections(
                    resource["resourceType"],
                    replace(parameter, expression=expression, targets=targets, components=()),
                    self._definitions,
                )
                if way.type in VALUES.get(kind, (way.type,))
            ]
            if not ways:
                return None
            wanted = VALUES.get(kind, ())
            way = min(
                ways,
                key=lambda one: (
                    one.route[0] not in resource,
                    wanted.index(one.type) if one.type in wanted else 0,
                    len(one.route),
                ),
            )
            self._plant(copy, list(way.route), targets)
        return copy

    def _asked(
        self, parameter: SearchParameter, resource_type: str
    ) -> Iterator[tuple[list[str], str, tuple[str, ...]]]:
        """Yield (expressions, type, targets) of the parameter, or of a composite those of each component in one element."""
        if not parameter.components:
            yield [parameter.expression], parameter.type, parameter.targets
            return
        base = next(part for part in parameter.expression.split(" | ") if part.split(".")[0] == resource_type)
        for component in parameter.components:
            parts = component.expression.replace("%resource", resource_type).split(" | ")
            parts = [part if part.startswith(resource_type) else f"{base}.{part}" for part in parts]
            defined = self._definitions.search_parameter(component.definition)
            assert defined is not None
            yield parts, defined.type, defined.targets

    def _plant(self, resource: Json, steps: list[str | Test], targets: tuple[str, ...]) -> None:
        """Put a value at the end of a route, and what is missing of the way there."""
        node: Any = resource
        name = resource["resourceType"]
        targets = tuple(step.type for step in steps if isinstance(step, Resolves)) or targets
        for place, step in enumerate(steps):
            following = steps[place + 1] if place + 1 < len(steps) else None
            if isinstance(step, Equals):
                node[step.name] = step.text
            elif isinstance(step, Extended):
                node["extension"] = [{"url": step.url, "valueBoolean": True}]
            elif isinstance(step, str | Item):
                key = step if isinstance(step, str) else step.name
                definition = self._definitions.type(name)
                assert definition is not None
                element = definition.elements[key]
                for rival in definition.elements.values():
                    if element.choice and rival.choice == element.choice and rival.name != key:
                        node.pop(rival.name, None)
                        node.pop(f"_{rival.name}", None)
                last = not any(isinstance(one, str | Item) for one in steps[place + 1 :])
                if last or key not in node or isinstance(following, Equals):
                    made = self._value(element, targets)
                    node[key] = [made] if element.array else made
                node = node[key][0] if element.array else node[key]
                name = node["resourceType"] if element.type == "Resource" else element.type

    def _value(self, element: Element, targets: tuple[str, ...]) -> Any:
        kind = element.type
        members = self._definitions.required_codes(element.binding) if element.binding else None
        if members and kind in {"code", "uri", "string", "canonical"}:
            return min(members.codes)
        if members and kind in {"Coding", "CodeableConcept"}:
            system, code = min(members.pairs)
            coding = {"system": system, "code": code}
            return coding if kind == "Coding" else {"coding": [coding]}
        if kind == "Reference":
            allowed = [one for one in targets if not element.targets or one in element.targets] or element.targets
            return {"reference": f"{allowed[0] if allowed and allowed[0] != 'Resource' else 'Patient'}/planted"}
        if kind == "Resource":
            return {**self.least(targets[0] if targets else "Basic"), "id": "planted"}
        if kind in PRIMITIVES:
            return PRIMITIVES[kind]
        if kind in COMPLEX:
            return deepcopy(COMPLEX[kind])
        return self.least(kind)
