"""What subscribers are told, as resources (Subscriptions R5 Backport 1.1.0, R4: a Bundle of type history that begins with Parameters)."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal
from uuid import uuid4

from fhir_server.model import instant, json
from fhir_server.model.stored import Stored
from fhir_server.subscriptions.asked import GUIDE, TYPE, Asked

STATUS = f"{GUIDE}backport-subscription-status-r4"
NOTIFICATION = f"{GUIDE}backport-subscription-notification-r4"
ERRORS = "http://terminology.hl7.org/CodeSystem/subscription-error"

Json = dict[str, Any]
Kind = Literal["handshake", "heartbeat", "event-notification", "query-status", "query-event"]
STATUSES = {"POST": "201", "PUT": "200", "PATCH": "200", "DELETE": "204"}


@dataclass(frozen=True, slots=True)
class Standing:
    """How a Subscription stands.

    Attributes:
        id: Logical id.
        status: requested, active, error or off.
        events: How many events there were.
        topic: Canonical URL, empty for none.
        reason: Why it is in error, empty where it is not.
    """

    id: str
    status: str
    events: int
    topic: str
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Happening:
    """One event, as far as a subscriber may know of it now.

    Attributes:
        number: Its number.
        at: When it happened.
        focus: Type and id of the resource; empty where the subscriber may not know.
        method: What made the version.
        version: The version; `None` where it is a deletion, or may not be known.
        context: Resources that go along.
    """

    number: int
    at: datetime
    focus: str = ""
    method: str = ""
    version: Stored | None = None
    context: Sequence[Stored] = ()


def status(
    standing: Standing, kind: Kind, base: str, happenings: Sequence[Happening] = (), *, empty: bool = False
) -> Json:
    """Return Parameters that tell how a Subscription stands.

    Args:
        standing: How it stands.
        kind: Why it is told.
        base: The service base.
        happenings: The events that are told of.
        empty: Whether nothing but their numbers and times is said.
    """
    rows: list[Json] = [
        {"name": "subscription", "valueReference": {"reference": f"{base}/{TYPE}/{standing.id}"}},
        *([{"name": "topic", "valueCanonical": standing.topic}] if standing.topic and not empty else []),
        {"name": "status", "valueCode": standing.status},
        {"name": "type", "valueCode": kind},
        {"name": "events-since-subscription-start", "valueString": str(standing.events)},
        *({"name": "notification-event", "part": _event(one, base, empty=empty)} for one in happenings),
    ]
    if standing.reason:
        coding = {"system": ERRORS, "code": "no-response"}
        rows.append({"name": "error", "valueCodeableConcept": {"coding": [coding], "text": standing.reason}})
    return {"resourceType": "Parameters", "id": str(uuid4()), "meta": {"profile": [STATUS]}, "parameter": rows}


def bundle(  # noqa: PLR0917 - what it is made of
    standing: Standing, asked: Asked, kind: Kind, base: str, now: datetime, happenings: Sequence[Happening] = ()
) -> Json:
    """Return the Bundle of a notification: how the Subscription stands, then what the events are about.

    Args:
        standing: How it stands.
        asked: What it asks for.
        kind: Why it is sent.
        base: The service base.
        now: The time.
        happenings: The events that are told of.
    """
    told = status(standing, kind, base, happenings, empty=asked.content == "empty")
    first = {
        "fullUrl": f"urn:uuid:{told['id']}",
        "resource": told,
        "request": {"method": "GET", "url": f"{base}/{TYPE}/{standing.id}/$status"},
        "response": {"status": "200"},
    }
    entries = [first]
    if asked.content in {"id-only", "full-resource"}:
        whole = asked.content == "full-resource"
        entries += [entry for one in happenings if one.focus for entry in _entries(one, base, whole=whole)]
    return {
        "resourceType": "Bundle",
        "id": str(uuid4()),
        "meta": {"profile": [NOTIFICATION]},
        "type": "history",
        "timestamp": instant.text(now),
        "entry": entries,
    }


def _event(one: Happening, base: str, *, empty: bool) -> list[Json]:
    parts: list[Json] = [
        {"name": "event-number", "valueString": str(one.number)},
        {"name": "timestamp", "valueInstant": instant.text(one.at)},
    ]
    if one.focus and not empty:
        parts.append({"name": "focus", "valueReference": {"reference": f"{base}/{one.focus}"}})
        parts += [
            {
                "name": "additional-context",
                "valueReference": {"reference": f"{base}/{each.resource_type}/{each.id}"},
            }
            for each in one.context
        ]
    return parts


def _entries(one: Happening, base: str, *, whole: bool) -> list[Json]:
    kind = one.focus.partition("/")[0]
    row: Json = {
        "fullUrl": f"{base}/{one.focus}",
        "request": {"method": one.method, "url": kind if one.method == "POST" else one.focus},
        "response": {"status": STATUSES[one.method], "lastModified": instant.text(one.at)},
    }
    if one.version is not None:
        row["response"]["etag"] = f'W/"{one.version.vid}"'
        if whole:
            row["resource"] = json.Raw(one.version.body)
    return [row, *(_context(each, base, whole=whole) for each in one.context)]


def _context(stored: Stored, base: str, *, whole: bool) -> Json:
    place = f"{stored.resource_type}/{stored.id}"
    return {
        "fullUrl": f"{base}/{place}",
        **({"resource": json.Raw(stored.body)} if whole else {}),
        "request": {"method": "GET", "url": place},
        "response": {"status": "200"},
    }
