"""$bulk-submit-status: how far a submission is, and what became of its manifests (Bulk Data Access, draft of version 4)."""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

from fhir_server.context import Context
from fhir_server.model import instant, json
from fhir_server.model.errors import BadRequest, NotFound
from fhir_server.model.request import FhirResponse
from fhir_server.operations import OWN, Operation, parameters, submissions
from fhir_server.operations.submissions import Submission
from profiles.definitions.model import OperationDefinition, OperationParameter

DEFINITION = OperationDefinition(
    url=f"{OWN}bulk-submit-status",
    code="bulk-submit-status",
    resource=(),
    system=True,
    type=False,
    instance=False,
    affects_state=False,
    parameters=(
        OperationParameter("submitter", "in", 0, 1, "Identifier"),
        OperationParameter("submissionId", "in", 0, 1, "string"),
        OperationParameter("_outputFormat", "in", 0, 1, "string"),
        OperationParameter("submission", "in", 0, 1, "string"),
    ),
)


async def status(ctx: Context) -> FhirResponse:
    """Return for POST 202 with the place to ask; there 202 until all is done, then 200 with what became of each manifest.

    Raises:
        BadRequest: No submission is named.
        NotFound: The caller has no such submission.
    """
    values = parameters.read(ctx, DEFINITION)
    if values["submission"]:
        known = await submissions.found(ctx, _key(values["submission"][0]))
    elif values["submitter"] and values["submissionId"]:
        known = await submissions.found(ctx, submissions.key_of(values["submitter"][0], values["submissionId"][0]))
    else:
        raise BadRequest("Say submitter and submissionId.", expression="http.submissionId")
    if not known.began:
        raise NotFound("There is no such submission of yours.", expression="http.submissionId")
    if ctx.request.method == "POST":
        token = urlsafe_b64encode(known.key.encode()).decode()
        location = f"{ctx.base}/$bulk-submit-status?submission={quote(token)}"
        return FhirResponse(202, {"Content-Location": location, "Retry-After": "1"})
    waiting = [job for job in known.imports if job.is_live]
    if waiting or not known.closed:
        told = f"{len(known.imports) - len(waiting)} of {len(known.imports)} manifests are imported"
        return FhirResponse(202, {"X-Progress": told, "Retry-After": "1"})
    moment = max((job.ended or job.created for job in known.imports), default=ctx.repository.store.clock.now())
    outcomes = [*_outcomes(ctx, known)]
    body = {
        "transactionTime": instant.text(moment),
        "request": f"{ctx.base}/$bulk-submit-status",
        "requiresAccessToken": ctx.settings.auth.mode != "open",
        "submissionId": known.key.partition(" ")[2],
        "output": [],
        "outcome": outcomes,
        "error": outcomes,
    }
    return FhirResponse(200, {"Content-Type": "application/json"}, json.encode(body))


def _outcomes(ctx: Context, known: Submission) -> Iterator[dict[str, Any]]:
    """Yield where it is told why lines were refused."""
    for job in reversed(known.imports):
        for row in job.result.get("outputs", ()):
            if row["name"]:
                yield {
                    "type": "OperationOutcome",
                    "url": f"{ctx.base}/$export-file?job={job.id}&name={quote(row['name'])}",
                    "manifestUrl": job.payload["manifest"],
                    "inputUrl": row["url"],
                    "count": row["refused"],
                    "countSeverity": [{"severity": "error", "count": row["refused"]}],
                }


def _key(token: str) -> str:
    try:
        return urlsafe_b64decode(token).decode()
    except ValueError:
        raise NotFound("There is no such submission of yours.", expression="http.submission") from None


OPERATION = Operation(
    DEFINITION,
    status,
    letters=("", ""),
    methods=("GET", "POST"),
    summary="How far a submission is, and what became of its manifests",
    success=(
        (200, "The submission is over: where it is told why lines were refused."),
        (202, "`Content-Location` tells where to ask, or `X-Progress` how far it is."),
    ),
    media=((200, "application/json"), (202, "")),
)
