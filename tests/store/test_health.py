"""The doctor's findings, each on a record that has the illness."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from bson import ObjectId
from pydantic import SecretStr
from pymongo.asynchronous.database import AsyncDatabase

from fhir_server.model import json
from fhir_server.settings import Mongo, Settings
from fhir_server.store.client import connect
from fhir_server.store.codecs import encode
from fhir_server.store.embedded import embedded
from fhir_server.store.health import Finding, findings
from fhir_server.store.integrity import flaws

Database = AsyncDatabase[dict[str, Any]]


@pytest_asyncio.fixture(loop_scope="session")
async def joined(settings: Settings, database: Database) -> AsyncIterator[Database]:
    """The record as the application's user sees it."""
    async with embedded(settings) as connection, connect(connection.url, settings) as client:
        yield client[settings.mongo.database]


async def examine(database: Database, settings: Settings) -> list[Finding]:
    return await findings(database.client, settings)


def about(found: list[Finding], words: str) -> Finding:
    """Return the one finding that has these words."""
    (finding,) = [finding for finding in found if words in finding.text]
    return finding


def live(resource_id: str, vid: int, resource: dict[str, Any]) -> Any:
    return encode({"_id": resource_id, "v": vid, "r": resource, "j": json.encode(resource)})


async def test_a_sound_record_has_no_errors(joined: Database, settings: Settings) -> None:
    await joined.Patient.insert_one(live("1", 1, {"resourceType": "Patient", "id": "1"}))
    found = await examine(joined, settings)
    assert not [finding for finding in found if finding.level == "error"]
    assert about(found, "forms and versions").level == "ok"
    assert about(found, "clocks").level == "ok"
    assert all(finding.remedy for finding in found if finding.level != "ok")


async def test_a_mongodb_past_its_support_is_a_warning(joined: Database, settings: Settings) -> None:
    finding = about(await examine(joined, settings), "MongoDB 6.0")
    assert finding.level == "warning"
    assert "no security fixes since July 2025" in finding.text
    assert "FHIR_MONGO__URL" in finding.remedy


async def test_a_single_member_elsewhere_is_a_warning(mongo_url: SecretStr, database: Database, tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path, mongo=Mongo(url=mongo_url, database=database.name))
    assert about(await examine(database, settings), "one member").level == "warning"


async def test_an_unreachable_database_is_an_error(tmp_path: Path) -> None:
    where = SecretStr(f"mongodb://{str(tmp_path).replace('/', '%2F')}%2Fno.sock/?serverSelectionTimeoutMS=100")
    settings = Settings(data_dir=tmp_path, mongo=Mongo(url=where))
    async with connect(where, settings) as client:
        (finding,) = await findings(client, settings)
    assert finding.level == "error"
    assert "cannot be reached" in finding.text


async def test_a_newer_schema_is_an_error(joined: Database, settings: Settings) -> None:
    await joined.meta.insert_one({"_id": "schema", "version": 99})
    finding = about(await examine(joined, settings), "schema version 99")
    assert finding.level == "error"
    assert "newer" in finding.remedy


async def test_orphaned_files_and_stale_locks_are_warnings(joined: Database, settings: Settings) -> None:
    old = datetime.now(UTC) - timedelta(hours=3)
    orphan, used = ObjectId.from_datetime(old), ObjectId.from_datetime(old - timedelta(seconds=1))
    await joined["blobs.files"].insert_many([{"_id": orphan}, {"_id": used, "filename": "1"}])
    await joined.Binary_h.insert_one({"_id": "1/00000001", "jb": used})
    await joined.lk.insert_one({"_id": "Patient?identifier=x", "at": old})
    found = await examine(joined, settings)
    assert about(found, "1 files of large content belong to no resource").level == "warning"
    assert about(found, "1 locks of conditional creates").level == "warning"
    mended = await findings(joined.client, settings, mend=True)
    assert about(mended, "removed 1 files of large content").level == "ok"
    assert about(mended, "no orphaned files").level == "ok"
    assert await joined["blobs.files"].distinct("_id") == [used]


async def test_files_that_others_may_read_are_an_error(joined: Database, settings: Settings) -> None:
    secret = settings.data_dir / "secrets" / "mongo.json"
    secret.chmod(0o640)
    try:
        finding = about(await examine(joined, settings), "others may read")
    finally:
        secret.chmod(0o600)
    assert finding.level == "error"
    assert finding.remedy == f"chmod -R go= {settings.data_dir}"


@pytest.mark.parametrize("number", ["1.00", "-0.0", "1E+3", "92233720368547758080"])
async def test_both_forms_agree_to_the_last_digit(joined: Database, number: str) -> None:
    resource = json.decode(
        b'{"resourceType":"Observation","id":"1","valueQuantity":{"value":' + number.encode() + b"}}"
    )
    await joined.Observation.insert_one(live("1", 1, resource))
    assert [flaw async for flaw in flaws(joined, "Observation", None)] == []


async def test_forms_that_differ_are_an_error(joined: Database, settings: Settings) -> None:
    document = {"_id": "1", "v": 1, "r": {"value": json.decode(b"1.0")}, "j": b'{"value":1.00}'}
    await joined.Observation.insert_one(encode(document))
    finding = about(await examine(joined, settings), "Observation/1")
    assert finding == Finding(
        "error",
        "Observation/1: the native form and the JSON form differ",
        "Restore it from a backup, or write it again",
    )


async def test_gaps_in_versions_are_found(joined: Database) -> None:
    await joined.Patient.insert_many([live("a", 1, {}), live("b", 3, {}), live("c", 4, {})])
    rows = [("b", 1, False), ("b", 2, False), ("b", 3, False), ("c", 1, False), ("c", 3, False)]  # b/3: a crash's copy
    rows += [("d", 1, False), ("d", 2, True), ("e", 1, False), ("f", 1, False), ("f", 3, True)]
    await joined.Patient_h.insert_many(
        [{"_id": f"{name}/{vid:08d}", **({"del": True} if gone else {})} for name, vid, gone in rows]
    )
    found = {flaw.resource: flaw.text async for flaw in flaws(joined, "Patient", None)}
    assert found == {
        "Patient/c": "versions [2] are missing from its history",
        "Patient/e": "it is gone without a deletion after version 1",
        "Patient/f": "its versions have gaps: [1, 3]",
    }
