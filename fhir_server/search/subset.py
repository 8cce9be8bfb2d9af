"""Parts of resources that are wanted instead of whole ones: `_summary` and `_elements` (R4 3.1.1.5.8, 3.1.1.5.9)."""

from typing import Any

import msgspec

from fhir_server.model import json
from profiles.definitions.registry import Definitions

SUBSETTED = {"system": "http://terminology.hl7.org/CodeSystem/v3-ObservationValue", "code": "SUBSETTED"}


class Subset(msgspec.Struct, frozen=True):
    """Which elements go out: a `_summary` mode, or the top-level elements of `_elements`."""

    summary: str = "false"
    elements: tuple[str, ...] = ()

    @property
    def complete(self) -> bool:
        """Whether everything goes out, so that the stored bytes can be sent as they are."""
        return self.summary == "false" and not self.elements


def reduce(body: bytes, wanted: Subset, definitions: Definitions) -> bytes:
    """Return the JSON of a resource with only the wanted elements, tagged SUBSETTED."""
    resource: dict[str, Any] = json.decode(body)
    definition = definitions.type(resource["resourceType"])
    elements = definition.elements if definition else {}
    always = {"resourceType", "id", "meta"}
    mandatory = {name for name, element in elements.items() if element.min > 0}
    modifiers = {name for name, element in elements.items() if element.modifier and name != "implicitRules"}
    match wanted.summary:
        case "true":
            keep = always | {name for name, element in elements.items() if element.summary}
        case "text":
            keep = always | mandatory | {"text"}
        case "data":
            keep = set(resource) - {"text"}
        case _:
            choices = {
                name for name, element in elements.items() if element.choice in wanted.elements and element.choice
            }
            keep = always | mandatory | modifiers | set(wanted.elements) | choices
    kept = {name: value for name, value in resource.items() if name.removeprefix("_") in keep}
    meta = kept.get("meta", {})
    kept["meta"] = {**meta, "tag": [*meta.get("tag", []), SUBSETTED]}
    return json.encode(kept)
