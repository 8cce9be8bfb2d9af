"""Files go when nobody can ask for them any more, and not before."""

import asyncio
import os
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from bson import ObjectId

from fhir_server.bulk.expiry import GRACE, over, sweep
from fhir_server.filing import Folder
from fhir_server.main import working
from fhir_server.model.queue import JobRecord, State
from fhir_server.settings import Settings
from fhir_server.settings.bulk import Bulk
from fhir_server.store import Store
from fhir_server.store.jobs import worker_name
from tests.store.conftest import store

__all__ = ["store"]

NOW = datetime(2026, 5, 1, tzinfo=UTC)
HOURS = 2


def job(state: State, ended: datetime | None) -> JobRecord:
    return JobRecord("1", "export", state, {}, NOW, ended=ended)


async def parts(*texts: bytes) -> AsyncIterator[bytes]:
    for text in texts:
        yield text


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        (job("done", NOW), NOW + timedelta(hours=HOURS) + GRACE),
        (job("failed", NOW), NOW + timedelta(hours=HOURS) + GRACE),
        (job("cancelled", NOW), NOW + GRACE),
        (None, NOW + GRACE),
        (job("leased", None), datetime.max.replace(tzinfo=UTC)),
        (job("queued", None), datetime.max.replace(tzinfo=UTC)),
    ],
)
def test_files_are_needed_as_long_as_somebody_may_ask_or_read(record: JobRecord | None, expected: datetime) -> None:
    assert over(record, NOW, HOURS) == expected


async def test_only_files_of_jobs_that_are_over_go(store: Store, tmp_path: Path) -> None:
    files = Folder(tmp_path)
    done = await store.jobs.enqueue("export", {})
    claimed = await store.jobs.claim(worker_name(), {"export": 0}, 60)
    assert claimed is not None
    await store.jobs.finish(claimed, {})
    live = await store.jobs.enqueue("export", {})
    for name in (f"export/{done.id}/a", f"export/{done.id}/b", f"export/{live.id}/a", "import/gone/a", "other/x"):
        await files.write(name, parts(b"x"))
    now = datetime.now(UTC)
    assert await sweep(files, store.jobs, HOURS, now) == 0
    assert await sweep(files, store.jobs, HOURS, now + GRACE + timedelta(minutes=1)) == 1
    assert await sweep(files, store.jobs, HOURS, now + GRACE + timedelta(hours=HOURS, minutes=1)) == 2
    assert [one.name async for one in files.list("")] == [f"export/{live.id}/a", "other/x"]


async def test_a_running_server_sweeps(settings: Settings, tmp_path: Path) -> None:
    place = tmp_path / "files"
    files = Folder(place)
    await files.write("export/gone/a", parts(b"x"))
    os_time = (datetime.now(UTC) - 2 * GRACE).timestamp()
    await asyncio.to_thread(_touch, place / "export/gone/a", os_time)
    bulk = Bulk(storage="folder", folder=place)
    async with working(settings.model_copy(update={"bulk": bulk})), asyncio.timeout(20):
        while await files.stat("export/gone/a"):  # noqa: ASYNC110 - a server of its own removes it
            await asyncio.sleep(0.02)


def _touch(place: Path, moment: float) -> None:
    os.utime(place, (moment, moment))


async def test_what_a_crash_left_of_a_file_in_the_database_goes(store: Store) -> None:
    chunks = store._database["files.chunks"]
    await store.files.write("whole", parts(b"x" * 2**21))
    old = ObjectId.from_datetime(datetime.now(UTC) - timedelta(days=2))
    await chunks.insert_many([{"files_id": old, "n": n, "data": b"x"} for n in range(3)])
    await chunks.insert_one({"files_id": ObjectId(), "n": 0, "data": b"being written"})
    assert await store.files.sweep() == 1
    assert await chunks.count_documents({}) == 3
    assert await chunks.count_documents({"files_id": old}) == 0
