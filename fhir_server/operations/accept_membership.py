"""OrganizationAffiliation/[id]/$accept: the word of one side; with that of the other one the membership is in force (docs/hierarchy.md)."""

from fhir_server.context import Context
from fhir_server.model.errors import BadRequest
from fhir_server.model.request import FhirResponse
from fhir_server.operations import OWN, Operation, parameters
from fhir_server.repository.membership import SIDES, accept
from profiles.definitions.model import OperationDefinition, OperationParameter

DEFINITION = OperationDefinition(
    url=f"{OWN}accept-membership",
    code="accept",
    resource=("OrganizationAffiliation",),
    system=False,
    type=False,
    instance=True,
    affects_state=True,
    parameters=(
        OperationParameter("side", "in", 0, 1, "code"),
        OperationParameter("return", "out", 1, 1, "OrganizationAffiliation"),
    ),
)


async def answer(ctx: Context) -> FhirResponse:
    """Return 200 with the membership as it then is.

    Raises:
        BadRequest: `side` is neither `network` nor `member`.
        Forbidden: The caller speaks for no side, or has spoken for the other one.
        Conflict: It has ended, or contradicts another agreement.
        Unprocessable: It is no membership, or would break a rule of the hierarchy.
    """
    asked = parameters.read(ctx, DEFINITION)["side"]
    side = next((one for one in SIDES if asked == (one,)), None)
    if asked and side is None:
        raise BadRequest(f"'{asked[0][:40]}' is no side. It is one of {', '.join(SIDES)}.", expression="http.side")
    stored = await accept(ctx.repository, ctx.id, side)
    return FhirResponse(200, {"ETag": f'W/"{stored.vid}"'}, stored.body, stored)


OPERATION = Operation(
    DEFINITION,
    answer,
    letters=("u",),
    methods=("POST",),
    summary="Accept a membership of a network for one side",
    success=((200, "The OrganizationAffiliation; `active` tells whether both sides have accepted."),),
)
