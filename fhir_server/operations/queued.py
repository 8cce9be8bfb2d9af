"""What the operations share that queue jobs, tell of those of one kind, and stop them."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any, get_args

from fhir_server.context import Context
from fhir_server.model import instant, json
from fhir_server.model.errors import BadRequest, NotFound, UnknownType
from fhir_server.model.queue import JobRecord, State
from fhir_server.model.request import FhirResponse
from fhir_server.operations import parameters
from profiles.definitions.model import OperationDefinition, OperationParameter

MOST = 20
"""Jobs that are told of where none is named."""

Row = tuple[str, str, Any]
"""Name, FHIR type and value of a parameter."""

HEAD = (
    OperationParameter("id", "out", 1, 1, "id"),
    OperationParameter("state", "out", 1, 1, "code"),
    OperationParameter("created", "out", 1, 1, "instant"),
    OperationParameter("ended", "out", 0, 1, "instant"),
    OperationParameter("attempt", "out", 1, 1, "unsignedInt"),
    OperationParameter("type", "out", 0, None, "code"),
)
ERROR = OperationParameter("error", "out", 0, 1, "string")


QUEUED = (
    OperationParameter("job", "out", 1, 1, "id"),
    OperationParameter("state", "out", 1, 1, "code"),
)
"""What is answered of a job that is queued."""

STOPPED = (202, "Parameters with the job that was told to stop.")
TOLD = ((200, "Parameters with a job, or the newest jobs."), STOPPED)
"""Successful answers of the operations that tell of jobs and stop them."""


def types(ctx: Context, asked: Iterable[str]) -> tuple[str, ...]:
    """Return the resource types that a job is for, that of the URL among them; none means all.

    Raises:
        UnknownType: One of `asked` is no resource type.
    """
    for name in asked:
        if name not in ctx.definitions.resource_types:
            raise UnknownType(f"'{name[:60]}' is not a resource type of FHIR R4.", expression="http.type")
    return tuple(sorted({*asked, ctx.resource_type} - {""}))


def accepted(ctx: Context, job: JobRecord, teller: str) -> FhirResponse:
    """Return 202 with a job; `Content-Location` is the operation that tells of it.

    Args:
        ctx: The request.
        job: What is queued.
        teller: Code of that operation.
    """
    body = parameters.resource((("job", "id", job.id), ("state", "code", job.state)))
    return FhirResponse(202, {"Content-Location": f"{ctx.base}/${teller}?job={job.id}"}, json.encode(body))


async def status(
    ctx: Context,
    definition: OperationDefinition,
    kind: str,
    rows: Callable[[JobRecord], Iterable[Row]],
    more: Callable[[JobRecord], Iterable[Row]] = lambda _: (),
) -> FhirResponse:
    """Return 200 with a job, or with the newest jobs; for DELETE 202 with the job that was told to stop.

    Args:
        ctx: The request.
        definition: Of an operation that takes `job`.
        kind: Of the jobs.
        rows: What is told of a job, between `HEAD` and `ERROR`.
        more: What is told last of a job that was asked for.

    Raises:
        NotFound: There is no such job of this kind; those that have ended are kept for a month.
        BadRequest: DELETE does not name a job.
    """
    asked = parameters.read(ctx, definition)["job"]
    if not asked and ctx.request.method == "DELETE":
        raise BadRequest(f"Name the job to stop: ${definition.code}?job=…", expression="http.job")
    if not asked:
        jobs = await ctx.queue.jobs(kind, get_args(State), MOST)
        return _answer(200, ([*_parts(job, rows)] for job in jobs))
    job = await ctx.queue.get(asked[0])
    # One of another kind is none of this operation's business: whoever may stop these may not stop those.
    if job is None or job.kind != kind:
        raise NotFound(f"There is no job {asked[0]}. Jobs that have ended are kept for a month.", expression="http.job")
    if ctx.request.method == "DELETE":
        return _answer(202, [[*_parts(await ctx.queue.cancel(job.id) or job, rows)]])
    return _answer(200, [[*_parts(job, rows), *more(job)]])


def counts(job: JobRecord, names: Iterable[str]) -> Iterator[Row]:
    """Yield numbers of a job that are known, of one under way as they are now."""
    known = {**job.progress, **job.result}
    for name in names:
        if name in known:
            yield name, "unsignedInt", known[name]


def _answer(code: int, jobs: Iterable[list[Row]]) -> FhirResponse:
    return FhirResponse(code, {}, json.encode(parameters.resource(("job", "part", job) for job in jobs)))


def _parts(job: JobRecord, rows: Callable[[JobRecord], Iterable[Row]]) -> Iterator[Row]:
    yield "id", "id", job.id
    yield "state", "code", job.state
    yield "created", "instant", instant.text(job.created)
    if job.ended:
        yield "ended", "instant", instant.text(job.ended)
    yield "attempt", "unsignedInt", job.attempt
    for name in job.payload["types"]:
        yield "type", "code", name
    yield from rows(job)
    if job.error:
        yield "error", "string", job.error
