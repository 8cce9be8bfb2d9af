"""The server is killed while it imports: another one goes on, and everything is there once.

`CHAOS_ROUNDS` says how often it is killed, once where it is not set.
"""

import asyncio
import os
import random
import signal
from pathlib import Path
from uuid import uuid4

import httpx
from pydantic import SecretStr

from fhir_server.model import json
from fhir_server.settings import Mongo, Settings
from fhir_server.store.client import connect
from tests.conftest import dropped
from tests.processes import Nursery

ROUNDS = int(os.environ.get("CHAOS_ROUNDS", "1"))
LINES = 5_000
PATIENTS = 50
PATIENCE = 120.0


async def test_an_import_goes_on_when_its_server_is_killed(
    data_dir: Path, mongo_url: SecretStr, nursery: Nursery
) -> None:
    name = f"imported_{uuid4().hex[:8]}"
    environment = {one: value for one, value in os.environ.items() if not one.startswith("FHIR_")}
    environment |= {"FHIR_MONGO__DATABASE": name, "FHIR_MONGO__CACHE_GB": "0.25", "FHIR_AUTH__MODE": "open"}
    row = {"resourceType": "Observation", "status": "final", "code": {"text": "weight"}}
    # Those that refer come first, so that all of them have to be sent again.
    rows = [
        {**row, "id": f"k-{one}", "subject": {"reference": f"Patient/k-{one % PATIENTS}"}} for one in range(LINES)
    ] + [{"resourceType": "Patient", "id": f"k-{one}"} for one in range(PATIENTS)]
    lines = b"".join(json.encode(one) + b"\n" for one in rows)
    settings = Settings(data_dir=data_dir, mongo=Mongo(database=name))
    path = ""
    async with connect(mongo_url, settings) as client, asyncio.timeout(PATIENCE):
        record = client[name]
        for attempt in range(ROUNDS + 1):
            with nursery.serving("--data-dir", data_dir, environment=environment) as (process, said):
                async with httpx.AsyncClient(base_url=str(said["fhir"]) + "/", timeout=30) as web:
                    if not path:
                        headers = {"Content-Type": "application/fhir+ndjson"}
                        kicked = await web.post("$import", content=lines, headers=headers)
                        assert kicked.status_code == 202, kicked.text
                        path = kicked.headers["content-location"].partition("/fhir/")[2]
                    if attempt < ROUNDS:
                        await asyncio.sleep(random.uniform(0.5, 4))
                        process.send(signal.SIGKILL)
                        process.wait()
                        continue
                    while (found := await web.get(path)).status_code == 202:  # noqa: ASYNC110 - it says so when asked
                        await asyncio.sleep(0.1)
                    assert found.json()["output"] == [{"count": LINES + PATIENTS}]
                    assert found.json()["error"] == []
        assert await record.Observation.count_documents({"v": 1}) == LINES
        assert await record.Observation_h.estimated_document_count() == 0
    await dropped(data_dir, name)
