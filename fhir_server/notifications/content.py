"""From event rows to what a subscriber may know of them now, and to the bytes that are sent."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

from fhir_server.model import json
from fhir_server.model.channel import Notification
from fhir_server.model.errors import Gone, NotFound
from fhir_server.model.reference import local
from fhir_server.model.stored import Stored
from fhir_server.notifications.register import Subscribed
from fhir_server.repository import Repository
from fhir_server.search.match import entries
from fhir_server.search.params import params
from fhir_server.store import Event
from fhir_server.subscriptions.asked import FORMATS, JSON, Asked
from fhir_server.subscriptions.notification import Happening, Kind, bundle
from profiles.definitions.registry import Definitions
from profiles.xml.writer import Writer

MOST_CONTEXT = 20

Write = Callable[[dict[str, Any], str], bytes]
"""Resource and media type to bytes."""


def written(definitions: Definitions) -> Write:
    """Return what writes resources in a media type."""
    writer = Writer(definitions)

    def write(resource: dict[str, Any], media: str) -> bytes:
        text = json.encode(resource)
        return text if media == JSON else writer.write(json.decode(text))

    return write


async def happenings(repository: Repository, one: Subscribed, events: Sequence[Event]) -> list[Happening]:
    """Return events as far as whoever the repository belongs to may know of them now.

    Raises:
        Unavailable: The database cannot be reached.
    """
    return [await _happening(repository, one, event) for event in events]


async def _happening(repository: Repository, one: Subscribed, event: Event) -> Happening:
    focus = f"{event.resource_type}/{event.id}"
    try:
        version = await repository.vread(event.resource_type, event.id, str(event.version))
    except Gone:
        return Happening(event.number, event.at, focus, "DELETE")
    except NotFound:
        return Happening(event.number, event.at)
    context = await _context(repository, version, one.includes(event.resource_type))
    return Happening(event.number, event.at, focus, event.method, version, context)


async def _context(repository: Repository, version: Stored, includes: Sequence[str]) -> list[Stored]:
    """Return the resources that go along with one, as far as they may be seen."""
    if not includes:
        return []
    document = {**repository.intake.fields(json.decode(version.body)), "_id": version.id}
    known = params(version.resource_type, repository.definitions)
    found: dict[str, Stored] = {}
    for code in (text.split(":")[1] for text in includes if text.count(":")):
        for reference in entries(known[code], document)[:MOST_CONTEXT] if code in known else ():
            target = local(str(reference))
            if target is None or str(target) in found:
                continue
            try:
                found[str(target)] = await repository.read(target.resource_type, target.id)
            except (NotFound, Gone):
                continue
    return list(found.values())


def notification(  # noqa: PLR0917 - what it is made of
    one: Subscribed,
    asked: Asked,
    kind: Kind,
    base: str,
    now: datetime,
    write: Write,
    told: Sequence[Happening] = (),
) -> Notification:
    """Return what is sent: a Bundle; of criteria without a topic the resource, or nothing."""
    first, last = (told[0].number, told[-1].number) if told else (0, one.number)
    sent = kind if kind in {"handshake", "heartbeat"} else "event-notification"
    content_type, body, path = "", b"", ""
    if asked.is_topical:
        content_type = asked.media
        body = write(bundle(one.standing, asked, kind, base, now, told), FORMATS[asked.media])
    elif asked.content == "resource" and told and told[0].version is not None:
        content_type, path = asked.media, told[0].focus
        text, media = told[0].version.body, FORMATS[asked.media]
        body = text if media == JSON else write(json.decode(text), media)
    return Notification(
        one.id,
        sent,
        content_type,
        body,
        asked.headers,
        first,
        last,
        asked.seconds,
        path,
        one.run,
    )
