"""Organization/{id}/$match-queue: look for people who are registered at several facilities of a network (docs/identity.md)."""

from collections.abc import Iterator
from typing import Any, get_args

from fhir_server.context import Context
from fhir_server.model import json
from fhir_server.model.errors import NotFound
from fhir_server.model.queue import JobRecord, State
from fhir_server.model.request import FhirResponse
from fhir_server.operations import OWN, Operation, parameters
from fhir_server.repository import queueing
from profiles.definitions.model import OperationDefinition, OperationParameter

MOST = 200

DEFINITION = OperationDefinition(
    url=f"{OWN}match-queue",
    code="match-queue",
    resource=("Organization",),
    system=False,
    type=False,
    instance=True,
    affects_state=True,
    parameters=(
        OperationParameter("job", "out", 1, 1, "id"),
        OperationParameter("state", "out", 1, 1, "code"),
        OperationParameter("done", "out", 0, 1, "unsignedInt"),
        OperationParameter("new", "out", 0, 1, "unsignedInt"),
    ),
)


async def answer(ctx: Context) -> FhirResponse:
    """Return 202 with the job that fills the queue, or that is doing so; for GET 200 with the last one, and how far it is.

    Raises:
        BadRequest: A parameter.
        NotFound: The caller does not see the Organization; or, for GET, nobody has asked for its queue.
        Forbidden: The caller does not register patients for it.
    """
    parameters.read(ctx, DEFINITION)
    await queueing.permit(ctx.repository, ctx.id)
    if ctx.request.method == "POST":
        job = await ctx.queue.enqueue(queueing.KIND, {"organization": ctx.id}, key=queueing.key(ctx.id))
        place = f"{ctx.base}/Organization/{ctx.id}/$match-queue"
        return FhirResponse(202, {"Content-Location": place}, _told(job))
    jobs = await ctx.queue.jobs(queueing.KIND, get_args(State), MOST)
    found = next((one for one in jobs if one.payload["organization"] == ctx.id), None)
    if found is None:
        raise NotFound(f"Nobody has filled the match queue of Organization/{ctx.id}. POST to this URL does.")
    return FhirResponse(200, {}, _told(found))


def _told(job: JobRecord) -> bytes:
    return json.encode(parameters.resource(_rows(job)))


def _rows(job: JobRecord) -> Iterator[tuple[str, str, Any]]:
    yield "job", "id", job.id
    yield "state", "code", job.state
    counts = {**job.progress, **job.result}
    for name in ("done", "new"):
        if name in counts:
            yield name, "unsignedInt", counts[name]


OPERATION = Operation(
    DEFINITION,
    answer,
    letters=("", ""),
    methods=("GET", "POST"),
    summary="Look for people who are registered at several facilities of a network; GET tells how far that is",
    success=((200, "Parameters with the last job."), (202, "Parameters with the job that is queued.")),
)
