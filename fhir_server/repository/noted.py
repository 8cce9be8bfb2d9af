"""What the audit trail is told of reads and writes: which versions were touched, and whose records they belong to."""

from collections.abc import Iterable, Sequence
from typing import Any

from fhir_server.audit.footprint import Footprint, Row
from fhir_server.model.request import FhirRequest, FhirResponse
from fhir_server.model.stored import Hit, Stored
from fhir_server.repository.pages import SearchPage
from fhir_server.repository.past import HistoryPage
from fhir_server.store import Change, Create, Delete, Extra, Update

FIELDS = ("p", "ps", "f")
"""Envelope fields that say whose record something belongs to, and who keeps it."""

CREATED, UPDATED, DELETED = 201, 200, 204


def read(footprint: Footprint | None, stored: Stored) -> Stored:
    """Note a version that is read; return it."""
    if footprint:
        footprint.touch(stored.resource_type, stored.id, stored.vid, stored.envelope)
    return stored


def matched(footprint: Footprint | None, found: list[Stored]) -> list[Stored]:
    """Note whose records fulfil a condition; return what does."""
    _show(footprint, found)
    return found


def hits(footprint: Footprint | None, found: list[Hit]) -> list[Hit]:
    """Note whose records are shown; return what is shown of them."""
    _show(footprint, found)
    return found


def page(footprint: Footprint | None, found: SearchPage) -> SearchPage:
    """Note whose records a page shows; return it. Which resources there were, its query tells."""
    _show(footprint, found.matches)
    _show(footprint, found.included)
    return found


def versions(footprint: Footprint | None, found: HistoryPage) -> HistoryPage:
    """Note whose records a page of history shows; return it."""
    _show(footprint, found.versions)
    return found


def begun(footprint: Footprint | None) -> None:
    """Forget what an earlier attempt of a unit of work has touched."""
    if footprint:
        footprint.reset()


def committed(footprint: Footprint | None) -> None:
    """Note that the row is stored, with what it tells of."""
    if footprint:
        footprint.is_written = True


def written(footprint: Footprint | None, changes: Sequence[Change], *, alone: bool) -> Sequence[Change]:
    """Note what is written; return it, and where it is a unit by itself with the row of the trail.

    Args:
        footprint: Of the interaction.
        changes: What it writes.
        alone: Whether this is all that the unit writes.
    """
    if footprint is None:
        return changes
    status = UPDATED
    for change in changes:
        if isinstance(change, Create):
            status = CREATED
            footprint.touch(change.resource_type, change.doc["_id"], change.doc["v"], change.doc)
        elif isinstance(change, Update):
            footprint.note_patients(change.resource_type, change.superseded)
            footprint.touch(change.resource_type, change.doc["_id"], change.doc["v"], change.doc)
        elif isinstance(change, Delete):
            status = _deleted(footprint.request)
            footprint.touch(change.resource_type, change.id, change.superseded["v"] + 1, change.superseded)
    return [*changes, footprint.change(status)] if alone else changes


def unit(footprint: Footprint | None, rows: Iterable[Row], result: Any) -> list[Extra]:
    """Return the rows of a unit of work, which ends with a result: those of its entries, then its own."""
    if footprint is None:
        return []
    status = result.status if isinstance(result, FhirResponse) else UPDATED
    return [*(footprint.keep(row) for row in rows), footprint.change(status)]


def _show(footprint: Footprint | None, found: Iterable[Hit | Stored]) -> None:
    if footprint:
        for one in found:
            footprint.note_patients(one.resource_type, one.envelope)


def _deleted(request: FhirRequest) -> int:
    return UPDATED if "return=OperationOutcome" in request.headers.get("prefer", "") else DELETED
