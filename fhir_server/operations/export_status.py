"""$export-status: how far a bulk export is, and its manifest when it is complete; DELETE stops it or gives up its files."""

from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Any

from msgspec import structs

from fhir_server.bulk import task
from fhir_server.bulk.manifest import manifest
from fhir_server.bulk.task import Output, Task
from fhir_server.context import Context
from fhir_server.model import instant, json
from fhir_server.model.outcome import outcome
from fhir_server.model.queue import JobRecord
from fhir_server.model.request import FhirResponse
from fhir_server.operations import OWN, Operation, exporting, parameters
from profiles.definitions.model import OperationDefinition, OperationParameter
from profiles.issue import Issue

FILES = 10
"""Files of a page of a manifest that is handed out while others are made."""

DEFINITION = OperationDefinition(
    url=f"{OWN}export-status",
    code="export-status",
    resource=(),
    system=True,
    type=False,
    instance=False,
    affects_state=False,
    parameters=(
        OperationParameter("job", "in", 1, 1, "id"),
        OperationParameter("page", "in", 0, 1, "positiveInt"),
        OperationParameter("separate", "in", 0, 1, "boolean"),
    ),
)


async def status(ctx: Context) -> FhirResponse:
    """Return 202 while files are made, 200 with the manifest when all are there; for DELETE 202, and then 404.

    Raises:
        NotFound: There is no such export of this caller: stopped, given up, or older than its files are kept.
    """
    asked = parameters.read(ctx, DEFINITION)
    job = await exporting.own(ctx, asked["job"][0])
    if ctx.request.method == "DELETE":
        return await _stopped(ctx, job)
    answer = await _told(ctx, job, asked["page"][0] if asked["page"] else 1)
    if not any(asked["separate"]):
        return answer
    phrase = f"{answer.status} {HTTPStatus(answer.status).phrase}"
    return structs.replace(answer, status=200, headers={**answer.headers, "X-Export-Status": phrase})


async def _told(ctx: Context, job: JobRecord, page: int) -> FhirResponse:
    """Return what there is to tell of an export, as the status of its own."""
    if job.state == "failed":
        said = Issue("error", "exception", f"The export failed. {job.error}")
        return FhirResponse(500, {}, json.encode(outcome([said])), reports=True)
    wanted = Task.of(job.payload)
    going = {"X-Progress": _progress(job), "Retry-After": exporting.RETRY_AFTER}
    if job.is_live:
        if not (wanted.partial and job.checkpoint):
            return FhirResponse(202, going)
        told = _page(ctx, job, wanted, page)
        if told is None:
            return FhirResponse(202, going)
        status = 200 if "link" in told else 202
        return FhirResponse(status, {**going, "Content-Type": "application/json"}, json.encode(told))
    if await ctx.files.stat(task.path(job.id, task.MANIFEST)) is None:
        raise exporting.absent(job.id)
    if wanted.partial:
        body = json.encode(_page(ctx, job, wanted, page))
    else:
        body = b"".join([part async for part in ctx.files.read(task.path(job.id, task.MANIFEST))])
    expires = (job.ended or job.created) + timedelta(hours=ctx.settings.bulk.hours)
    return FhirResponse(200, {"Content-Type": "application/json", "Expires": instant.http_date(expires)}, body)


def _page(ctx: Context, job: JobRecord, wanted: Task, page: int) -> dict[str, Any] | None:
    """Return a page of the manifest of an export under way, `None` where it is not full yet; once shown it stays the same."""
    known = job.checkpoint if job.is_live else job.result
    outputs = [Output.of(row) for row in known["outputs"]]
    shown = outputs[(page - 1) * FILES : page * FILES]
    if job.is_live and len(shown) < FILES:
        return None
    moment = datetime.fromisoformat(known["moment"])
    told = manifest(wanted, job.id, moment, shown, token=job.mandate["audience"] != "server")
    if len(outputs) >= (page + 1) * FILES or (not job.is_live and len(outputs) > page * FILES):
        told["link"] = [{"relation": "next", "url": f"{ctx.base}/$export-status?job={job.id}&page={page + 1}"}]
    return told


async def _stopped(ctx: Context, job: JobRecord) -> FhirResponse:
    """Stop what is under way, and remove the files; without its manifest there is no export."""
    if job.state == "done" and await ctx.files.stat(task.path(job.id, task.MANIFEST)) is None:
        raise exporting.absent(job.id)
    await ctx.queue.cancel(job.id)
    await ctx.files.remove(f"{task.FOLDER}/{job.id}/")
    return FhirResponse(202)


def _progress(job: JobRecord) -> str:
    if not job.progress:
        return "queued"
    told = job.progress
    return f"{told['done']} resources; type {told['type']} of {told['types']}"


OPERATION = Operation(
    DEFINITION,
    status,
    letters=("", ""),
    methods=("GET", "DELETE"),
    summary="How far an export is, and its manifest; DELETE stops it and removes its files",
    success=(
        (200, "The manifest: where the files are."),
        (202, "Files are being made; `X-Progress` tells how far that is. After DELETE: the export is no longer there."),
    ),
    media=((200, "application/json"), (202, "")),
)
