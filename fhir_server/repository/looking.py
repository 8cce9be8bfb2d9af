"""Who looked at the record of one patient, and to whom it was disclosed: pages of the trail for the operations that report it."""

from collections.abc import Sequence
from functools import partial
from typing import Any

import msgspec

from fhir_server.audit.disclosures import DISCLOSED
from fhir_server.audit.render import TYPE
from fhir_server.audit.where import clause
from fhir_server.model import json
from fhir_server.model.errors import NotSupported
from fhir_server.model.query import ANYTHING
from fhir_server.repository.door import Repository
from fhir_server.repository.reach import Reach
from fhir_server.repository.trailed import Trailed
from fhir_server.search.parse import parse


class Wanted(msgspec.Struct, frozen=True):
    """Which events are asked for.

    Attributes:
        patient: Id of the patient.
        start: The first day or moment, empty for the beginning.
        end: The last one, empty for now.
        before: Id of the event that the page before ended with, empty for the first page.
        count: Most events.
        disclosures: Whether only disclosures are meant.
    """

    patient: str
    start: str
    end: str
    before: str
    count: int
    disclosures: bool


class Looks(msgspec.Struct, frozen=True):
    """A page, the newest first.

    Attributes:
        events: AuditEvents, as the reader may see them.
        next: What `before` is for the next page, empty on the last.
    """

    events: Sequence[dict[str, Any]]
    next: str


async def looks(repository: Repository, wanted: Wanted) -> Looks:
    """Return a page of what happened with the record of a patient.

    Raises:
        NotFound: There is no such patient whom the caller may see.
        Forbidden: The caller may not search AuditEvents.
        NotSupported: No audit trail is kept.
        InvalidParameter: A date is not valid.
    """
    if not isinstance(repository.pages, Trailed):
        raise NotSupported("This server keeps no audit trail (audit.mode), so there is nothing to report.")
    repository.rights.require([TYPE], "s")
    await repository.read("Patient", wanted.patient)
    times = [("date", f"ge{wanted.start}")] if wanted.start else []
    times += [("date", f"le{wanted.end}")] if wanted.end else []
    pages = repository.pages
    asked = parse(
        TYPE,
        (("patient", f"Patient/{wanted.patient}"), *times),
        repository.definitions,
        pages.limits,
        strict=True,
        reading=pages.reading,
    )
    scope, rights = repository.scope, repository.rights
    reach = Reach(partial(scope.where, letter="s"), scope, partial(rights.require, letter="s"), None)
    events = pages.events(reach)
    where = await events.asked(asked.expression)
    where &= clause({"_id": {"$lt": wanted.before}}) if wanted.before else ANYTHING
    where &= clause(DISCLOSED) if wanted.disclosures else ANYTHING
    found = await events.newest(where, wanted.count + 1)
    shown = found[: wanted.count]
    return Looks([json.decode(hit.body) for hit in shown], shown[-1].id if len(found) > wanted.count else "")
