"""match-queue: go through the Patients of the facilities of a network, and make Tasks of those who may be registered twice."""

import asyncio
import time
from collections.abc import Mapping
from typing import Any

from fhir_server.jobs import Job, Work, rest
from fhir_server.repository import queueing


async def run(work: Work) -> Mapping[str, Any]:
    """Return how many Patients were gone through, and how many Tasks are new.

    The payload names the Organization; the checkpoint holds the last Patient and the counts.
    """
    organization = str(work.record.payload["organization"])
    at: dict[str, Any] = {"after": "", "done": 0, "new": 0, **work.record.checkpoint}
    while True:
        began = time.monotonic()
        step = await queueing.step(work.repository(), organization, at["after"])
        if step is None:
            return {"done": at["done"], "new": at["new"]}
        at = {"after": step.last, "done": at["done"] + step.seen, "new": at["new"] + step.new}
        await work.save(at, {"done": at["done"], "new": at["new"]})
        await asyncio.sleep(rest(time.monotonic() - began, work.settings.reindex_share))


JOB = Job(queueing.KIND, run, limit=1)
