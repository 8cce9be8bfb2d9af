"""$reindex-status: how far the indexing of stored resources is; with DELETE, stop it (docs/search-parameters.md)."""

from collections.abc import Iterator

from fhir_server.context import Context
from fhir_server.model.queue import JobRecord
from fhir_server.model.request import FhirResponse
from fhir_server.operations import OWN, Operation, queued
from fhir_server.search import backfill
from profiles.definitions.model import OperationDefinition, OperationParameter

PART = (
    *queued.HEAD,
    OperationParameter("parameter", "out", 0, None, "uri"),
    OperationParameter("done", "out", 0, 1, "unsignedInt"),
    OperationParameter("total", "out", 0, 1, "unsignedInt"),
    OperationParameter("changed", "out", 0, 1, "unsignedInt"),
    OperationParameter("active", "out", 0, None, "code"),
    queued.ERROR,
)
DEFINITION = OperationDefinition(
    url=f"{OWN}reindex-status",
    code="reindex-status",
    resource=(),
    system=True,
    type=False,
    instance=False,
    affects_state=False,
    parameters=(
        OperationParameter("job", "in", 0, 1, "id"),
        OperationParameter("job", "out", 0, None, "", PART),
    ),
)


async def status(ctx: Context) -> FhirResponse:
    """Return 200 with a job, or with the newest jobs; for DELETE 202 with the job that was told to stop.

    Raises:
        NotFound: There is no such job; those that have ended are kept for a month.
        BadRequest: DELETE does not name a job.
    """
    return await queued.status(ctx, DEFINITION, backfill.KIND, _rows)


def _rows(job: JobRecord) -> Iterator[queued.Row]:
    for parameter_id in job.payload["parameters"]:
        yield "parameter", "uri", f"SearchParameter/{parameter_id}"
    yield from queued.counts(job, ("done", "total", "changed"))
    for code in job.result.get("active", ()):
        yield "active", "code", code


OPERATION = Operation(
    DEFINITION,
    status,
    letters=("r", "u"),
    methods=("GET", "DELETE"),
    summary="How far the indexing of stored resources is; DELETE stops it",
    success=queued.TOLD,
    whole=True,
)
