"""$accounting-of-disclosures: to whom a record was disclosed, other than for care (HIPAA, 45 CFR 164.528; docs/audit.md)."""

from collections.abc import Iterator
from datetime import datetime, tzinfo
from typing import Any
from zoneinfo import ZoneInfo

from fhir_server.audit.disclosures import YEARS
from fhir_server.audit.sentences import purpose_of, told
from fhir_server.context import Context
from fhir_server.model import instant, json
from fhir_server.model.errors import BadRequest
from fhir_server.model.request import FhirResponse
from fhir_server.operations import OWN, Operation, parameters
from fhir_server.repository.looking import Wanted, looks
from fhir_server.search.types.date import interval
from profiles.definitions.model import OperationDefinition, OperationParameter

DEFINITION = OperationDefinition(
    url=f"{OWN}accounting-of-disclosures",
    code="accounting-of-disclosures",
    resource=("Patient",),
    system=False,
    type=False,
    instance=True,
    affects_state=False,
    parameters=(
        OperationParameter("start", "in", 0, 1, "dateTime"),
        OperationParameter("end", "in", 0, 1, "dateTime"),
        OperationParameter("count", "in", 0, 1, "positiveInt"),
        OperationParameter("before", "in", 0, 1, "id"),
        OperationParameter("patient", "out", 1, 1, "Reference"),
        OperationParameter("start", "out", 1, 1, "dateTime"),
        OperationParameter(
            "disclosure",
            "out",
            0,
            None,
            "",
            (
                OperationParameter("date", "out", 1, 1, "instant"),
                OperationParameter("recipient", "out", 1, 1, "string"),
                OperationParameter("what", "out", 1, 1, "string"),
                OperationParameter("purpose", "out", 0, 1, "Coding"),
                OperationParameter("event", "out", 1, 1, "Reference"),
            ),
        ),
        OperationParameter("next", "out", 0, 1, "id"),
    ),
)


async def account(ctx: Context) -> FhirResponse:
    """Return 200 with one `disclosure` for each, the newest first.

    Raises:
        BadRequest: The start is further back than the account goes.
        NotFound: There is no such patient whom the caller may see.
        Forbidden: The caller may not search AuditEvents.
        NotSupported: No audit trail is kept.
    """
    asked = parameters.read(ctx, DEFINITION)
    start = _start(str(next(iter(asked["start"]), "")), ZoneInfo(ctx.settings.search.time_zone))
    end, before = (str(next(iter(asked[name]), "")) for name in ("end", "before"))
    most = ctx.settings.search
    count = min(int(next(iter(asked["count"]), most.count)), most.max_count)
    found = await looks(ctx.repository, Wanted(ctx.id, start, end, before, count, True))
    rows: list[tuple[str, str, Any]] = [
        ("patient", "Reference", {"reference": f"Patient/{ctx.id}"}),
        ("start", "dateTime", start),
    ]
    rows += [("disclosure", "part", [*_parts(event)]) for event in found.events]
    rows += [("next", "id", found.next)] if found.next else []
    return FhirResponse(200, {}, json.encode(parameters.resource(rows)))


def _start(text: str, zone: tzinfo) -> str:
    """Return the beginning of the account: what was asked for, or all of it."""
    now = datetime.now(zone)
    # A leap day has no like in most other years.
    earliest = now.replace(year=now.year - YEARS, day=min(now.day, 28) if now.month == 2 else now.day)
    stated = interval(text, zone) if text else None
    if stated and stated.high < earliest:
        raise BadRequest(
            f"The account of disclosures goes back {YEARS} years, to {instant.text(earliest)[:10]}. Ask for a later start.",
            expression="http.start",
        )
    return text or instant.text(earliest)


def _parts(event: dict[str, Any]) -> Iterator[tuple[str, str, Any]]:
    found = told(event, "")
    yield "date", "instant", found.when
    yield "recipient", "string", found.who
    yield "what", "string", found.what
    if found.purpose:
        yield "purpose", "Coding", purpose_of(found.purpose)
    yield "event", "Reference", {"reference": f"AuditEvent/{event['id']}"}


OPERATION = Operation(
    DEFINITION,
    account,
    letters=("r", "r"),
    methods=("GET", "POST"),
    summary="To whom the record of one patient was disclosed, other than for care",
    success=((200, "Parameters with one disclosure for each."),),
)
"""The operation."""
