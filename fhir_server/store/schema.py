"""Which form of the stored record this code reads and writes, recorded in the database itself."""

from typing import Any

from pymongo.asynchronous.database import AsyncDatabase

from fhir_server.model.errors import Unavailable

VERSION = 1


async def check(database: AsyncDatabase[Any]) -> None:
    """Record the version in a new database; refuse one that newer code has written.

    Raises:
        Unavailable: The record has a newer form.
    """
    row = await database["meta"].find_one_and_update(
        {"_id": "schema"}, {"$setOnInsert": {"version": VERSION}}, upsert=True, return_document=True
    )
    if row is not None and row["version"] > VERSION:
        raise Unavailable(
            f"The record in database '{database.name}' has schema version {row['version']}; this program knows versions up to "
            f"{VERSION}. Start the release that wrote it, or a newer one."
        )
