"""$reindex-status: how far the indexing of stored resources is; with DELETE, stop it (docs/search-parameters.md)."""

from collections.abc import Iterator
from typing import Any, get_args

from fhir_server.context import Context
from fhir_server.model import instant, json
from fhir_server.model.errors import BadRequest, NotFound
from fhir_server.model.queue import JobRecord, State
from fhir_server.model.request import FhirResponse
from fhir_server.operations import OWN, Operation, parameters
from fhir_server.search import backfill
from profiles.definitions.model import OperationDefinition, OperationParameter

MOST = 20

PART = (
    OperationParameter("id", "out", 1, 1, "id"),
    OperationParameter("state", "out", 1, 1, "code"),
    OperationParameter("created", "out", 1, 1, "instant"),
    OperationParameter("ended", "out", 0, 1, "instant"),
    OperationParameter("attempt", "out", 1, 1, "unsignedInt"),
    OperationParameter("type", "out", 0, None, "code"),
    OperationParameter("parameter", "out", 0, None, "uri"),
    OperationParameter("done", "out", 0, 1, "unsignedInt"),
    OperationParameter("total", "out", 0, 1, "unsignedInt"),
    OperationParameter("changed", "out", 0, 1, "unsignedInt"),
    OperationParameter("active", "out", 0, None, "code"),
    OperationParameter("error", "out", 0, 1, "string"),
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
    asked = parameters.read(ctx, DEFINITION)["job"]
    if ctx.request.method == "DELETE":
        if not asked:
            raise BadRequest("Name the job to stop: $reindex-status?job=…", expression="http.job")
        return _answer(202, [_found(await ctx.queue.cancel(asked[0]), asked[0])])
    if asked:
        return _answer(200, [_found(await ctx.queue.get(asked[0]), asked[0])])
    return _answer(200, list(await ctx.queue.jobs(backfill.KIND, get_args(State), MOST)))


def _found(job: JobRecord | None, job_id: str) -> JobRecord:
    if job is None or job.kind != backfill.KIND:
        raise NotFound(f"There is no job {job_id}. Jobs that have ended are kept for a month.", expression="http.job")
    return job


def _answer(code: int, jobs: list[JobRecord]) -> FhirResponse:
    return FhirResponse(code, {}, json.encode(parameters.resource(("job", "part", list(_parts(job))) for job in jobs)))


def _parts(job: JobRecord) -> Iterator[tuple[str, str, Any]]:
    yield "id", "id", job.id
    yield "state", "code", job.state
    yield "created", "instant", instant.text(job.created)
    if job.ended:
        yield "ended", "instant", instant.text(job.ended)
    yield "attempt", "unsignedInt", job.attempt
    for name in job.payload["types"]:
        yield "type", "code", name
    for parameter_id in job.payload["parameters"]:
        yield "parameter", "uri", f"SearchParameter/{parameter_id}"
    counts = {**job.progress, **job.result}
    for name in ("done", "total", "changed"):
        if name in counts:
            yield name, "unsignedInt", counts[name]
    for code in job.result.get("active", ()):
        yield "active", "code", code
    if job.error:
        yield "error", "string", job.error


OPERATION = Operation(
    DEFINITION,
    status,
    letters=("r", "u"),
    methods=("GET", "DELETE"),
    summary="How far the indexing of stored resources is; DELETE stops it",
    success=(
        (200, "Parameters with a job, or the newest jobs."),
        (202, "Parameters with the job that was told to stop."),
    ),
    whole=True,
)
