"""$access-report: who looked at the record of one patient, when and why, in plain sentences (docs/audit.md)."""

from collections.abc import Iterator
from functools import partial
from typing import Any

from fhir_server.audit.sentences import purpose_of, told
from fhir_server.context import Context
from fhir_server.model.request import FhirResponse
from fhir_server.operations import OWN, Operation, looking, parameters
from profiles.definitions.model import OperationDefinition, OperationParameter

DEFINITION = OperationDefinition(
    url=f"{OWN}access-report",
    code="access-report",
    resource=("Patient",),
    system=False,
    type=False,
    instance=True,
    affects_state=False,
    parameters=(
        *looking.STRETCH,
        OperationParameter(
            "access",
            "out",
            0,
            None,
            "",
            (
                OperationParameter("when", "out", 1, 1, "instant"),
                OperationParameter("who", "out", 1, 1, "string"),
                OperationParameter("what", "out", 1, 1, "string"),
                OperationParameter("why", "out", 0, 1, "string"),
                OperationParameter("purpose", "out", 0, 1, "Coding"),
                OperationParameter("own", "out", 1, 1, "boolean"),
                OperationParameter("emergency", "out", 1, 1, "boolean"),
                OperationParameter("sentence", "out", 1, 1, "string"),
                OperationParameter("event", "out", 1, 1, "Reference"),
            ),
        ),
        looking.NEXT,
    ),
)


async def report(ctx: Context) -> FhirResponse:
    """Return 200 with one `access` for each event, the newest first.

    Raises:
        NotFound: There is no such patient whom the caller may see.
        Forbidden: The caller may not search AuditEvents.
        NotSupported: No audit trail is kept.
    """
    asked = parameters.read(ctx, DEFINITION)
    row = partial(_parts, user_id=ctx.repository.scope.principal.user_id)
    return await looking.page(ctx, asked, (), "access", row, start=looking.text(asked, "start"), disclosures=False)


def _parts(event: dict[str, Any], user_id: str) -> Iterator[looking.Row]:
    look = told(event, user_id)
    yield "when", "instant", look.when
    yield "who", "string", look.who
    yield "what", "string", look.what
    if look.why:
        yield "why", "string", look.why
    if look.purpose:
        yield "purpose", "Coding", purpose_of(look.purpose)
    yield "own", "boolean", look.own
    yield "emergency", "boolean", look.emergency
    yield "sentence", "string", look.sentence
    yield "event", "Reference", {"reference": f"AuditEvent/{event['id']}"}


OPERATION = Operation(
    DEFINITION,
    report,
    letters=("r", "r"),
    methods=("GET", "POST"),
    summary="Who looked at the record of one patient, in plain sentences",
    success=((200, "Parameters with one access for each event."),),
)
"""The operation."""
