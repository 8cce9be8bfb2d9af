"""$status: how Subscriptions stand, and how many events there were (Subscriptions R5 Backport 1.1.0)."""

from fhir_server.context import Context
from fhir_server.model import json
from fhir_server.model.request import FhirResponse
from fhir_server.notifications import told
from fhir_server.operations import Operation, parameters
from profiles.definitions.model import OperationDefinition, OperationParameter

DEFINITION = OperationDefinition(
    url="http://hl7.org/fhir/uv/subscriptions-backport/OperationDefinition/backport-subscription-status",
    code="status",
    resource=("Subscription",),
    system=False,
    type=True,
    instance=True,
    affects_state=False,
    parameters=(
        OperationParameter("id", "in", 0, None, "id"),
        OperationParameter("status", "in", 0, None, "code"),
        OperationParameter("return", "out", 1, 1, "Bundle"),
    ),
)


async def answer(ctx: Context) -> FhirResponse:
    """Return 200 with a searchset of Parameters, one for each Subscription.

    Raises:
        BadRequest: A parameter.
        NotFound: The caller may read no Subscription of this id.
    """
    values = parameters.read(ctx, DEFINITION)
    if ctx.id:
        found = [await told.standing(ctx.repository, ctx.id)]
    else:
        found = await told.standings(ctx.repository, values["id"], values["status"])
    now = ctx.repository.store.clock.now()
    return FhirResponse(200, {}, json.encode(told.searchset(found, ctx.base, now)))


OPERATION = Operation(
    DEFINITION,
    answer,
    letters=("r", "r"),
    methods=("GET", "POST"),
    summary="How Subscriptions stand, and how many events there were",
    success=((200, "A searchset of Parameters, one for each Subscription."),),
)
