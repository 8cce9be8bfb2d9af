"""$end-break-glass: close the record of a patient again before the time is over (docs/cross-facility.md)."""

from fhir_server.context import Context
from fhir_server.model import json
from fhir_server.model.request import FhirResponse
from fhir_server.operations import OWN, Operation, parameters
from fhir_server.repository.glass import end_glass
from profiles.definitions.model import OperationDefinition, OperationParameter

DEFINITION = OperationDefinition(
    url=f"{OWN}end-break-glass",
    code="end-break-glass",
    resource=("Patient",),
    system=False,
    type=False,
    instance=True,
    affects_state=True,
    parameters=(OperationParameter("ended", "out", 1, 1, "boolean"),),
)


async def answer(ctx: Context) -> FhirResponse:
    """Return whether there was anything to end.

    Raises:
        Forbidden: The caller is not staff who treats people in a role.
    """
    parameters.read(ctx, DEFINITION)
    ended = await end_glass(ctx.repository, ctx.id)
    return FhirResponse(200, {}, json.encode(parameters.resource([("ended", "boolean", ended)])))


OPERATION = Operation(
    DEFINITION,
    answer,
    letters=("r",),
    methods=("POST",),
    summary="Close the record of a patient that was opened in an emergency",
    success=((200, "Whether it was open."),),
)
