"""What $bulk-submit and $bulk-submit-status share: the submissions of a caller, as the jobs tell of them.

A submission is nothing but the imports of its manifests, and the job that says that it is completed or stopped.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, get_args

from fhir_server.access.mandate import same
from fhir_server.context import Context
from fhir_server.loading.order import CLOSING, KIND
from fhir_server.model.errors import BadRequest
from fhir_server.model.queue import JobRecord, State

MOST = 1_000
"""Jobs of each kind that are looked through, the newest first."""


@dataclass(frozen=True, slots=True)
class Submission:
    """One submission.

    Attributes:
        key: Submitter and id.
        imports: The imports of its manifests, the newest first, without those that another one replaces.
        closed: `completed` or `stopped`, empty while more may come.
        began: Whether anything is known of it.
    """

    key: str
    imports: Sequence[JobRecord]
    closed: str
    began: bool


def key_of(submitter: dict[str, Any], submission_id: str) -> str:
    """Return what names a submission among those of a caller.

    Raises:
        BadRequest: The submitter has no value.
    """
    if not isinstance(submitter.get("value"), str):
        raise BadRequest("The submitter is an Identifier with a system and a value.", expression="http.submitter")
    return f"{submitter.get('system', '')}|{submitter['value']} {submission_id}"


async def found(ctx: Context, key: str) -> Submission:
    """Return a submission of the caller, as it is now."""
    imports = await _own(ctx, KIND, key)
    closings = await _own(ctx, CLOSING, key)
    replaced = {job.payload.get("replaces") for job in imports} - {"", None}
    return Submission(
        key,
        [job for job in imports if job.payload["manifest"] not in replaced],
        next((str(job.payload["status"]) for job in closings), ""),
        bool(imports or closings),
    )


async def _own(ctx: Context, kind: str, key: str) -> list[JobRecord]:
    jobs = await ctx.queue.jobs(kind, get_args(State), MOST)
    return [job for job in jobs if job.payload["submission"] == key and same(job.mandate, ctx.repository.scope)]
