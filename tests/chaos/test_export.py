"""SIGKILL to the worker and to the server in the middle of exports: each completes, and holds what a plain scan finds.

`EXPORT_KILLS` says how often; 20 where the question is asked in earnest.
"""

import asyncio
import json
import os
import random
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.processes import Nursery, Process

ROUNDS = int(os.environ.get("EXPORT_KILLS", "3"))
TYPES = ("Device", "HealthcareService", "Location", "Medication", "Patient", "Practitioner")
EACH = 150
PATIENCE = 120.0

Json = dict[str, Any]


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path / "data"
    shutil.rmtree(tmp_path)


async def started(nursery: Nursery, home: Path, command: str) -> tuple[Process, str]:
    """Return a process and what it serves."""
    jobs = {"FHIR_JOBS__CONCURRENCY": "0"} if command == "serve" else {}
    environment = {**os.environ, "FHIR_MONGO__CACHE_GB": "0.25", **jobs}
    words = ("serve", "--port", "0") if command == "serve" else ("worker",)
    process = nursery.start(*words, "--json", "--data-dir", home, environment=environment)
    line = await asyncio.wait_for(asyncio.to_thread(process.out.readline), PATIENCE)
    return process, json.loads(line).get("fhir", "")


async def load(client: httpx.AsyncClient, base: str) -> None:
    for kind in TYPES:
        rows = [
            {
                "resource": {"resourceType": kind, "id": f"n{number}"},
                "request": {"method": "PUT", "url": f"{kind}/n{number}"},
            }
            for number in range(EACH)
        ]
        response = await client.post(base, json={"resourceType": "Bundle", "type": "transaction", "entry": rows})
        assert response.status_code == 200, response.text


async def scanned(client: httpx.AsyncClient, base: str) -> list[Json]:
    found: list[Json] = []
    for kind in TYPES:
        bundle = (await client.get(f"{base}/{kind}?_count=1000")).json()
        found += [row["resource"] for row in bundle["entry"]]
    return sorted(found, key=lambda one: (one["resourceType"], one["id"]))


async def kicked(client: httpx.AsyncClient, base: str) -> str:
    response = await client.get(f"{base}/$export?_type={','.join(TYPES)}")
    assert response.status_code == 202, response.text
    return httpx.URL(response.headers["content-location"]).params["job"]


async def read(client: httpx.AsyncClient, base: str, job: str) -> list[Json]:
    """Return what an export holds, when it has ended."""
    async with asyncio.timeout(PATIENCE):
        told = await client.get(f"{base}/$export-status?job={job}")
        while told.status_code == 202:
            await asyncio.sleep(0.05)
            told = await client.get(f"{base}/$export-status?job={job}")
    assert told.status_code == 200, told.text
    found: list[Json] = []
    for row in told.json()["output"]:
        name = httpx.URL(row["url"]).params["name"]
        answer = await client.get(f"{base}/$export-file", params={"job": job, "name": name})
        assert answer.status_code == 200, answer.text
        found += map(json.loads, answer.content.splitlines())
    return sorted(found, key=lambda one: (one["resourceType"], one["id"]))


async def test_an_export_goes_on_where_a_killed_process_was(nursery: Nursery, home: Path) -> None:
    chance = random.Random(3)
    server, base = await started(nursery, home, "serve")
    worker, _ = await started(nursery, home, "worker")
    try:
        async with httpx.AsyncClient(timeout=60) as client:
            await load(client, base)
            whole = await scanned(client, base)
            for number in range(ROUNDS):
                jobs = [await kicked(client, base) for _ in range(2)]
                if number % 3 == 2:
                    successor, place = await started(nursery, home, "serve")
                    server.send(signal.SIGKILL)
                    await server.ended()
                    server, base = successor, place
                successor, _ = await started(nursery, home, "worker") if number % 2 else (worker, "")
                await asyncio.sleep(chance.uniform(0, 1.5))
                worker.send(signal.SIGKILL)
                await worker.ended()
                worker = successor if number % 2 else (await started(nursery, home, "worker"))[0]
                for job in jobs:
                    assert await read(client, base, job) == whole
    finally:
        for process in (worker, server):
            process.send(signal.SIGTERM)
            await process.ended()
