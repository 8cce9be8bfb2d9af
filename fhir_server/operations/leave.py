"""Organization/[id]/$leave: end the membership of a network, or of all; nothing that is kept moves (docs/hierarchy.md)."""

from fhir_server.context import Context
from fhir_server.facilities import nodes
from fhir_server.model import json
from fhir_server.model.errors import BadRequest
from fhir_server.model.request import FhirResponse
from fhir_server.operations import OWN, Operation, parameters
from fhir_server.repository.membership import AFFILIATION, leave
from profiles.definitions.model import OperationDefinition, OperationParameter

DEFINITION = OperationDefinition(
    url=f"{OWN}leave",
    code="leave",
    resource=("Organization",),
    system=False,
    type=False,
    instance=True,
    affects_state=True,
    parameters=(
        OperationParameter("network", "in", 0, 1, "Reference"),
        OperationParameter("override", "in", 0, 1, "boolean"),
        OperationParameter("affiliation", "out", 1, None, "Reference"),
    ),
)


async def answer(ctx: Context) -> FhirResponse:
    """Return 200 with references to the memberships that have ended.

    Raises:
        BadRequest: A parameter is not valid.
        Forbidden: The caller speaks for neither side, or may not override.
        Conflict: It is no member, or inpatients are shared; they are listed.
    """
    values = parameters.read(ctx, DEFINITION)
    network = ""
    if values["network"]:
        network = nodes.target(values["network"][0], ctx.repository.intake.reading.base)
        if not network:
            raise BadRequest("'network' is a reference to an Organization of this server.", expression="http.network")
    ended = await leave(ctx.repository, ctx.id, network, override=values["override"] == (True,))
    rows = [("affiliation", "Reference", {"reference": f"{AFFILIATION}/{one.id}"}) for one in ended]
    return FhirResponse(200, {}, json.encode(parameters.resource(rows)))


OPERATION = Operation(
    DEFINITION,
    answer,
    letters=("u",),
    methods=("POST",),
    summary="End the membership of a network",
    success=((200, "References to the memberships that have ended."),),
)
