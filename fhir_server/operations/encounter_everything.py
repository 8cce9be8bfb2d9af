"""Encounter/$everything: what belongs to an encounter, and what that refers to (R4 Encounter-everything)."""

from fhir_server.context import Context
from fhir_server.model.request import FhirResponse
from fhir_server.operations import Operation
from fhir_server.operations.everything import COMMON, answered
from profiles.definitions.model import OperationDefinition

DEFINITION = OperationDefinition(
    url="http://hl7.org/fhir/OperationDefinition/Encounter-everything",
    code="everything",
    resource=("Encounter",),
    system=False,
    type=False,
    instance=True,
    affects_state=False,
    parameters=COMMON,
)


async def everything(ctx: Context) -> FhirResponse:
    """Return a page of everything about an encounter, its patient among it.

    Raises:
        NotFound: There is no such encounter, or none that the caller may see.
    """
    await ctx.repository.read("Encounter", ctx.id)
    return await answered(ctx, DEFINITION, ctx.id)


OPERATION = Operation(
    DEFINITION,
    everything,
    letters=("r", "r"),
    methods=("GET", "POST"),
    summary="What belongs to an encounter, and what that refers to",
    success=((200, "A page of the resources."),),
)
