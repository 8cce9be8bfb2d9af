"""$get-ws-binding-token: a token that binds a websocket connection to Subscriptions (Subscriptions R5 Backport 1.1.0)."""

from fhir_server.channels.websocket import PLACE
from fhir_server.context import Context
from fhir_server.model import instant, json
from fhir_server.model.errors import BadRequest, NotFound
from fhir_server.model.request import FhirResponse
from fhir_server.notifications import told
from fhir_server.notifications.feed import Tickets
from fhir_server.operations import Operation, parameters
from fhir_server.subscriptions.asked import TYPE
from profiles.definitions.model import OperationDefinition, OperationParameter

DEFINITION = OperationDefinition(
    url="http://hl7.org/fhir/uv/subscriptions-backport/OperationDefinition/backport-subscription-get-ws-binding-token",
    code="get-ws-binding-token",
    resource=("Subscription",),
    system=False,
    type=True,
    instance=True,
    affects_state=False,
    parameters=(
        OperationParameter("id", "in", 0, None, "id"),
        OperationParameter("token", "out", 1, 1, "string"),
        OperationParameter("expiration", "out", 1, 1, "dateTime"),
        OperationParameter("subscription", "out", 0, None, "string"),
        OperationParameter("websocket-url", "out", 1, 1, "url"),
    ),
)
MOST = 100


async def answer(ctx: Context) -> FhirResponse:
    """Return 200 with a token, until when it can be used, what it is for, and where to connect.

    Raises:
        BadRequest: A parameter, or no Subscription with the channel type websocket among them.
        NotFound: The caller may read no Subscription of this id.
    """
    values = parameters.read(ctx, DEFINITION)
    ids = (ctx.id,) if ctx.id else values["id"]
    found = await ctx.repository.matches(
        TYPE, (("type", "websocket"), *((("_id", ",".join(ids)),) if ids else ())), MOST
    )
    # Connections are told what the mandates of Subscriptions reach, so nobody binds one to those of others.
    own = await told.own(ctx.repository, [one.id for one in found])
    found = [one for one in found if one.id in own]
    missing = sorted({*ids} - {one.id for one in found})
    if missing:
        raise NotFound(f"There is no Subscription/{missing[0]} with the channel type websocket.")
    if not found:
        raise BadRequest("There is no Subscription with the channel type websocket. Create one first.")
    tickets = Tickets(ctx.repository.store, ctx.settings.subscriptions.token_minutes)
    token, until = await tickets.hand_out([one.id for one in found])
    rows = [
        ("token", "string", token),
        ("expiration", "dateTime", instant.text(until)),
        *(("subscription", "string", f"{TYPE}/{one.id}") for one in found),
        ("websocket-url", "url", f"ws{ctx.base.removeprefix('http')}/{PLACE}"),
    ]
    return FhirResponse(200, {}, json.encode(parameters.resource(rows)))


OPERATION = Operation(
    DEFINITION,
    answer,
    letters=("r", "r"),
    methods=("GET", "POST"),
    summary="A token that binds a websocket connection to Subscriptions",
    success=((200, "Parameters with the token, and where to connect."),),
)
