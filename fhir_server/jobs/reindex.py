"""reindex: go through stored resources, make their index entries again, and make added search parameters active by it.

It is done beside the writers, in batches with rests between them. It changes nothing but index entries, and those only where
they are not what they should be: no version, no `lastUpdated`, not a byte of the resource.
"""

import asyncio
import time
from collections.abc import Mapping
from typing import Any

from fhir_server.jobs import Job, Work
from fhir_server.search import backfill

LONGEST_REST = 10.0


async def run(work: Work) -> Mapping[str, Any]:
    """Return how many resources were seen and changed, and which search parameters became active.

    The payload is that of `search.backfill`. The checkpoint holds the version of the register that all writes keep to, that of
    the extraction, the type that is gone through with the last id seen, and the counts.
    """
    payload, reindexing = work.record.payload, work.reindexing
    wanted, parameters = payload["types"], payload["parameters"]
    if parameters and not await reindexing.awaited(parameters):
        return {"done": 0, "changed": 0, "active": []}
    at = dict(work.record.checkpoint)
    types = await reindexing.types(wanted)
    if at.get("extraction") != reindexing.extraction:  # what another release has done is done again
        version = await reindexing.settled()
        total = await reindexing.total(types)
        at = {
            "version": version,
            "extraction": reindexing.extraction,
            "type": "",
            "after": "",
            "done": 0,
            "changed": 0,
            "total": total,
        }
        await work.save(at, _progress(at))
    for name in types:
        if name < at["type"]:
            continue
        after = at["after"] if name == at["type"] else ""
        began = time.monotonic()
        while step := await reindexing.step(name, after):
            after = step.last
            done, changed = at["done"] + step.seen, at["changed"] + step.changed
            at = {**at, "type": name, "after": after, "done": done, "changed": changed}
            await work.save(at, _progress(at))
            await asyncio.sleep(_rest(time.monotonic() - began, work.settings.reindex_share))
            began = time.monotonic()
        await reindexing.gone_through(name)
    active = await reindexing.complete(wanted, at["version"])
    return {"done": at["done"], "changed": at["changed"], "active": active}


def _progress(at: Mapping[str, Any]) -> dict[str, Any]:
    return {"type": at["type"], "done": at["done"], "total": max(at["total"], at["done"]), "changed": at["changed"]}


def _rest(spent: float, share: float) -> float:
    """Return how long to rest after work so that it takes its share of the time: the busier the database, the longer."""
    return min(spent * (1 / share - 1), LONGEST_REST)


JOB = Job(backfill.KIND, run, limit=1)
