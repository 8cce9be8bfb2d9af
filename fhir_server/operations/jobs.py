"""$jobs: the background work of this record, whatever its kind; with DELETE, stop some of it (docs/jobs.md)."""

from collections.abc import Iterable, Iterator
from typing import Any, get_args

from fhir_server.context import Context
from fhir_server.model import instant, json
from fhir_server.model.errors import BadRequest, NotFound
from fhir_server.model.queue import JobRecord, State
from fhir_server.model.request import FhirResponse
from fhir_server.operations import OWN, Operation, parameters, queued
from profiles.definitions.model import OperationDefinition, OperationParameter

COUNT, MOST = 50, 1000

FIGURE = (
    OperationParameter("name", "out", 1, 1, "code"),
    OperationParameter("value", "out", 1, 1, "string"),
)
PART = (
    OperationParameter("id", "out", 1, 1, "id"),
    OperationParameter("kind", "out", 1, 1, "code"),
    OperationParameter("state", "out", 1, 1, "code"),
    OperationParameter("created", "out", 1, 1, "instant"),
    OperationParameter("due", "out", 0, 1, "instant"),
    OperationParameter("ended", "out", 0, 1, "instant"),
    OperationParameter("attempt", "out", 1, 1, "unsignedInt"),
    OperationParameter("failures", "out", 1, 1, "unsignedInt"),
    OperationParameter("worker", "out", 0, 1, "string"),
    OperationParameter("client", "out", 0, 1, "string"),
    OperationParameter("stopping", "out", 0, 1, "boolean"),
    OperationParameter("progress", "out", 0, None, "", FIGURE),
    OperationParameter("error", "out", 0, 1, "string"),
)
DEFINITION = OperationDefinition(
    url=f"{OWN}jobs",
    code="jobs",
    resource=(),
    system=True,
    type=False,
    instance=False,
    affects_state=False,
    parameters=(
        OperationParameter("job", "in", 0, 1, "id"),
        OperationParameter("kind", "in", 0, None, "code"),
        OperationParameter("state", "in", 0, None, "code"),
        OperationParameter("_count", "in", 0, 1, "unsignedInt"),
        OperationParameter("job", "out", 0, None, "", PART),
    ),
)


async def jobs(ctx: Context) -> FhirResponse:
    """Return 200 with a job, or with the newest ones; for DELETE 202 with the job that was told to stop.

    Raises:
        NotFound: There is no such job; those that have ended are kept for a month.
        BadRequest: A state that there is not, too many at once, or DELETE without a job.
    """
    asked = parameters.read(ctx, DEFINITION)
    deletes = ctx.request.method == "DELETE"
    if asked["job"]:
        job = await (ctx.queue.cancel if deletes else ctx.queue.get)(asked["job"][0])
        if job is None:
            raise none(asked["job"][0])
        return answer(202 if deletes else 200, [job])
    if deletes:
        raise BadRequest("Name the job to stop: DELETE $jobs?job=…", expression="http.job")
    states = get_args(State)
    for name in asked["state"]:
        if name not in states:
            raise BadRequest(
                f"'{name[:60]}' is no state of a job. States are {', '.join(states)}.", expression="http.state"
            )
    count = asked["_count"][0] if asked["_count"] else COUNT
    if count > MOST:
        raise BadRequest(f"'_count' is at most {MOST}.", expression="http._count")
    return answer(200, await ctx.queue.listed(asked["kind"], asked["state"] or states, count) if count else [])


def none(job_id: str) -> NotFound:
    """Return the error for a job that is not there."""
    return NotFound(f"There is no job {job_id}. Jobs that have ended are kept for a month.", expression="http.job")


def answer(status: int, found: Iterable[JobRecord]) -> FhirResponse:
    """Return a response with jobs."""
    return FhirResponse(status, {}, json.encode(parameters.resource(("job", "part", [*_parts(job)]) for job in found)))


def _parts(job: JobRecord) -> Iterator[tuple[str, str, Any]]:
    yield "id", "id", job.id
    yield "kind", "code", job.kind
    yield "state", "code", job.state
    yield "created", "instant", instant.text(job.created)
    for name, moment in (("due", job.due), ("ended", job.ended)):
        if moment:
            yield name, "instant", instant.text(moment)
    yield "attempt", "unsignedInt", job.attempt
    yield "failures", "unsignedInt", job.failures
    for name, text in (("worker", job.worker), ("client", job.mandate.get("client", ""))):
        if text:
            yield name, "string", text
    if job.cancel_requested:
        yield "stopping", "boolean", True
    for name, value in {**job.progress, **job.result}.items():
        if isinstance(value, int | str) and value != "":
            yield "progress", "part", [("name", "code", name), ("value", "string", str(value))]
    if job.error:
        yield "error", "string", job.error


OPERATION = Operation(
    DEFINITION,
    jobs,
    letters=("r", "u"),
    methods=("GET", "DELETE"),
    summary="Background work of every kind and how far it is; DELETE stops a job",
    success=queued.TOLD,
    whole=True,
)
