"""What patients read of what they could see and the care team has withdrawn: that it is withdrawn, and nothing of it (product.md 3).

It has the id, version and ETag that everybody sees, and its status. What its type requires says that it is masked.
"""

from collections.abc import Mapping
from typing import Any

from fhir_server.search import gates
from profiles.definitions.model import Element, TypeDefinition
from profiles.definitions.registry import Definitions

WITHDRAWING = frozenset({"error", "cancelled"})
"""Gates that withdraw, by closing, what was open."""

ABSENT = "http://hl7.org/fhir/StructureDefinition/data-absent-reason"
SUBSETTED = {"system": "http://terminology.hl7.org/CodeSystem/v3-ObservationValue", "code": "SUBSETTED"}
KEPT = ("resourceType", "id")

Document = Mapping[str, Any]
Resource = dict[str, Any]


def envelope(before: Document, after: Document) -> dict[str, Any]:
    """Return `{"wd": True}` for a version that withdraws what patients could see, or stays withdrawn; else `{}`.

    Args:
        before: The stored document that is superseded.
        after: The one that would be stored.
    """
    closed = after.get("gt")
    if not closed or "p" not in before:
        return {}
    could_be_seen = not any(before.get(name) for name in ("gt", "held", "adv"))
    opens = before.get("va")
    withdraws = closed in WITHDRAWING and could_be_seen and (opens is None or opens <= after["lu"])
    return {"wd": True} if withdraws or before.get("wd") else {}


def shown(resource: Document, definitions: Definitions) -> Resource:
    """Return what is shown of a withdrawn resource.

    Args:
        resource: Structurally valid, with its meta.
        definitions: Say what its type requires.
    """
    kind = resource["resourceType"]
    of = definitions.types[kind]
    meta = resource["meta"]
    date = str(meta["lastUpdated"])[:10]
    text = f'<div xmlns="http://www.w3.org/1999/xhtml">Withdrawn by the care team on {date}.</div>'
    status = gates.STATUSES.get(kind, gates.OTHERS)[0]
    return {
        **{name: resource[name] for name in KEPT},
        "meta": {"versionId": meta["versionId"], "lastUpdated": meta["lastUpdated"], "tag": [SUBSETTED]},
        "text": {"status": "generated", "div": text},
        **{name: _bare(resource[name]) for name in (status, *gates.SUBJECTS) if name in resource},
        **_masked(of, {status, *(name for name in gates.SUBJECTS if name in resource)}, definitions),
    }


def _bare(value: Any) -> Any:
    """Return a code as it is; of a CodeableConcept its codes, of a Reference whom it names, without words."""
    if isinstance(value, list):
        return [_bare(one) for one in value]
    if not isinstance(value, Mapping):
        return value
    if "coding" in value:
        return {"coding": [{key: one[key] for key in ("system", "code") if key in one} for one in value["coding"]]}
    return {"reference": value["reference"]} if "reference" in value else {"extension": [_reason()]}


def _masked(of: TypeDefinition, present: set[str], definitions: Definitions) -> Resource:
    """Return the elements that a type requires and that are not present, each saying that it is masked."""
    found: Resource = {}
    chosen: set[str] = set()
    for name, element in of.elements.items():
        if element.min < 1 or name in present or element.choice in chosen:
            continue
        one = element
        if element.choice:
            chosen.add(element.choice)
            members = (each for each in of.elements.values() if each.choice == element.choice and _is_complex(each))
            one = next(members, element)
        key, value = _mask(one, definitions)
        found[key] = [value] if one.array else value
    return found


def _mask(element: Element, definitions: Definitions) -> tuple[str, Resource]:
    masked = {"extension": [_reason()]}
    if not _is_complex(element):
        return f"_{element.name}", masked
    of = definitions.types.get(element.type)
    return element.name, {**masked, **(_masked(of, set(), definitions) if of and "." in element.type else {})}


def _is_complex(element: Element) -> bool:
    return element.type[:1].isupper()


def _reason() -> Resource:
    return {"url": ABSENT, "valueCode": "masked"}
