"""Accepts Subscriptions, and keeps their register, in the unit of work that writes them (docs/subscriptions.md).

A Subscription that a client writes is a request: it stands as `requested` until its channel has answered, or as `off`. From then on
the server alone says how it stands (`steward`). Whoever writes it last gives it the mandate under which events are told.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from fhir_server.access.mandate import mandate
from fhir_server.access.scope_filter import ScopeFilter, Unrestricted
from fhir_server.model import ids
from fhir_server.model.errors import Unprocessable
from fhir_server.repository.ground import Ground
from fhir_server.repository.rights import Rights
from fhir_server.store import Change, Create, Delete, Unit, Update
from fhir_server.subscriptions.asked import TYPE, Asked

__all__ = ["SERVED", "TYPE", "enter", "standing", "steward"]

STEWARD = "the server's own word on how a Subscription stands"
LONG_AGO = timedelta(days=30)
SERVED = frozenset({"requested", "active"})
"""Statuses of a Subscription that is served or about to be."""


def steward() -> ScopeFilter:
    """Return the scope in which the server itself says how Subscriptions stand."""
    return Unrestricted(STEWARD)


def standing(resource: dict[str, Any], scope: ScopeFilter) -> dict[str, Any]:
    """Return a Subscription that a client sends as it stands then: to be `active` is for the server to say."""
    if resource.get("resourceType") != TYPE or resource.get("status") != "active" or _is_steward(scope):
        return resource
    return {**resource, "status": "requested"}


async def enter(ground: Ground, changes: Sequence[Change], unit: Unit) -> None:
    """Enter Subscriptions into the register.

    Raises:
        Unprocessable: One of them asks for what cannot be served.
        Forbidden: It is about what its writer may not search and read.
    """
    register = ground.store.subscriptions
    for change in changes:
        if isinstance(change, Delete):
            if await register.row(change.id, unit.session):
                moment = change.tombstone["lu"]
                await register.write(
                    {"_id": change.id, "status": "off", "changed": moment, "gone": moment}, unit.session
                )
        elif isinstance(change, Create | Update):
            document = change.doc
            there = await register.row(document["_id"], unit.session)
            known = there if there and "gone" not in there else None
            await register.write(_row(ground, document, known), unit.session)


def _row(ground: Ground, document: Mapping[str, Any], known: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return the row of a Subscription that is written, `known` being the one that it has."""
    resource, moment = document["r"], document["lu"]
    row = {
        "_id": document["_id"],
        "changed": moment,
        "status": resource["status"],
        "vid": document["v"],
        "resource": document["j"],
    }
    terms = list(known["terms"]) if known else []
    if _is_steward(ground.scope) and known:
        return row | {"terms": terms if resource["status"] != "off" else _closed(terms, moment)}
    fresh = {"run": ids.new(), "number": 0, "delivered": 0, "sent": moment} if known is None else {}
    row |= {**fresh, "failures": 0, "tried": None, "reason": ""}
    row |= {"mandate": mandate(ground.scope), "given": moment}
    if resource["status"] not in SERVED:
        return row | {"terms": _closed(terms, moment)}
    asked = _accepted(ground, resource)
    meant: dict[str, Any] = {
        "topic": asked.topic,
        "criteria": [[one.resource_type, one.query] for one in asked.criteria],
    }
    last = terms[-1] if terms else None
    if last and last["until"] is None and {name: last[name] for name in meant} == meant:
        return row | {"terms": terms}
    return row | {"terms": [*_closed(terms, moment), {**meant, "since": moment, "until": None}]}


def _accepted(ground: Ground, resource: Mapping[str, Any]) -> Asked:
    if ground.offer is None or ground.definitions is None:
        raise Unprocessable("Nothing can be subscribed to here.", expression=TYPE)
    asked, rules = ground.offer.accepted(resource, ground.definitions, ground.reading)
    rights = Rights(ground.store, ground.scope, ground.definitions, ground.reading.base, None)
    for kind in sorted({rule.resource_type for rule in rules}):
        rights.require([kind], "s")
        rights.require([kind], "r")
    return asked


def _closed(terms: list[Any], moment: datetime) -> list[Any]:
    """Return terms of which none is open any more, without those that ended long ago."""
    closed = ({**one, "until": moment if one["until"] is None else one["until"]} for one in terms)
    return [one for one in closed if one["until"].replace(tzinfo=UTC) > moment - LONG_AGO]


def _is_steward(scope: ScopeFilter) -> bool:
    return isinstance(scope, Unrestricted) and scope.reason == STEWARD
