"""The key that seals paging links: made once, the same for every process on this record."""

import secrets
from typing import Any

from bson import Binary
from pymongo.asynchronous.database import AsyncDatabase


async def key(database: AsyncDatabase[Any]) -> bytes:
    """Return the key, 32 bytes; the first who asks makes it."""
    row: Any = await database["meta"].find_one_and_update(
        {"_id": "seal"}, {"$setOnInsert": {"key": Binary(secrets.token_bytes(32))}}, upsert=True, return_document=True
    )
    return bytes(row["key"])
