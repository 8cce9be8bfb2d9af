"""$accounting-of-disclosures: to whom a record was disclosed, other than for care (HIPAA, 45 CFR 164.528; docs/audit.md)."""

from collections.abc import Iterator
from datetime import datetime, tzinfo
from typing import Any
from zoneinfo import ZoneInfo

from fhir_server.audit.disclosures import YEARS
from fhir_server.audit.sentences import purpose_of, told
from fhir_server.context import Context
from fhir_server.model import instant
from fhir_server.model.errors import BadRequest
from fhir_server.model.request import FhirResponse
from fhir_server.operations import OWN, Operation, looking, parameters
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
        *looking.STRETCH,
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
        looking.NEXT,
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
    start = _start(looking.text(asked, "start"), ZoneInfo(ctx.settings.search.time_zone))
    head = [("start", "dateTime", start)]
    return await looking.page(ctx, asked, head, "disclosure", _parts, start=start, disclosures=True)


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


def _parts(event: dict[str, Any]) -> Iterator[looking.Row]:
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
