"""sweep: remove the files of jobs that nobody can ask for any more (docs/bulk-files.md). One process of all does so, all the time."""

import asyncio
from collections.abc import Mapping
from typing import Any

from fhir_server.bulk import expiry
from fhir_server.jobs import Job, Work

PAUSE = 300.0
"""Seconds from one look to the next."""


async def run(work: Work) -> Mapping[str, Any]:
    """Look again and again; it does not return."""
    removed = 0
    while True:
        store = work.repository().store
        removed += await expiry.sweep(work.files, store.jobs, work.hours, store.clock.now())
        await work.save({}, {"removed": removed})
        await asyncio.sleep(PAUSE)


JOB = Job("sweep", run, standing=True)
