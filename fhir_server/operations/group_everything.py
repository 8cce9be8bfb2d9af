"""Group/$everything: the records of the patients of a group, and what they refer to (R4 Group-everything)."""

from collections.abc import Sequence

from fhir_server.context import Context
from fhir_server.model.request import FhirResponse
from fhir_server.operations import Operation
from fhir_server.operations.everything import COMMON, DAYS, answered
from fhir_server.repository.cohorts import members
from profiles.definitions.model import OperationDefinition

TOGETHER = 50
"""Patients that are gone through at once; what several of them refer to comes once for all of these."""

DEFINITION = OperationDefinition(
    url="http://hl7.org/fhir/OperationDefinition/Group-everything",
    code="everything",
    resource=("Group",),
    system=False,
    type=False,
    instance=True,
    affects_state=False,
    parameters=(*DAYS, *COMMON),
)


async def everything(ctx: Context) -> FhirResponse:
    """Return a page of everything about the patients of a group, the group first.

    Raises:
        NotFound: There is no such group, or none that the caller may see.
    """
    group = await ctx.repository.read("Group", ctx.id)

    async def stretches(after: str, until: str) -> Sequence[str]:
        found = await members(ctx.repository, ctx.id, after, ctx.repository.store.clock.now())
        return [one for one in found if one <= until] if until else found[:TOGETHER]

    return await answered(ctx, DEFINITION, ctx.id, stretches, group)


OPERATION = Operation(
    DEFINITION,
    everything,
    letters=("r", "r"),
    methods=("GET", "POST"),
    summary="The records of the patients of a group, and what they refer to",
    success=((200, "A page of the resources."),),
)
