"""A backup is taken all the same where the audit trail cannot tell of it. The rest is in `tests/chaos/test_backup.py`."""

from typing import Any

import pytest
from pymongo.asynchronous.database import AsyncDatabase

from fhir_server.audit.codes import BACKUP
from fhir_server.cli.backup import _note
from fhir_server.settings import Auth, Settings
from fhir_server.store.trail import EVENTS, audit_database

Database = AsyncDatabase[dict[str, Any]]


async def test_a_trail_that_takes_no_rows_keeps_nobody_from_a_backup(
    settings: Settings, database: Database, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = settings.model_copy(update={"auth": Auth(mode="smart")})
    audit = database.client[audit_database(database.name)]
    await audit.create_collection(EVENTS, validator={"never": {"$exists": True}})
    await _note(database.client, settings, BACKUP, file="f")
    assert "does not tell of this backup" in " ".join(capsys.readouterr().err.split())
    assert await audit[EVENTS].count_documents({}) == 0
    await audit.command("collMod", EVENTS, validator={})
    await _note(database.client, settings, BACKUP, file="f")
    assert not capsys.readouterr().err
    assert [row["x"] async for row in audit[EVENTS].find()] == [{"file": "f"}]
