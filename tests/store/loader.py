"""A process that loads, or deletes, a nomenclature and says how far it is, until it is killed: `python -m tests.store.loader`."""

import asyncio
import sys
from typing import Any

from pymongo import AsyncMongoClient

from fhir_server.store import concepts as deleting
from fhir_server.store import loading
from fhir_server.store.concepts import Concepts
from fhir_server.store.loading import Progress
from loadtests import nomenclature

BATCH = 200


async def main(what: str, url: str, database: str, count: int) -> None:
    """Do it."""
    async with AsyncMongoClient[dict[str, Any]](url) as client:
        concepts = Concepts(client[database])
        if what == "load":
            await concepts.load(nomenclature.release(count), told)
        else:
            for row in await concepts.rows():
                await concepts.drop(row)
            tell("dropped")
            await concepts.sweep(0)
    tell("done")


def told(progress: Progress) -> None:
    """Print progress."""
    tell(f"{progress.stage} {progress.done}")


def tell(text: str) -> None:
    """Print a line at once."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    loading.BATCH, loading.PIECE_BATCH, deleting.AT_ONCE = BATCH, 3, BATCH
    asyncio.run(main(sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4])))
