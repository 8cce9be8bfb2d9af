"""validate: go through what is stored and count what is wrong with it (docs/validation.md).

It is done beside the writers, in batches with rests between them, and changes nothing. The checkpoint holds the packages that
it goes by, the type and the last place seen, and the counts; where other packages are installed meanwhile it begins anew.
"""

import asyncio
import time
from collections.abc import Mapping
from typing import Any

from fhir_server.jobs import Job, Work, rest
from fhir_server.repository import surveying
from fhir_server.repository.surveying import Tally, Task

SAVING = 1.0
"""Seconds after which the counts are noted: they may be half a megabyte."""


async def run(work: Work) -> Mapping[str, Any]:
    """Return the counts: resources gone through, those with errors, and each kind of finding; and the packages gone by."""
    task = Task.of(work.record.payload)
    await work.renew()
    repository = work.repository()
    packages = [*repository.checks.library.packages]
    types = await surveying.types(repository, task)
    at = dict(work.record.checkpoint)
    if at.get("packages") != packages:
        at = {"packages": packages, "type": "", "after": "", "total": await surveying.total(repository, types)}
    tally = Tally.of(at["tally"]) if "tally" in at else Tally()
    saved = 0.0
    for name in types:
        if name < at["type"]:
            continue
        after = at["after"] if name == at["type"] else ""

        def note(resource_id: str, found: list[Any], name: str = name) -> None:
            tally.add(name, resource_id, found, task.examples)

        began = time.monotonic()
        while after := await surveying.step(repository, task, name, after, note):
            at |= {"type": name, "after": after}
            if time.monotonic() - saved > SAVING:
                await work.save({**at, "tally": tally.plain()}, _progress(at, tally))
                saved = time.monotonic()
            await asyncio.sleep(rest(time.monotonic() - began, work.settings.validation_share))
            began = time.monotonic()
    return {**tally.plain(), "packages": packages}


def _progress(at: Mapping[str, Any], tally: Tally) -> dict[str, Any]:
    total = max(at["total"], tally.done)
    return {"type": at["type"], "done": tally.done, "total": total, "failing": tally.failing}


JOB = Job(surveying.KIND, run, limit=1)
