"""$bulk-submit: import the files that manifests of somebody else's export list (Bulk Data Access, draft of version 4)."""

from typing import Any

from fhir_server.context import Context
from fhir_server.loading.order import CLOSING, KIND, Order
from fhir_server.model import json
from fhir_server.model.errors import BadRequest, Unprocessable
from fhir_server.model.outcome import outcome
from fhir_server.model.queue import LIVE
from fhir_server.model.request import FhirResponse
from fhir_server.operations import OWN, Operation, parameters, submissions
from fhir_server.operations.import_data import FORMATS, HEADER, headers_of, refuse_people, refuse_url
from fhir_server.operations.submissions import Submission
from profiles.definitions.model import OperationDefinition, OperationParameter
from profiles.issue import Issue

STATUSES = frozenset({"in-progress", "completed", "stopped"})

_KEY = (OperationParameter("coding", "in", 0, 1, "Coding"), OperationParameter("value", "in", 0, 1, "string"))

DEFINITION = OperationDefinition(
    url=f"{OWN}bulk-submit",
    code="bulk-submit",
    resource=(),
    system=True,
    type=False,
    instance=False,
    affects_state=True,
    parameters=(
        OperationParameter("submitter", "in", 1, 1, "Identifier"),
        OperationParameter("submissionId", "in", 1, 1, "string"),
        OperationParameter("submissionStatus", "in", 0, 1, "Coding"),
        OperationParameter("manifestUrl", "in", 0, 1, "url"),
        OperationParameter("replacesManifestUrl", "in", 0, 1, "url"),
        OperationParameter("fhirBaseUrl", "in", 0, 1, "url"),
        OperationParameter("outputFormat", "in", 0, 1, "string"),
        OperationParameter("fileRequestHeader", "in", 0, None, "", parts=HEADER),
        OperationParameter("fileEncryptionKey", "in", 0, 1, "", parts=_KEY),
    ),
)


async def submit(ctx: Context) -> FhirResponse:
    """Return 200 when the submission is as it was asked for.

    Raises:
        BadRequest: Nothing is asked for, the submission is closed, or a manifest was submitted before or may not be fetched.
        Forbidden: Patients do not import.
        Unprocessable: Files are encrypted.
    """
    refuse_people(ctx)
    values = parameters.read(ctx, DEFINITION)
    key = submissions.key_of(values["submitter"][0], values["submissionId"][0])
    known = await submissions.found(ctx, key)
    status = next((str(one.get("code", "")) for one in values["submissionStatus"]), "")
    url = next(iter(values["manifestUrl"]), "")
    if known.closed:
        raise BadRequest(f"This submission is {known.closed}; begin another one.", expression="http.submissionId")
    if not status and not url:
        raise BadRequest("Say a submissionStatus, a manifestUrl or both.", expression="http.manifestUrl")
    if status and status not in STATUSES:
        raise BadRequest(
            f"'{status[:40]}' is no status of a submission. It is one of {', '.join(sorted(STATUSES))}.",
            expression="http.submissionStatus",
        )
    if url:
        await _queue(ctx, known, _order(ctx, values, key, url), next(iter(values["replacesManifestUrl"]), ""))
    if status == "stopped":
        for job in known.imports:
            await _give_up(ctx, job.id)
    if status in {"completed", "stopped"}:
        closing = {"submission": key, "status": status, "types": []}
        await ctx.queue.enqueue(CLOSING, closing, mandate=ctx.mandate())
    return FhirResponse(
        200, {}, json.encode(outcome([Issue("information", "informational", "The submission is noted.")]))
    )


def _order(ctx: Context, values: parameters.Values, key: str, url: str) -> Order:
    """Return the order to import what a manifest lists."""
    if not values["fhirBaseUrl"]:
        raise BadRequest("A manifestUrl comes with the fhirBaseUrl of its server.", expression="http.fhirBaseUrl")
    if values["fileEncryptionKey"]:
        raise Unprocessable(
            "Encrypted files are not read here. Submit files that are not encrypted; they are fetched by TLS.",
            expression="http.fileEncryptionKey",
        )
    media = next(iter(values["outputFormat"]), "")
    if media.replace(" ", "+") not in FORMATS:
        raise BadRequest(
            f"The outputFormat '{media[:60]}' is not read here; NDJSON is.", expression="http.outputFormat"
        )
    refuse_url(ctx, url, "http.manifestUrl")
    headers = headers_of(values)
    return Order(f"{ctx.base}/$bulk-submit", ctx.base, headers=headers, manifest=url, submission=key)


async def _queue(ctx: Context, known: Submission, order: Order, replaces: str) -> None:
    """Put the import of a manifest into the queue, in place of another one where it is to be.

    Raises:
        BadRequest: It was submitted before, or the other one was not.
    """
    urls = {job.payload["manifest"]: job for job in known.imports}
    if order.manifest in urls:
        raise BadRequest(
            "This manifest was submitted before. A changed one has another URL.", expression="http.manifestUrl"
        )
    if replaces and replaces not in urls:
        raise BadRequest("The manifest to be replaced was not submitted.", expression="http.replacesManifestUrl")
    payload: dict[str, Any] = {**order.payload(), "replaces": replaces}
    await ctx.queue.enqueue(KIND, payload, key=f"{order.submission} {order.manifest}", mandate=ctx.mandate())
    if replaces and urls[replaces].state in LIVE:
        await _give_up(ctx, urls[replaces].id)


async def _give_up(ctx: Context, job_id: str) -> None:
    """Fetch nothing more for an import; what it has stored stays."""
    await ctx.queue.cancel(job_id)


OPERATION = Operation(
    DEFINITION,
    submit,
    letters=("u",),
    methods=("POST",),
    summary="Import the files that a manifest lists",
    success=((200, "The submission is noted."),),
)
