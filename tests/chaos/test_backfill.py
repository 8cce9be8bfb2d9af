"""SIGKILL to the server in the middle of indexing for a search parameter: the next server goes on and completes it."""

import asyncio
import json
import os
import shutil
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.processes import Nursery, Process

PATIENTS = 1200
COLOUR = "http://example.org/fhir/colour"
PATIENCE = 120.0

PARAMETER = {
    "resourceType": "SearchParameter",
    "url": "http://example.org/fhir/SearchParameter/colour",
    "name": "Colour",
    "status": "active",
    "description": "Colour of a patient.",
    "code": "colour",
    "base": ["Patient"],
    "type": "token",
    "expression": f"Patient.extension('{COLOUR}').value",
}


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path / "data"
    shutil.rmtree(tmp_path)


@dataclass(frozen=True)
class Server:
    process: Process
    base: str


async def started(nursery: Nursery, home: Path, share: str) -> Server:
    environment = {**os.environ, "FHIR_MONGO__CACHE_GB": "0.25", "FHIR_JOBS__REINDEX_SHARE": share}
    process = nursery.start("serve", "--port", "0", "--json", "--data-dir", home, environment=environment)
    line = await asyncio.wait_for(asyncio.to_thread(process.out.readline), PATIENCE)
    return Server(process, json.loads(line)["fhir"])


def patient(number: int) -> dict[str, Any]:
    colour = "red" if number % 3 else "blue"
    return {"resourceType": "Patient", "id": f"p{number}", "extension": [{"url": COLOUR, "valueCode": colour}]}


async def load(client: httpx.AsyncClient, base: str) -> None:
    rows = [
        {"resource": patient(number), "request": {"method": "PUT", "url": f"Patient/p{number}"}}
        for number in range(PATIENTS)
    ]
    response = await client.post(base, json={"resourceType": "Bundle", "type": "transaction", "entry": rows})
    assert response.status_code == 200, response.text


async def total(client: httpx.AsyncClient, base: str, colour: str) -> int:
    response = await client.get(f"{base}/Patient?colour={colour}&_summary=count")
    assert response.status_code == 200, response.text
    return int(response.json()["total"])


async def test_indexing_goes_on_where_the_killed_server_was(nursery: Nursery, home: Path) -> None:
    """The first server rests most of the time, so that it is killed with some of the work done and some not."""
    first = await started(nursery, home, "0.01")
    async with httpx.AsyncClient(timeout=60) as client:
        await load(client, first.base)
        created = await client.post(f"{first.base}/SearchParameter", json=PARAMETER)
        assert created.status_code == 201, created.text
        async with asyncio.timeout(PATIENCE):
            while "of about" not in (refused := await client.get(f"{first.base}/Patient?colour=red")).text:
                assert refused.status_code == 400, refused.text
                await asyncio.sleep(0.05)
        assert refused.json()["issue"][0]["code"] == "transient"
        # The next one starts beside it and adopts the mongod; it writes with the parameter building.
        second = await started(nursery, home, "1")
        first.process.send(signal.SIGKILL)
        await first.process.ended()
        try:
            late = await client.put(f"{second.base}/Patient/late", json={**patient(1), "id": "late"})
            assert late.status_code == 201
            async with asyncio.timeout(PATIENCE):
                while (answer := await client.get(f"{second.base}/Patient?colour=red")).status_code != 200:
                    assert "transient" in answer.text
                    await asyncio.sleep(0.1)
            blue = sum(number % 3 == 0 for number in range(PATIENTS))
            assert await total(client, second.base, "blue") == blue
            assert await total(client, second.base, "red") == PATIENTS - blue + 1
            job = (await client.get(f"{second.base}/$reindex-status")).json()["parameter"][0]["part"]
            told = {part["name"]: next(v for k, v in part.items() if k.startswith("value")) for part in job}
            assert told["state"] == "done"
            assert told["attempt"] >= 2
            assert told["active"] == "colour"
        finally:
            second.process.send(signal.SIGTERM)
            await second.process.ended()
