"""$events: the events of a Subscription once more, as far as the caller may know of them now (Subscriptions R5 Backport 1.1.0)."""

from fhir_server.context import Context
from fhir_server.model import json
from fhir_server.model.errors import BadRequest
from fhir_server.model.request import FhirResponse
from fhir_server.notifications import told
from fhir_server.operations import Operation, parameters
from profiles.definitions.model import OperationDefinition, OperationParameter

DEFINITION = OperationDefinition(
    url="http://hl7.org/fhir/uv/subscriptions-backport/OperationDefinition/backport-subscription-events",
    code="events",
    resource=("Subscription",),
    system=False,
    type=False,
    instance=True,
    affects_state=False,
    parameters=(
        OperationParameter("eventsSinceNumber", "in", 0, 1, "string"),
        OperationParameter("eventsUntilNumber", "in", 0, 1, "string"),
        OperationParameter("content", "in", 0, 1, "code"),
        OperationParameter("return", "out", 1, 1, "Bundle"),
    ),
)
MOST_DIGITS = 12


async def answer(ctx: Context) -> FhirResponse:
    """Return 200 with a Bundle like that of a notification: at most 100 events, the earliest of those that are asked for.

    Raises:
        BadRequest: A parameter, or a Subscription without a topic.
        NotFound: The caller may read no Subscription of this id.
    """
    values = parameters.read(ctx, DEFINITION)
    since = _number(values, "eventsSinceNumber", 1)
    until = _number(values, "eventsUntilNumber", 10**MOST_DIGITS - 1)
    level = next(iter(values["content"]), "")
    found = await told.events(ctx.repository, ctx.id, max(since, 1), until, level, ctx.base)
    return FhirResponse(200, {}, json.encode(found))


def _number(values: parameters.Values, name: str, usual: int) -> int:
    text = next(iter(values[name]), str(usual))
    if not (text.isascii() and text.isdigit() and len(text) <= MOST_DIGITS):
        raise BadRequest(f"'{text[:40]}' is no number of an event. Send digits, such as 17.", expression=f"http.{name}")
    return int(text)


OPERATION = Operation(
    DEFINITION,
    answer,
    letters=("r", "r"),
    methods=("GET", "POST"),
    summary="The events of a Subscription once more",
    success=((200, "A Bundle like that of a notification."),),
)
