"""Which types lag behind the extraction that a process has claimed."""

from typing import Any

import pytest
from pymongo.asynchronous.database import AsyncDatabase

from fhir_server.store.extraction import Extraction, Made

Database = AsyncDatabase[dict[str, Any]]


async def test_a_process_of_the_version_that_made_everything_lags_in_nothing(database: Database) -> None:
    extraction = Extraction(database)
    await extraction.note(6)
    await extraction.claim(6)
    assert not extraction.lags
    assert await extraction.lagging(["Patient"]) == []


@pytest.mark.parametrize("before", [None, 5, 7], ids=["nothing known", "older", "newer"])
async def test_a_process_of_another_version_lags_until_all_types_are_gone_through(
    database: Database, before: int | None
) -> None:
    extraction = Extraction(database)
    if before:
        await extraction.note(before)
    await extraction.claim(6)
    assert await extraction.lagging(["Patient", "Encounter"]) == ["Encounter", "Patient"]
    await extraction.note_type("Patient", 6)
    assert await extraction.lagging(["Patient", "Encounter"]) == ["Encounter"]
    await extraction.note(6)
    assert await extraction.lagging(["Patient", "Encounter"]) == []
    assert await extraction.made() == Made(6)


async def test_what_a_release_began_is_unknown_to_the_one_before_it_that_comes_back(database: Database) -> None:
    old, new = Extraction(database), Extraction(database)
    await old.note(6)
    await new.claim(7)
    await new.note_type("Patient", 7)
    await old.claim(6)
    assert await old.lagging(["Patient", "Encounter"]) == ["Encounter", "Patient"]
    assert await new.lagging(["Patient"]) == ["Patient"], "the older release may write Patients from now on"


async def test_a_transaction_is_told_what_it_sees(database: Database) -> None:
    extraction = Extraction(database)
    await extraction.note(5)
    await extraction.claim(6)
    async with database.client.start_session() as session, await session.start_transaction():
        assert await extraction.lagging(["Patient"], session) == ["Patient"]
        await Extraction(database).note(6)
        assert await extraction.lagging(["Patient"]) == []
        assert await extraction.lagging(["Patient"], session) == ["Patient"], "entries made since are not seen here"
