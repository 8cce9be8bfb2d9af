"""$respond: what the facility that a referral is addressed to makes of it (docs/cross-facility.md)."""

from fhir_server.context import Context
from fhir_server.model.errors import Unprocessable
from fhir_server.model.request import FhirResponse
from fhir_server.operations import OWN, Operation, parameters
from fhir_server.repository.referral import ANSWERS, Answer, respond
from profiles.definitions.model import OperationDefinition, OperationParameter
from profiles.issue import Issue

DEFINITION = OperationDefinition(
    url=f"{OWN}respond",
    code="respond",
    resource=("Task",),
    system=False,
    type=False,
    instance=True,
    affects_state=True,
    parameters=(
        OperationParameter("status", "in", 1, 1, "code"),
        OperationParameter("reason", "in", 0, 1, "string"),
        OperationParameter("return", "out", 1, 1, "Task"),
    ),
)


async def answer(ctx: Context) -> FhirResponse:
    """Return the Task with its new status.

    Raises:
        NotFound: The caller sees no such Task.
        Forbidden: It is not addressed to the caller's facility.
        Conflict: It cannot get this status now.
        Unprocessable: No status that can be answered, or no referral.
    """
    values = parameters.read(ctx, DEFINITION)
    status, reason = values["status"][0], next(iter(values["reason"]), "")
    if status not in ANSWERS:
        text = f"The parameter 'status' is one of {', '.join(ANSWERS)}."
        raise Unprocessable(text, issues=[Issue("error", "code-invalid", text, "http.status", "code-invalid")])
    written = await respond(ctx.repository, ctx.id, Answer(status, reason))
    return FhirResponse(200, {"ETag": f'W/"{written.stored.vid}"'}, written.stored.body, written.stored)


OPERATION = Operation(
    DEFINITION,
    answer,
    letters=("u",),
    methods=("POST",),
    summary="Accept, reject or end a referral that another facility has sent",
    success=((200, "The Task with its new status."),),
)
