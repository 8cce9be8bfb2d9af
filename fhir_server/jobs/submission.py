"""bulk-submission: nothing to do. Its row is what says that a submission is completed or stopped (`operations.submissions`)."""

from collections.abc import Mapping
from typing import Any

from fhir_server.jobs import Job, Work
from fhir_server.loading.order import CLOSING


async def run(work: Work) -> Mapping[str, Any]:
    """Return what it became."""
    return {"status": work.record.payload["status"]}


JOB = Job(CLOSING, run)
