"""Compiled queries as the commands that run them."""

from collections.abc import Mapping
from typing import Any

from fhir_server.model.query import Query


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
