"""Housekeeping beside the requests: once a day one process of all looks for what crashes left, and removes it."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import structlog
from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import PyMongoError

from fhir_server.model.errors import FhirError
from fhir_server.store.blobs import Blobs
from fhir_server.store.concepts import Concepts
from fhir_server.store.files import GridFiles

ROW = "upkeep"
EVERY = timedelta(days=1)
LOOK_SECONDS = 3600
"""Pause between two looks whether it is time."""


async def keep(database: AsyncDatabase[Any], blobs: Blobs, files: GridFiles, concepts: Concepts) -> None:
    """Do the housekeeping whenever it is due, until cancelled; a sick database is left for the next look."""
    log = structlog.get_logger("fhir_server.store")
    while True:
        try:
            if await claim(database):
                if removed := await blobs.sweep():
                    log.info("orphaned_files_removed", count=removed)
                if removed := await files.sweep():
                    log.info("unfinished_files_removed", count=removed)
                if removed := await concepts.sweep():
                    log.info("dropped_code_systems_removed", count=removed)
        except (PyMongoError, FhirError) as error:
            log.warning("upkeep_failed", error=type(error).__name__)
        await asyncio.sleep(LOOK_SECONDS)


async def claim(database: AsyncDatabase[Any]) -> bool:
    """Return whether the housekeeping is due and this process the one to do it; time is the database's."""
    rows = database["meta"]
    await rows.update_one({"_id": ROW}, {"$setOnInsert": {"at": datetime.fromtimestamp(0, UTC)}}, upsert=True)
    before = {"$subtract": ["$$NOW", int(EVERY.total_seconds() * 1000)]}
    done = await rows.update_one({"_id": ROW, "$expr": {"$lt": ["$at", before]}}, [{"$set": {"at": "$$NOW"}}])
    return done.modified_count == 1
