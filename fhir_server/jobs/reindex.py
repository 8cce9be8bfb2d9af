"""reindex: go through stored resources, make their index entries again, and make added search parameters active by it.

It is done beside the writers, in batches with rests between them. It changes nothing but index entries, and those only where
they are not what they should be: no version, no `lastUpdated`, not a byte of the resource.
"""

import asyncio
import time
from collections.abc import Mapping
from typing import Any

from fhir_server.jobs import Job, Work, rest
from fhir_server.repository.reindexing import Reindexing, Step
from fhir_server.search import backfill

LIVE, PAST = 0, 2
"""Parts of the work: what is there; what contains it; what was there."""

Stretch = tuple[int, str, str]


async def run(work: Work) -> Mapping[str, Any]:
    """Return how many resources were seen and changed, and which search parameters became active.

    The payload is that of `search.backfill`: of its types all resources are gone through, and of others those that contain
    one of them. The checkpoint holds the version of the register that all writes keep to, that of
    the extraction, the stretch that is gone through (all of a type, what of a type contains another one, or its superseded versions) with the last place
    seen, and the counts.
    """
    payload, reindexing = work.record.payload, work.reindexing
    wanted, parameters = payload["types"], payload["parameters"]
    if parameters and not await reindexing.awaited(parameters):
        return {"done": 0, "changed": 0, "active": []}
    at = dict(work.record.checkpoint)
    types = await reindexing.types(wanted)
    if at.get("extraction") != reindexing.extraction:  # what another release has done is done again
        at = {
            "version": await reindexing.settled(),
            "extraction": reindexing.extraction,
            "stretch": [],
            "after": "",
            "done": 0,
            "changed": 0,
            "total": await reindexing.total(types),
        }
        await work.save(at, _progress(at))
    stretches = [(name, "") for name in types], await reindexing.holding(wanted), [(name, "") for name in types]
    for part, (name, held) in ((part, each) for part, several in enumerate(stretches) for each in several):
        stretch = (part, name, held)
        if stretch < tuple(at["stretch"]):
            continue
        after = at["after"] if stretch == tuple(at["stretch"]) else ""
        began = time.monotonic()
        while step := await _step(reindexing, stretch, after, whole=not parameters):
            after = step.last
            done, changed = at["done"] + step.seen, at["changed"] + step.changed
            at = {**at, "stretch": [*stretch], "after": after, "done": done, "changed": changed}
            await work.save(at, _progress(at))
            await asyncio.sleep(rest(time.monotonic() - began, work.settings.reindex_share))
            began = time.monotonic()
        if part == LIVE:
            await reindexing.gone_through(name)
    active = await reindexing.complete(wanted, at["version"])
    return {"done": at["done"], "changed": at["changed"], "active": active}


async def _step(reindexing: Reindexing, stretch: Stretch, after: str, *, whole: bool) -> Step | None:
    part, name, held = stretch
    if part == PAST:
        return await reindexing.step_past(name, after, whole=whole)
    return await (reindexing.step_inside(name, held, after) if held else reindexing.step(name, after))


def _progress(at: Mapping[str, Any]) -> dict[str, Any]:
    _, name, _ = at["stretch"] or (0, "", "")
    return {"type": name, "done": at["done"], "total": max(at["total"], at["done"]), "changed": at["changed"]}


JOB = Job(backfill.KIND, run, limit=1)
