"""Which form of the stored record this code reads and writes, recorded in the database itself, and whether it is whole."""

from typing import Any

from pymongo.asynchronous.database import AsyncDatabase

from fhir_server.model.errors import Unavailable
from fhir_server.store.migrations import FIRST, META, ROW, STEPS, migrate

MARK = "restoring"
VERSION = max((step.to for step in STEPS), default=FIRST)


async def check(database: AsyncDatabase[Any]) -> None:
    """Bring the record to this version, a new one too; refuse one that newer code has written, or that was restored in part.

    Raises:
        Unavailable: The record has a newer form, or is not whole.
    """
    await refuse_restored(database)
    row = await database[META].find_one_and_update(
        {"_id": ROW}, {"$setOnInsert": {"version": FIRST}}, upsert=True, return_document=True
    )
    # Again, for who restores says so first and then looks whether the record is empty.
    await refuse_restored(database)
    version = row["version"] if row is not None else FIRST
    refuse_newer(database, version)
    await migrate(database, version)


async def version_of(database: AsyncDatabase[Any]) -> int | None:
    """Return the schema version of a record, `None` where there is no record."""
    row = await database[META].find_one({"_id": ROW})
    return int(row["version"]) if row else None


def refuse_newer(database: AsyncDatabase[Any], version: int) -> None:
    """Return when this code knows the version.

    Raises:
        Unavailable: It does not.
    """
    if version > VERSION:
        raise Unavailable(
            f"The record in database '{database.name}' has schema version {version}; this program knows versions up to "
            f"{VERSION}. Start the release that wrote it, or a newer one."
        )


async def restoring(database: AsyncDatabase[Any]) -> str:
    """Return the id of the backup that this database is being restored from, or was when that was cut off; else nothing."""
    row = await database[META].find_one({"_id": MARK})
    return str(row["backup"]) if row else ""


async def refuse_restored(database: AsyncDatabase[Any]) -> None:
    """Return when the record is whole.

    Raises:
        Unavailable: It is restored in part only.
    """
    if await restoring(database):
        raise Unavailable(
            f"The record in database '{database.name}' is being restored, or its restore was cut off; nothing is served of it. "
            "Wait for `fhir-server restore`, or run it again with the same file."
        )
