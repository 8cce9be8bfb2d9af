"""$reindex: make the index entries of stored resources again, of one type or of all, as a job (docs/search-parameters.md)."""

from fhir_server.context import Context
from fhir_server.model import json
from fhir_server.model.errors import UnknownType
from fhir_server.model.queue import JobRecord
from fhir_server.model.request import FhirResponse
from fhir_server.operations import OWN, Operation, parameters
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
        OperationParameter("job", "out", 1, 1, "id"),
        OperationParameter("state", "out", 1, 1, "code"),
    ),
)


async def reindex(ctx: Context) -> FhirResponse:
    """Return 202 with the job that is queued, or with the one that is there already for the same types.

    Raises:
        UnknownType: A parameter `type` is no resource type.
        BadRequest: Another parameter.
    """
    asked = parameters.read(ctx, DEFINITION)["type"]
    for name in asked:
        if name not in ctx.definitions.resource_types:
            raise UnknownType(f"'{name[:60]}' is not a resource type of FHIR R4.", expression="http.type")
    types = sorted({*asked, ctx.resource_type} - {""})
    job = await ctx.queue.enqueue(backfill.KIND, backfill.payload(types), key=backfill.key(types))
    body = parameters.resource((("job", "id", job.id), ("state", "code", job.state)))
    return FhirResponse(202, {"Content-Location": location(ctx, job)}, json.encode(body))


def location(ctx: Context, job: JobRecord) -> str:
    """Return the URL that tells how far a job is."""
    return f"{ctx.base}/$reindex-status?job={job.id}"


OPERATION = Operation(
    DEFINITION,
    reindex,
    letters=("u",),
    methods=("POST",),
    summary="Make the index entries of stored resources again",
    success=((202, "The job that is queued; `Content-Location` tells where to ask for it."),),
    whole=True,
)
