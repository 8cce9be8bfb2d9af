"""References that lead nowhere: literal local references of live resources whose target is not there."""

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

from pymongo.asynchronous.database import AsyncDatabase

from fhir_server.store.integrity import Flaw

BATCH = 500


async def dangling(database: AsyncDatabase[Any], resource_type: str, sample: int | None) -> AsyncIterator[Flaw]:
    """Yield the references of a type's resources that lead to no live resource.

    A write that goes on meanwhile may be told wrongly; what a second look tells too is true.

    Args:
        database: The record.
        resource_type: Type of the resources that refer.
        sample: How many of them to look at, chosen at random; `None` for all.
    """
    pipeline: list[Mapping[str, Any]] = [{"$match": {"rf": {"$exists": True}}}, {"$project": {"rf": 1}}]
    if sample is not None:
        pipeline.insert(0, {"$sample": {"size": sample}})
    documents = await database[resource_type].aggregate(pipeline)
    batch: list[Mapping[str, Any]] = []
    async for document in documents:
        batch.append(document)
        if len(batch) == BATCH:
            async for flaw in _missing(database, resource_type, batch):
                yield flaw
            batch = []
    async for flaw in _missing(database, resource_type, batch):
        yield flaw


async def _missing(
    database: AsyncDatabase[Any], resource_type: str, documents: Sequence[Mapping[str, Any]]
) -> AsyncIterator[Flaw]:
    wanted: dict[str, set[str]] = {}
    for document in documents:
        for reference in document["rf"]:
            target, _, target_id = reference.partition("/")
            wanted.setdefault(target, set()).add(target_id)
    there: set[str] = set()
    for target, ids in wanted.items():
        there |= {
            f"{target}/{row['_id']}" async for row in database[target].find({"_id": {"$in": list(ids)}}, {"_id": 1})
        }
    for document in documents:
        gone = [reference for reference in document["rf"] if reference not in there]
        if gone:
            yield Flaw(f"{resource_type}/{document['_id']}", f"it refers to {', '.join(gone[:3])}, which is not there")
