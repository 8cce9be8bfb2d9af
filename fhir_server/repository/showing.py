"""Whether a patient is shown a resource now, since when and by which rule, and when the patient has opened it (product.md 3)."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from fhir_server.access.explained import reason, verdict
from fhir_server.access.granted import Granted
from fhir_server.access.grants import Grants
from fhir_server.access.principal import Principal
from fhir_server.model.query import ANYTHING, Where
from fhir_server.model.stored import Stored
from fhir_server.repository.door import Repository
from fhir_server.repository.trailed import Trailed
from fhir_server.search.types.date import OPENED
from smart_auth.scopes.grammar import parse

CLIENT = "patient-view-status"
SCOPES = parse("patient/*.rs").resources

MOST_VERSIONS = 100
"""Versions that are looked back for the beginning of how it is now."""

MOST_VIEWS = 1000
"""Newest events that are looked at for who has opened a resource."""

OPENING = {"au": "patient", "k": {"$in": ["read", "vread"]}, "m": {"$ne": "HEAD"}, "st": {"$in": [200, 304]}}
"""Rows of the trail that say that a patient, or who acts for one, has opened something: a list or a count does not."""


@dataclass(frozen=True, slots=True)
class Seen:
    """When a patient, or who acts for one, has opened a resource.

    Attributes:
        first: The first time, `None` where never.
        last: The last time.
        by: Accounts that did, at most of the newest thousand times.
        issuer: Who keeps these accounts.
    """

    first: datetime | None = None
    last: datetime | None = None
    by: tuple[str, ...] = ()
    issuer: str = ""


@dataclass(frozen=True, slots=True)
class Showing:
    """What a patient is shown of a resource.

    Attributes:
        patient: Whose record it belongs to, empty where to nobody's.
        visible: Whether the patient can read it now.
        rule: The rule that opens it, or the first that does not (`access.explained`).
        reason: What keeps it: the word of a gate, `held`, `advice`, `scheduled`; empty where nothing does.
        withdrawn: Whether the patient could see it and now reads that it is withdrawn.
        since: When it began to be so, as far as the last hundred versions tell.
        visible_at: When it became visible, or will; `None` where nobody knows.
        seen: When it was opened; `None` where no trail is kept.
    """

    patient: str
    visible: bool
    rule: str
    reason: str
    withdrawn: bool
    since: datetime
    visible_at: datetime | None
    seen: Seen | None


async def showing(repository: Repository, grants: Grants, resource_type: str, resource_id: str) -> Showing:
    """Return what the patient whom a resource is about is shown of it.

    Args:
        repository: Of the caller.
        grants: Compiles what the patient reaches.
        resource_type: The type.
        resource_id: The id.

    Raises:
        NotFound: There is no such resource within the caller's reach.
        Gone: It was deleted.
    """
    await repository.read(resource_type, resource_id)
    live = (await repository.store.current(resource_type, [resource_id], ANYTHING))[resource_id]
    document = live.document
    patient = resource_id if resource_type == "Patient" else str(document.get("p", ""))
    who = Principal("patient", CLIENT, "", SCOPES, patient=patient, own=frozenset({patient} - {""}))
    granted = await grants.of(who)
    where = await replace(repository, scope=granted).rights.where(resource_type, "r", [resource_id])
    visible = bool(await repository.store.exists([(resource_type, resource_id)], lambda _: where, None))
    words = verdict(granted, resource_type, document, allowed=visible)
    since = await _since(repository, live.stored, where, visible=visible)
    opening = max((document[name].replace(tzinfo=UTC) for name in OPENED if document.get(name)), default=None)
    if visible and opening:
        since = max(since, opening)
    return Showing(
        patient,
        visible,
        words.rule or words.failed,
        "" if visible else _reason(granted, document, words.failed),
        not visible and bool(document.get("wd")),
        since,
        since if visible else opening if opening and opening > datetime.now(UTC) else None,
        await _seen(repository, resource_type, resource_id),
    )


def _reason(granted: Granted, document: Mapping[str, Any], failed: str) -> str:
    return reason(granted, document) if failed == "disclosure" else failed


async def _since(repository: Repository, current: Stored, where: Where, *, visible: bool) -> datetime:
    """Return when the run of versions began that are all shown, or all not, to which the current one belongs."""
    store, whose, began = repository.store, (current.resource_type, current.id), current
    for earlier in range(current.vid - 1, max(current.vid - MOST_VERSIONS, 0), -1):
        shown = await store.read_version(*whose, earlier, where)
        if (shown is not None and not shown.deleted) != visible:
            break
        began = shown or await store.read_version(*whose, earlier, ANYTHING) or began
    return began.last_updated


async def _seen(repository: Repository, resource_type: str, resource_id: str) -> Seen | None:
    if not isinstance(repository.pages, Trailed):
        return None
    versions = f"{resource_type}/{resource_id}/_history"
    clause = {**OPENING, "e": {"$elemMatch": {"$gte": f"{versions}/", "$lt": f"{versions}0"}}}
    trail, issuer = repository.store.trail, repository.pages.observer.issuer
    newest = await trail.find(clause, MOST_VIEWS, hint="entity")
    if not newest:
        return Seen(issuer=issuer)
    first = newest[-1] if len(newest) < MOST_VIEWS else (await trail.find(clause, 1, (("_id", 1),), hint="entity"))[0]
    people = dict.fromkeys(str(row["u"]) for row in newest if row.get("u"))
    return Seen(first["t"].replace(tzinfo=UTC), newest[0]["t"].replace(tzinfo=UTC), tuple(people), issuer)
