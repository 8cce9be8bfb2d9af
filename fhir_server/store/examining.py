"""How the database runs a query: which index, and how much of it, by its own account (`explain`)."""

from collections.abc import Iterator, Mapping
from typing import Any

from msgspec.structs import replace
from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import PyMongoError

from fhir_server.model.query import Examined, Query
from fhir_server.store import failures
from fhir_server.store.commands import find, pipeline

SCAN = "COLLSCAN"
ALL = "none, every document was looked at"
NOTHING = "none was needed"


async def examine(database: AsyncDatabase[Any], query: Query, time_limit_ms: int) -> list[Examined]:
    """Run a query once more and return what the database did for it, and for what followed it.

    Raises:
        TooCostly: The time limit was reached.
        Unavailable: The database cannot be reached.
    """
    if query.where.kind == "nothing":
        return [Examined(query.resource_type, NOTHING, 0, 0, 0, 0)]
    asked = _command(query)
    command = {"explain": asked, "verbosity": "executionStats", "maxTimeMS": time_limit_ms}
    try:
        answer = await database.command(command)
    except PyMongoError as error:
        raise failures.expected(error) from error
    stats: Mapping[str, Any] = next(_named(answer, "executionStats"), {})
    plan: Mapping[str, Any] = next(_named(answer, "winningPlan"), {})
    indexes = sorted({*_named(plan, "indexName"), *({ALL} if SCAN in _named(plan, "stage") else ())})
    found = int(stats.get("nReturned", 0))
    done = Examined(
        query.resource_type,
        ", ".join(indexes) or NOTHING,
        int(stats.get("totalKeysExamined", 0)),
        int(stats.get("totalDocsExamined", 0)),
        min(found, query.limit),
        int(stats.get("executionTimeMillis", 0)),
    )
    if query.then is None or done.returned >= query.limit:
        return [done]
    rest = replace(query.then, limit=query.limit - done.returned)
    return [done, *await examine(database, rest, time_limit_ms)]


def _command(query: Query) -> dict[str, Any]:
    projection = dict.fromkeys(("_id", *query.fields), 1)
    if not query.computed:
        return find(query, projection)
    options = {"hint": query.hint} if query.hint else {}
    return {"aggregate": query.resource_type, "pipeline": pipeline(query, projection), "cursor": {}, **options}


def _named(value: Any, name: str) -> Iterator[Any]:
    """Yield what stands under a name, wherever that is, the outermost first."""
    if isinstance(value, Mapping):
        if name in value:
            yield value[name]
        for child in value.values():
            yield from _named(child, name)
    elif isinstance(value, list):
        for child in value:
            yield from _named(child, name)
