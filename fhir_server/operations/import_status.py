"""$import-status: how far an import is, and what became of its files; with DELETE, stop it (docs/bulk-import.md)."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from fhir_server.access.mandate import same
from fhir_server.context import Context
from fhir_server.loading.order import FOLDER, KIND
from fhir_server.model import instant, json
from fhir_server.model.errors import NotFound
from fhir_server.model.outcome import outcome
from fhir_server.model.queue import JobRecord
from fhir_server.model.request import FhirResponse
from fhir_server.operations import OWN, Operation, parameters
from profiles.definitions.model import OperationDefinition, OperationParameter
from profiles.issue import Issue

DEFINITION = OperationDefinition(
    url=f"{OWN}import-status",
    code="import-status",
    resource=(),
    system=True,
    type=False,
    instance=False,
    affects_state=False,
    parameters=(OperationParameter("job", "in", 1, 1, "id"),),
)


async def status(ctx: Context) -> FhirResponse:
    """Return 202 while lines are stored, 200 with what became of the files when that is over; for DELETE 202, and then 404.

    Raises:
        NotFound: There is no such import of this caller, or it was stopped.
    """
    (job_id,) = parameters.read(ctx, DEFINITION)["job"]
    job = await ctx.queue.get(job_id)
    if job is None or job.kind != KIND or job.state == "cancelled" or not same(job.mandate, ctx.repository.scope):
        raise NotFound(f"There is no import {job_id} of yours.", expression="http.job")
    if ctx.request.method == "DELETE":
        await ctx.queue.cancel(job.id)
        await ctx.files.remove(f"{FOLDER}/{job.id}/")
        return FhirResponse(202)
    if job.is_live:
        return FhirResponse(202, {"X-Progress": progress(job), "Retry-After": "1"})
    if job.state == "failed":
        said = Issue("error", "exception", f"The import failed. {job.error}")
        return FhirResponse(500, {}, json.encode(outcome([said])), reports=True)
    body = {
        "transactionTime": instant.text(job.ended or job.created),
        "request": job.payload["request"],
        "requiresAccessToken": ctx.settings.auth.mode != "open",
        "output": [output(each) for each in job.result["outputs"]],
        "error": [row for each in job.result["outputs"] if (row := told(ctx, job, each))],
    }
    return FhirResponse(200, {"Content-Type": "application/json"}, json.encode(body))


def progress(job: JobRecord) -> str:
    """Return how far an import is, in a few words."""
    if not job.progress:
        return "queued"
    at = job.progress
    return f"{at['done']} stored, {at['refused']} refused; file {at['file']} of {at['files']}"


def output(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return what was stored of a file."""
    named = {"inputUrl": row["url"]} if row["url"] else {}
    return {**({"type": row["type"]} if row["type"] else {}), **named, "count": row["stored"]}


def told(ctx: Context, job: JobRecord, row: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return where it is told why lines of a file were refused, `None` where none was."""
    if not row["name"]:
        return None
    named = {"inputUrl": row["url"]} if row["url"] else {}
    url = f"{ctx.base}/$export-file?job={job.id}&name={quote(row['name'])}"
    return {"type": "OperationOutcome", **named, "count": row["refused"], "url": url}


OPERATION = Operation(
    DEFINITION,
    status,
    letters=("", ""),
    methods=("GET", "DELETE"),
    summary="How far an import is, and what became of its files; DELETE stops it",
    success=(
        (200, "What became of the files, and where it is told why lines were refused."),
        (
            202,
            "Lines are being stored; `X-Progress` tells how far that is. After DELETE: the import is no longer there.",
        ),
    ),
    media=((200, "application/json"), (202, "")),
)
