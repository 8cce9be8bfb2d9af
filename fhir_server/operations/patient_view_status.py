"""[type]/[id]/$patient-view-status: whether the patient is shown it, why, since when, and has opened it (docs/live-record.md)."""

from collections.abc import Iterator
from typing import Any

from fhir_server.context import Context
from fhir_server.model import instant, json
from fhir_server.model.errors import Forbidden
from fhir_server.model.request import FhirResponse
from fhir_server.operations import OWN, Operation, parameters
from fhir_server.repository.showing import Showing, showing
from profiles.definitions.model import OperationDefinition, OperationParameter

DEFINITION = OperationDefinition(
    url=f"{OWN}patient-view-status",
    code="patient-view-status",
    resource=("Resource",),
    system=False,
    type=False,
    instance=True,
    affects_state=False,
    parameters=(
        OperationParameter("patient", "out", 0, 1, "Reference"),
        OperationParameter("visible", "out", 1, 1, "boolean"),
        OperationParameter("rule", "out", 1, 1, "code"),
        OperationParameter("reason", "out", 0, 1, "code"),
        OperationParameter("withdrawn", "out", 0, 1, "boolean"),
        OperationParameter("since", "out", 1, 1, "instant"),
        OperationParameter("visibleAt", "out", 0, 1, "instant"),
        OperationParameter("firstSeen", "out", 0, 1, "instant"),
        OperationParameter("lastSeen", "out", 0, 1, "instant"),
        OperationParameter("seenBy", "out", 0, None, "Reference"),
    ),
)


async def answer(ctx: Context) -> FhirResponse:
    """Return 200 with what the patient is shown of a resource that the caller can read.

    Raises:
        Forbidden: The caller is a patient or proxy.
        NotFound: There is no such resource within the caller's reach.
    """
    if ctx.repository.scope.principal.audience == "patient":
        raise Forbidden("This tells staff what a patient is shown. Patients see it by reading their record.")
    parameters.read(ctx, DEFINITION)
    found = await showing(ctx.repository, ctx.grants, ctx.resource_type, ctx.id)
    return FhirResponse(200, {}, json.encode(parameters.resource(_rows(found))))


def _rows(found: Showing) -> Iterator[tuple[str, str, Any]]:
    if found.patient:
        yield "patient", "Reference", {"reference": f"Patient/{found.patient}"}
    yield "visible", "boolean", found.visible
    yield "rule", "code", found.rule
    if found.reason:
        yield "reason", "code", found.reason
    if found.withdrawn:
        yield "withdrawn", "boolean", True
    yield "since", "instant", instant.text(found.since)
    if found.visible_at:
        yield "visibleAt", "instant", instant.text(found.visible_at)
    seen = found.seen
    if seen and seen.first and seen.last:
        yield "firstSeen", "instant", instant.text(seen.first)
        yield "lastSeen", "instant", instant.text(seen.last)
        for user in seen.by:
            yield "seenBy", "Reference", {"identifier": {"system": seen.issuer, "value": user}}


OPERATION = Operation(
    DEFINITION,
    answer,
    letters=("r",),
    methods=("GET",),
    summary="Whether the patient is shown a resource, why and since when, and has opened it",
    success=((200, "Parameters that say so."),),
)
