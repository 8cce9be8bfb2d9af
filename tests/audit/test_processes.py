"""The trail of several processes at once, and of processes that are killed while they write (AU-3, EV-1)."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from fhir_server.settings import Settings
from fhir_server.store.client import connect
from fhir_server.store.embedded import embedded
from fhir_server.store.trail import audit_database
from loadtests.processes import SERVER
from tests.processes import Nursery

WRITES = 400
AT_ONCE = 24
RESOURCE = {"resourceType": "Observation", "status": "final", "code": {"text": "count"}}


@contextmanager
def _served(data_dir: Path, workers: int) -> Iterator[tuple[subprocess.Popen[str], str]]:
    command = [sys.executable, "-c", SERVER, "serve", "--auth", "smart", "--port", "0", "--json"]
    command += ["--workers", str(workers), "--data-dir", str(data_dir)]
    environment = {**os.environ, "FHIR_AUDIT__SEAL_SECONDS": "1"}
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, env=environment, start_new_session=True
    ) as process:
        try:
            assert process.stdout is not None
            yield process, json.loads(process.stdout.readline())["url"] + "/fhir"
        finally:
            if process.poll() is None:
                process.terminate()
            process.wait(60)


async def _write(url: str, token: str, count: int, on_answer: Any = None) -> Counter[int]:
    """Send creates, many at once; return how many had which status, 0 for no answer."""
    seen: Counter[int] = Counter()
    left = iter(range(count))
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/fhir+json"}

    async def one() -> None:
        # Each has connections of its own, so that every process gets some.
        async with httpx.AsyncClient(headers=headers, timeout=60) as client:
            for number in left:
                try:
                    answer = await client.post(
                        f"{url}/Observation", json=RESOURCE, headers={"X-Request-Id": f"write-{number}"}
                    )
                except httpx.HTTPError:
                    seen[0] += 1
                    return
                seen[answer.status_code] += 1
                if on_answer:
                    on_answer(seen)

    await asyncio.gather(*(one() for _ in range(AT_ONCE)))
    return seen


async def _stored(data_dir: Path) -> tuple[list[str], list[dict[str, Any]], int]:
    """Return the ids of the resources, the rows of creates, and the number of lanes."""
    settings = Settings(data_dir=data_dir)
    async with embedded(settings) as connection, connect(connection.url, settings) as client:
        record, audit = client[settings.mongo.database], client[audit_database(settings.mongo.database)]
        ids = [row["_id"] for row in await record["Observation"].find({}, {"_id": 1}).to_list()]
        rows = await audit["events"].find({"k": "create", "st": 201}).to_list()
        lanes = {row["_id"].partition("/")[0] for row in await audit["chain"].find({}, {"_id": 1}).to_list()}
        return ids, rows, len(lanes)


async def test_AU_3_concurrent_writes_on_two_processes_are_linked_and_sealed(tmp_path: Path, nursery: Nursery) -> None:
    with _served(tmp_path, 2) as (_, url):
        token = nursery.run("token", "--data-dir", tmp_path, environment=os.environ).out.strip()
        assert await _write(url, token, WRITES) == Counter({201: WRITES})
    ids, rows, lanes = await _stored(tmp_path)
    assert len(ids) == len(rows) == WRITES
    assert sorted(row["e"][0].split("/")[1] for row in rows) == sorted(ids)
    assert {row["rq"] for row in rows} == {f"write-{number}" for number in range(WRITES)}
    assert lanes >= 2
    checked = nursery.run("audit", "verify", "--json", "--data-dir", tmp_path, environment=os.environ).json
    assert checked["sound"], checked["faults"]
    assert checked["rows"] >= WRITES
    assert (checked["unlinked"], checked["unsealed"]) == (0, 0)
    assert checked["seals"] >= 1


async def test_EV_1_a_kill_leaves_neither_a_write_without_row_nor_a_row_without_write(
    tmp_path: Path, nursery: Nursery
) -> None:
    with _served(tmp_path, 1) as (process, url):
        token = nursery.run("token", "--data-dir", tmp_path, environment=os.environ).out.strip()

        def kill(seen: Counter[int]) -> None:
            if seen[201] == WRITES // 4:
                os.killpg(process.pid, signal.SIGKILL)

        seen = await _write(url, token, WRITES, kill)
    assert seen[0], "the server was killed while requests were under way"
    ids, rows, _ = await _stored(tmp_path)
    assert len(ids) >= seen[201] >= WRITES // 4
    assert sorted(row["e"][0].split("/")[1] for row in rows) == sorted(ids)
    checked = nursery.run("audit", "verify", "--json", "--data-dir", tmp_path, environment=os.environ).json
    assert checked["sound"], checked["faults"]
