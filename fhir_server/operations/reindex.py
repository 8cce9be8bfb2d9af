"""$reindex: make the index entries of stored resources again, of one type or of all, as a job (docs/search-parameters.md)."""

from fhir_server.context import Context
from fhir_server.model.request import FhirResponse
from fhir_server.operations import OWN, Operation, parameters, queued
from fhir_server.search import backfill
from profiles.definitions.model import OperationDefinition, OperationParameter

DEFINITION = OperationDefinition(
    url=f"{OWN}reindex",
    code="reindex",
    resource=("Resource",),
    system=True,
    type=True,
    instance=False,
    affects_state=True,
    parameters=(
        OperationParameter("type", "in", 0, None, "code"),
        *queued.QUEUED,
    ),
)


async def reindex(ctx: Context) -> FhirResponse:
    """Return 202 with the job that is queued, or with the one that is there already for the same types.

    Raises:
        UnknownType: A parameter `type` is no resource type.
        BadRequest: Another parameter.
    """
    types = queued.types(ctx, parameters.read(ctx, DEFINITION)["type"])
    job = await ctx.queue.enqueue(backfill.KIND, backfill.payload(types), key=backfill.key(types))
    return queued.accepted(ctx, job, "reindex-status")


OPERATION = Operation(
    DEFINITION,
    reindex,
    letters=("u",),
    methods=("POST",),
    summary="Make the index entries of stored resources again",
    success=((202, "The job that is queued; `Content-Location` tells where to ask for it."),),
    whole=True,
)
