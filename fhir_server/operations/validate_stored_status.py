"""$validate-stored-status: what was found wrong with what is stored; with DELETE, stop the search for it (docs/validation.md)."""

from collections.abc import Iterator
from typing import Any, get_args

from fhir_server.context import Context
from fhir_server.model import instant, json
from fhir_server.model.errors import BadRequest, NotFound
from fhir_server.model.queue import JobRecord, State
from fhir_server.model.request import FhirResponse
from fhir_server.operations import OWN, Operation, parameters
from fhir_server.repository import surveying
from fhir_server.repository.surveying import Finding
from profiles.definitions.model import OperationDefinition, OperationParameter

MOST = 20

FINDING = (
    OperationParameter("type", "out", 1, 1, "code"),
    OperationParameter("severity", "out", 1, 1, "code"),
    OperationParameter("code", "out", 1, 1, "code"),
    OperationParameter("message", "out", 0, 1, "string"),
    OperationParameter("path", "out", 0, 1, "string"),
    OperationParameter("profile", "out", 0, 1, "string"),
    OperationParameter("count", "out", 1, 1, "unsignedInt"),
    OperationParameter("example", "out", 0, None, "string"),
)
PART = (
    OperationParameter("id", "out", 1, 1, "id"),
    OperationParameter("state", "out", 1, 1, "code"),
    OperationParameter("created", "out", 1, 1, "instant"),
    OperationParameter("ended", "out", 0, 1, "instant"),
    OperationParameter("attempt", "out", 1, 1, "unsignedInt"),
    OperationParameter("type", "out", 0, None, "code"),
    OperationParameter("profile", "out", 0, None, "uri"),
    OperationParameter("since", "out", 0, 1, "instant"),
    OperationParameter("package", "out", 0, None, "string"),
    OperationParameter("done", "out", 0, 1, "unsignedInt"),
    OperationParameter("total", "out", 0, 1, "unsignedInt"),
    OperationParameter("failing", "out", 0, 1, "unsignedInt"),
    OperationParameter("other", "out", 0, 1, "unsignedInt"),
    OperationParameter("error", "out", 0, 1, "string"),
    OperationParameter("finding", "out", 0, None, "", FINDING),
)
DEFINITION = OperationDefinition(
    url=f"{OWN}validate-stored-status",
    code="validate-stored-status",
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
    """Return 200 with a job and what it found, or with the newest jobs; for DELETE 202 with the job that was told to stop.

    Raises:
        NotFound: There is no such job; those that have ended are kept for a month.
        BadRequest: DELETE does not name a job.
    """
    asked = parameters.read(ctx, DEFINITION)["job"]
    if ctx.request.method == "DELETE":
        if not asked:
            raise BadRequest("Name the job to stop: $validate-stored-status?job=…", expression="http.job")
        return _answer(202, [_found(await ctx.queue.cancel(asked[0]), asked[0])])
    if asked:
        return _answer(200, [_found(await ctx.queue.get(asked[0]), asked[0])], whole=True)
    return _answer(200, list(await ctx.queue.jobs(surveying.KIND, get_args(State), MOST)))


def _found(job: JobRecord | None, job_id: str) -> JobRecord:
    if job is None or job.kind != surveying.KIND:
        raise NotFound(f"There is no job {job_id}. Jobs that have ended are kept for a month.", expression="http.job")
    return job


def _answer(code: int, jobs: list[JobRecord], *, whole: bool = False) -> FhirResponse:
    rows = (("job", "part", [*_parts(job), *(_findings(job) if whole else ())]) for job in jobs)
    return FhirResponse(code, {}, json.encode(parameters.resource(rows)))


def _parts(job: JobRecord) -> Iterator[tuple[str, str, Any]]:
    yield "id", "id", job.id
    yield "state", "code", job.state
    yield "created", "instant", instant.text(job.created)
    if job.ended:
        yield "ended", "instant", instant.text(job.ended)
    yield "attempt", "unsignedInt", job.attempt
    for name in job.payload["types"]:
        yield "type", "code", name
    for profile in job.payload["profiles"]:
        yield "profile", "uri", profile
    if job.payload["since"]:
        yield "since", "instant", job.payload["since"]
    for package in job.result.get("packages", ()):
        yield "package", "string", package
    counts = {**job.progress, **job.result}
    for name in ("done", "total", "failing", "other"):
        if name in counts:
            yield name, "unsignedInt", counts[name]
    if job.error:
        yield "error", "string", job.error


def _findings(job: JobRecord) -> Iterator[tuple[str, str, Any]]:
    """Yield what was found, of a job under way what was found so far."""
    tally = job.result or job.checkpoint.get("tally", {})
    for one in surveying.findings(tally.get("kinds", ())):
        yield "finding", "part", list(_finding(one))


def _finding(one: Finding) -> Iterator[tuple[str, str, Any]]:
    yield "type", "code", one.type
    yield "severity", "code", one.severity
    yield "code", "code", one.code
    for name, value in (("message", one.message), ("path", one.path), ("profile", one.profile)):
        if value:
            yield name, "string", value
    yield "count", "unsignedInt", one.count
    for example in one.examples:
        yield "example", "string", f"{one.type}/{example}"


OPERATION = Operation(
    DEFINITION,
    status,
    letters=("r", "r"),
    methods=("GET", "DELETE"),
    summary="What was found wrong with what is stored; DELETE stops the search for it",
    success=(
        (200, "Parameters with a job and what it found, or the newest jobs."),
        (202, "Parameters with the job that was told to stop."),
    ),
    whole=True,
)
