"""Loading many resources: Synthea transactions over HTTP, and NDJSON by `fhir-server load`."""

import asyncio
import json
import os
import resource
import subprocess
import sys
import tarfile
import time
from pathlib import Path

from fhir_server.model import json as fhir_json
from loadtests import records
from loadtests.processes import SERVER, Process, cpu_of
from loadtests.report import Bulk
from loadtests.wire import connect, request

BUNDLES = 108
PARTS = (("1 sender", 1, False), ("4 senders", 4, False), ("8 senders to two processes", 8, True))
"""How a part of the bundles is sent: what that is called, by how many, and whether to the server that has two processes."""

LINES = 40_000
ARCHIVE = "synthea/synthea-r4-smart-part1.tar.xz"


async def transactions(app: Process, pair: Process, database: Process, folder: Path) -> list[Bulk]:
    """Post Synthea bundles, each part to a server of one process or of two."""
    bundles = await asyncio.to_thread(_bundles, folder)
    if not bundles:
        return [Bulk("Synthea transaction bundles", note="no Synthea data; set FHIR_TEST_DATA")]
    shared, patients = bundles
    await _post(app, shared, 1)
    rows = []
    for number, (name, senders, paired) in enumerate(PARTS):
        target, part = (pair if paired else app), patients[number :: len(PARTS)]
        used: dict[str, float] = {}
        start = time.perf_counter()
        with cpu_of({"app": target, "mongod": database}, used):
            stored, refused = await _post(target, part, senders)
        rows.append(Bulk(f"Synthea transaction bundles, {name}", stored, time.perf_counter() - start, refused, used))
    return rows


async def ndjson(data_dir: Path, database: Process, folder: Path) -> Bulk:
    """Run `fhir-server load` on a file of observations, beside the running server."""
    file = folder / "Observation.ndjson"
    with file.open("wb") as out:
        for number in range(LINES):
            row = records.observation(number % records.PATIENTS, number, "8310-5")
            out.write(fhir_json.encode({**row, "id": f"line-{number}"}) + b"\n")
    command = [sys.executable, "-c", SERVER, "load", str(file), "--data-dir", str(data_dir), "--json"]
    used: dict[str, float] = {}
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    with cpu_of({"mongod": database}, used):
        done = await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True, check=False)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    used["app"] = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    said = json.loads(done.stdout)
    return Bulk("NDJSON by `fhir-server load`", said["stored"], said["seconds"], said["refused"], used)


async def _post(app: Process, bundles: list[bytes], senders: int) -> tuple[int, int]:
    """Return how many resources were stored and how many refused."""
    host = f"127.0.0.1:{app.address[1]}"
    waiting = iter(bundles)
    stored = refused = 0

    async def send() -> None:
        nonlocal stored, refused
        connection = await connect(app.address)
        for bundle in waiting:
            status, _ = await connection.ask(request("POST", "/fhir", host, bundle))
            entries = bundle.count(b'"request"')
            stored, refused = (stored + entries, refused) if status == 200 else (stored, refused + entries)
        connection.close()

    await asyncio.gather(*(send() for _ in range(senders)))
    return stored, refused


def _bundles(folder: Path) -> tuple[list[bytes], list[bytes]] | None:
    """Return (shared bundles, patients' bundles) from the reference data, `None` where it is not at hand."""
    root = Path(__file__).parent.parent
    archive = Path(os.environ.get("FHIR_TEST_DATA", root.parent / "shared" / "data")) / ARCHIVE
    if not archive.exists():
        return None
    shared: list[bytes] = []
    patients: list[bytes] = []
    with tarfile.open(archive) as tar:
        for member in tar:
            content = tar.extractfile(member) if member.isfile() else None
            if content is None:
                continue
            if "Information" in member.name:
                shared.append(content.read())
            elif len(patients) < BUNDLES:
                patients.append(content.read())
    return shared, patients
