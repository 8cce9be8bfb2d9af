"""Documents in the stored form, made by hand, and what a caller does with them."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from fhir_server.model import ids, json
from fhir_server.model.query import ANYTHING, IndexSpec, Where
from fhir_server.store import Create, Delete, Live, Store, Update, history_id

INDEXES = (
    IndexSpec("updated", (("lu", -1), ("o", -1))),
    IndexSpec("reference_date", (("rf", 1), ("d", -1), ("o", -1))),
    IndexSpec("facility_date", (("f", 1), ("d", -1), ("o", -1))),
)


def indexes_of(resource_type: str) -> tuple[IndexSpec, ...]:
    return INDEXES


def anything(resource_type: str) -> Where:
    return ANYTHING


def document(
    resource_type: str, resource_id: str, vid: int, now: datetime, order: int, method: str = "POST", **elements: Any
) -> dict[str, Any]:
    resource = {"resourceType": resource_type, "id": resource_id, **elements}
    return {
        "_id": resource_id,
        "v": vid,
        "lu": now,
        "o": order,
        "m": method,
        "rg": "home",
        "f": "org",
        "d": now,
        "dh": now,
        "rf": [],
        "s": {},
        "sv": 1,
        "r": resource,
        "j": json.encode(resource),
    }


async def create(store: Store, resource_type: str = "Patient", resource_id: str = "", **elements: Any) -> str:
    method = "PUT" if resource_id else "POST"
    resource_id = resource_id or ids.new()
    async with store.clock.writing() as stamp:
        doc = document(resource_type, resource_id, 1, stamp.now, stamp.order, method, **elements)
        await store.commit([Create(resource_type, doc)])
    return resource_id


async def current(store: Store, resource_type: str, resource_id: str) -> Live:
    return (await store.current(resource_type, [resource_id], ANYTHING))[resource_id]


async def successor(store: Store, live: Live, now: datetime, **elements: Any) -> Update:
    old = live.stored
    moment = max(now, old.last_updated + timedelta(milliseconds=1))
    doc = document(old.resource_type, old.id, old.vid + 1, moment, store.clock.order(), "PUT", **elements)
    return Update(old.resource_type, doc, old.vid, live.document)


async def update(store: Store, resource_type: str, resource_id: str, **elements: Any) -> int:
    live = await current(store, resource_type, resource_id)
    async with store.clock.writing() as stamp:
        await store.commit([await successor(store, live, stamp.now, **elements)])
    return live.stored.vid + 1


def tombstone(live: Live, now: datetime, order: int) -> Mapping[str, Any]:
    _id = history_id(live.stored.id, live.stored.vid + 1)
    return {"_id": _id, "lu": now, "o": order, "m": "DELETE", "rg": "home", "f": "org", "del": True}


async def delete(store: Store, resource_type: str, resource_id: str) -> None:
    live = await current(store, resource_type, resource_id)
    async with store.clock.writing() as stamp:
        row = tombstone(live, stamp.now, stamp.order)
        await store.commit([Delete(resource_type, resource_id, live.document, row)])
