"""What people call the references in the audit trail, read when it is shown and by the reader's own rights (product.md 11)."""

from collections.abc import Iterable, Mapping
from typing import Any

from fhir_server.audit.codes import Row
from fhir_server.audit.render import patients
from fhir_server.model import json
from fhir_server.model.query import Query, Where
from fhir_server.model.reference import local
from fhir_server.repository.reach import Reach
from fhir_server.store import Store

NAMED = frozenset({"Organization", "Patient", "Practitioner", "PractitionerRole", "RelatedPerson", "Device"})


async def displays(store: Store, reach: Reach, rows: Iterable[Row], *, people: bool) -> dict[str, str]:
    """Return displays by reference, of those that the reader may see.

    Args:
        store: The database.
        reach: What the reader reaches.
        rows: Rows of the trail.
        people: Whether staff are named; otherwise it is told what work they do.
    """
    wanted = {text for row in rows for text in _references(row)}
    found = await _read(store, reach, wanted)
    roles = {text: one for text, one in found.items() if one["resourceType"] == "PractitionerRole"}
    behind = {text for role in roles.values() for text in (_target(role, "practitioner"),) if text and people}
    found |= await _read(store, reach, behind - found.keys())
    told = {text: name for text, one in found.items() if (name := _name(one)) and (people or not _is_staff(one))}
    for text, role in roles.items():
        person = told.get(_target(role, "practitioner"), "") if people else ""
        told[text] = ", ".join(part for part in (person, _work(role)) if part) or "A member of staff"
    return told


def _references(row: Row) -> Iterable[str]:
    yield from (f"Patient/{patient}" for patient in patients(row))
    if row.get("f"):
        yield f"Organization/{row['f']}"
    if row.get("w"):
        yield row["w"]


async def _read(store: Store, reach: Reach, texts: Iterable[str]) -> dict[str, Any]:
    by_type: dict[str, list[str]] = {}
    for text in texts:
        instance = local(text)
        if instance and instance.resource_type in NAMED:
            by_type.setdefault(instance.resource_type, []).append(instance.id)
    found: dict[str, Any] = {}
    for name, ids in by_type.items():
        where = Where("clause", {"_id": {"$in": sorted(ids)}}) & reach.shown(name)
        query = Query(name, where, (("_id", 1),), len(ids), "_id_")
        for hit in await store.find(query, reach.session) if where.kind != "nothing" else ():
            found[f"{name}/{hit.id}"] = json.decode(hit.body)
    return found


def _is_staff(resource: Mapping[str, Any]) -> bool:
    return resource["resourceType"] in {"Practitioner", "PractitionerRole"}


def _name(resource: Mapping[str, Any]) -> str:
    match resource.get("name"):
        case str(name):
            return name
        case [first, *_]:
            parts = [*first.get("prefix", ()), *first.get("given", ()), first.get("family", "")]
            return str(first.get("text") or " ".join(part for part in parts if part))
    return ""


def _work(role: Mapping[str, Any]) -> str:
    for concept in role.get("code", ()):
        for text in (
            concept.get("text"),
            *(one.get("display") or one.get("code") for one in concept.get("coding", ())),
        ):
            if text:
                return str(text)
    return ""


def _target(resource: Mapping[str, Any], name: str) -> str:
    instance = local(resource.get(name, {}).get("reference", ""))
    return str(instance) if instance else ""
