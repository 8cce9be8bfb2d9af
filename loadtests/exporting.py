"""How fast a bulk export is: resources a second and memory of the server, against the driver alone reading the same documents.

    python -m loadtests.exporting [resources]

Small observations are put into a database of their own, a server exports them into GridFS, and the driver drains them once more
without doing anything with them.
"""

import asyncio
import itertools
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
from bson.binary import Binary
from bson.int64 import Int64
from pymongo.asynchronous.database import AsyncDatabase

from fhir_server.model import instant
from fhir_server.settings import Mongo, Settings
from fhir_server.store.client import connect
from fhir_server.store.codecs import BARE
from fhir_server.store.embedded import embedded
from loadtests.processes import Process, server

RESOURCES = 100_000
BATCH = 5_000
PATIENTS = 10_000
CACHE_GB = 1.0
POLL = 0.1


BODY = (
    b'{"resourceType":"Observation","id":"%s","meta":{"versionId":"1","lastUpdated":"%s"},"status":"final","category":[{"coding":[{'
    b'"system":"http://terminology.hl7.org/CodeSystem/observation-category","code":"vital-signs"}]}],"code":{"coding":[{"system":'
    b'"http://loinc.org","code":"8310-5","display":"Body temperature"}]},"subject":{"reference":"Patient/%s"},"valueQuantity":{'
    b'"value":37.2,"unit":"C","system":"http://unitsofmeasure.org","code":"Cel"}}'
)


def documents(count: int) -> Iterator[dict[str, Any]]:
    """Yield stored documents of observations of some 500 bytes, made over some hours of today."""
    began = datetime.now(UTC).replace(microsecond=0) - timedelta(hours=6)
    for number in range(count):
        made = began + timedelta(milliseconds=number * 10)
        one, patient = f"export-{number}", f"p{number % PATIENTS}"
        yield {
            "_id": one,
            "v": 1,
            "lu": made,
            "o": Int64(int(made.timestamp() * 1000) << 20 | number % 4096),
            "m": "PUT",
            "rg": "home",
            "f": "root",
            "p": patient,
            "s": {},
            "rf": [],
            "j": Binary(BODY % (one.encode(), instant.text(made).encode(), patient.encode())),
        }


async def fill(database: AsyncDatabase[Any], count: int) -> None:
    """Store the documents."""
    rows = documents(count)
    while batch := [*itertools.islice(rows, BATCH)]:
        await database.Observation.insert_many(batch, ordered=False)


async def drained(database: AsyncDatabase[Any]) -> tuple[int, float]:
    """Return bytes and seconds of the driver alone, in the same order."""
    start, size = time.perf_counter(), 0
    cursor = database.get_collection("Observation", codec_options=BARE).find_raw_batches(
        {}, {"j": 1, "lu": 1, "o": 1}, sort=[("lu", 1), ("o", 1)], hint="updated", batch_size=2000
    )
    async for part in cursor:
        size += len(part)
    return size, time.perf_counter() - start


async def exported(app: Process) -> tuple[int, int, float, float]:
    """Export everything; return resources, bytes, seconds, and CPU seconds of the server."""
    start, before = time.perf_counter(), app.cpu()
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{app.address[1]}/fhir/", timeout=60) as client:
        kicked = await client.get("$export?_type=Observation")
        told = await client.get(kicked.headers["content-location"])
        while told.status_code == 202:
            await asyncio.sleep(POLL)
            told = await client.get(kicked.headers["content-location"])
    rows = told.raise_for_status().json()["output"]
    spent = time.perf_counter() - start, app.cpu() - before
    return sum(row["count"] for row in rows), sum(row["fileSize"] for row in rows), *spent


def peak(app: Process) -> int:
    """Return the most memory that a process ever had, in bytes."""
    lines = Path(f"/proc/{app.pid}/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))


async def measured(folder: Path, count: int) -> str:
    """Return what was measured, in a line."""
    settings = Settings(data_dir=folder, mongo=Mongo(cache_gb=CACHE_GB))
    async with embedded(settings) as connection:
        with server(folder) as app:
            async with connect(connection.url, settings) as mongo:
                record = mongo[settings.mongo.database]
                await fill(record, count)
                await asyncio.to_thread(
                    httpx.get, f"http://127.0.0.1:{app.address[1]}/fhir/Observation?_count=1", timeout=600
                )
                idle = app.memory()
                resources, size, seconds, cpu = await exported(app)
                _, bare = await drained(record)
                return (
                    f"{resources:,} resources, {size / 2**20:,.0f} MiB: {resources / seconds:,.0f}/s ({seconds:.1f} s), "
                    f"{resources / cpu:,.0f} a CPU second of the server, whose memory was {idle / 2**20:.0f} MiB before and "
                    f"{peak(app) / 2**20:.0f} MiB at most; the driver alone reads {resources / bare:,.0f}/s ({bare:.1f} s)"
                )


def main() -> None:
    """Measure, and print what was found."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else RESOURCES
    folder = Path(tempfile.mkdtemp(prefix="export-"))
    try:
        sys.stdout.write(asyncio.run(measured(folder, count)) + "\n")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
