"""$access-report: who looked at the record of one patient, when and why, in plain sentences (docs/audit.md)."""

from collections.abc import Iterator
from typing import Any

from fhir_server.audit.sentences import purpose_of, told
from fhir_server.context import Context
from fhir_server.model import json
from fhir_server.model.request import FhirResponse
from fhir_server.operations import OWN, Operation, parameters
from fhir_server.repository.looking import Wanted, looks
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
        OperationParameter("start", "in", 0, 1, "dateTime"),
        OperationParameter("end", "in", 0, 1, "dateTime"),
        OperationParameter("count", "in", 0, 1, "positiveInt"),
        OperationParameter("before", "in", 0, 1, "id"),
        OperationParameter("patient", "out", 1, 1, "Reference"),
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
        OperationParameter("next", "out", 0, 1, "id"),
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
    text = {name: str(next(iter(asked[name]), "")) for name in ("start", "end", "before")}
    most = ctx.settings.search
    count = min(int(next(iter(asked["count"]), most.count)), most.max_count)
    found = await looks(ctx.repository, Wanted(ctx.id, text["start"], text["end"], text["before"], count, False))
    rows: list[tuple[str, str, Any]] = [("patient", "Reference", {"reference": f"Patient/{ctx.id}"})]
    user_id = ctx.repository.scope.principal.user_id
    rows += [("access", "part", [*_parts(event, user_id)]) for event in found.events]
    rows += [("next", "id", found.next)] if found.next else []
    return FhirResponse(200, {}, json.encode(parameters.resource(rows)))


def _parts(event: dict[str, Any], user_id: str) -> Iterator[tuple[str, str, Any]]:
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
