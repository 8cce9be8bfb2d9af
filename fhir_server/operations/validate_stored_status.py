"""$validate-stored-status: what was found wrong with what is stored; with DELETE, stop the search for it (docs/validation.md)."""

from collections.abc import Iterator

from fhir_server.context import Context
from fhir_server.model.queue import JobRecord
from fhir_server.model.request import FhirResponse
from fhir_server.operations import OWN, Operation, queued
from fhir_server.repository import surveying
from fhir_server.repository.surveying import Finding
from profiles.definitions.model import OperationDefinition, OperationParameter

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
    *queued.HEAD,
    OperationParameter("profile", "out", 0, None, "uri"),
    OperationParameter("since", "out", 0, 1, "instant"),
    OperationParameter("package", "out", 0, None, "string"),
    OperationParameter("done", "out", 0, 1, "unsignedInt"),
    OperationParameter("total", "out", 0, 1, "unsignedInt"),
    OperationParameter("failing", "out", 0, 1, "unsignedInt"),
    OperationParameter("other", "out", 0, 1, "unsignedInt"),
    queued.ERROR,
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
    return await queued.status(ctx, DEFINITION, surveying.KIND, _rows, _findings)


def _rows(job: JobRecord) -> Iterator[queued.Row]:
    for profile in job.payload["profiles"]:
        yield "profile", "uri", profile
    if job.payload["since"]:
        yield "since", "instant", job.payload["since"]
    for package in job.result.get("packages", ()):
        yield "package", "string", package
    yield from queued.counts(job, ("done", "total", "failing", "other"))


def _findings(job: JobRecord) -> Iterator[queued.Row]:
    """Yield what was found, of a job under way what was found so far."""
    tally = job.result or job.checkpoint.get("tally", {})
    for one in surveying.findings(tally.get("kinds", ())):
        yield "finding", "part", list(_finding(one))


def _finding(one: Finding) -> Iterator[queued.Row]:
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
        queued.STOPPED,
    ),
    whole=True,
)
