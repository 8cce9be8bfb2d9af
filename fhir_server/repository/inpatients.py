"""Inpatients that a facility shares with others: nobody leaves a network in the middle of somebody's stay without a word."""

from collections.abc import Collection, Mapping
from typing import Any

import msgspec

from fhir_server.access.links import linked
from fhir_server.model.query import Query, Where
from fhir_server.store import Store

ACT = "http://terminology.hl7.org/CodeSystem/v3-ActCode"
CLASSES = [f"{code}|{ACT}" for code in ("IMP", "ACUTE", "NONAC", "OBSENC")]
PRESENT = ["arrived", "in-progress", "onleave"]
MOST = 50_000


class Stay(msgspec.Struct, frozen=True):
    """An inpatient encounter that has not ended: its id, the facility that keeps it, and the patient."""

    id: str
    facility: str
    patient: str


async def shared_inpatients(store: Store, own: Collection[str], others: Collection[str]) -> list[Stay]:
    """Return the stays at one of two sides of patients who are known, by the same record or a confirmed link, at the other.

    Raises:
        Unavailable: The database cannot be reached.
    """
    if not others:
        return []
    found = [*await _of_other(store, own, others), *await _of_other(store, others, own)]
    return sorted(found, key=lambda one: (one.facility, one.id))


async def _of_other(store: Store, here: Collection[str], there: Collection[str]) -> list[Stay]:
    """Return the stays here of patients who are known there."""
    stays = await _stays(store, here)
    same = {one: await linked(store, frozenset({one})) for one in {stay.patient for stay in stays}}
    known = await _kept(store, frozenset().union(*same.values()), there)
    return [one for one in stays if not same[one.patient].isdisjoint(known)]


async def _stays(store: Store, facilities: Collection[str]) -> list[Stay]:
    clause = {"f": {"$in": sorted(facilities)}, "s.status": {"$in": PRESENT}, "s.class": {"$in": CLASSES}}
    rows = await _rows(store, "Encounter", clause, ("f", "p"))
    return [Stay(row["_id"], row["f"], row["p"]) for row in rows if "p" in row]


async def _kept(store: Store, patients: Collection[str], facilities: Collection[str]) -> frozenset[str]:
    if not patients:
        return frozenset()
    rows = await _rows(store, "Patient", {"_id": {"$in": sorted(patients)}}, ("f",))
    return frozenset(row["_id"] for row in rows if row["f"] in facilities)


async def _rows(store: Store, resource_type: str, clause: Mapping[str, Any], fields: tuple[str, ...]) -> Any:
    return await store.rows(Query(resource_type, Where("clause", clause), (), MOST, fields=fields))
