"""Numbers in `meta` that every change of something raises, so that processes see with one small question that it has changed."""

from typing import Any

from pymongo.asynchronous.collection import AsyncCollection
from pymongo.errors import PyMongoError

from fhir_server.store import failures


async def version(meta: AsyncCollection[Any], key: str) -> int:
    """Return the number of now, 0 where nothing was changed yet.

    Raises:
        Unavailable: The database cannot be reached.
    """
    try:
        row = await meta.find_one({"_id": key}, {"version": 1})
    except PyMongoError as error:
        raise failures.expected(error) from error
    return int(row["version"]) if row else 0
