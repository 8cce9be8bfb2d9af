"""Compiled queries as the commands that run them."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from pymongo.asynchronous.database import AsyncDatabase

from fhir_server.model.query import Query
from fhir_server.store import direct


def find(query: Query, projection: Mapping[str, Any]) -> dict[str, Any]:
    """Return the find command for a query whose sort keys are stored."""
    command: dict[str, Any] = {
        "find": query.resource_type,
        "filter": query.where.clause,
        "projection": projection,
        "limit": query.limit,
        # One more than can come, so that the answer is complete and the cursor closed.
        "batchSize": query.limit + 1,
    }
    if query.sort:
        command["sort"] = dict(query.sort)
    if query.hint:
        command["hint"] = query.hint
    return command


async def united(
    database: AsyncDatabase[Any], types: Sequence[str], where_of: Callable[[str], Mapping[str, Any]], limit: int = 0
) -> Sequence[Mapping[str, Any]]:
    """Return type (`t`) and `_id` of one resource of each type that fits its filter, as far as there is one; asked as one question.

    Args:
        database: Of the record.
        types: Where to look; R4 has 146, and a pipeline may have 1,000 stages.
        where_of: Filter of a type.
        limit: How many are enough, 0 for all.

    Raises:
        PyMongoError: As the driver does.
    """
    if not types:
        return []
    (first, start), *others = (
        (name, [{"$match": where_of(name)}, {"$limit": 1}, {"$project": {"t": {"$literal": name}}}]) for name in types
    )
    stages = [*start, *({"$unionWith": {"coll": name, "pipeline": branch}} for name, branch in others)]
    most = [{"$limit": limit}] if limit else []
    command = {"aggregate": first, "pipeline": [*stages, *most], "cursor": {"batchSize": len(types) + 1}}
    reply = await direct.ask(database, {**command, "readConcern": {"level": "majority"}})
    rows: Sequence[Mapping[str, Any]] = reply["cursor"]["firstBatch"]
    return rows


def pipeline(query: Query, projection: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the pipeline for a query whose sort keys are computed."""
    return [
        {"$match": query.where.clause},
        {"$set": query.computed},
        {"$match": query.after},
        {"$sort": dict(query.sort)},
        {"$limit": query.limit},
        {"$project": projection},
    ]
