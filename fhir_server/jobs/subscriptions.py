"""subscriptions: tell subscribers what happens; there always is one such job, in one process at a time (docs/subscriptions.md)."""

from collections.abc import Mapping
from typing import Any

from fhir_server.jobs import Job, Work

KIND = "subscriptions"


async def run(work: Work) -> Mapping[str, Any]:
    """Serve all Subscriptions until it is cancelled. Where it goes on, the record says (`store.subscriptions`)."""
    await work.notify()
    return {}


JOB = Job(KIND, run, limit=1, standing=True)
