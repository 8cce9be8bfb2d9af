"""`fhir-server load` of many lines, by several processes, killed again and again: everything is there once, and so are its traces.

`CHAOS_ROUNDS` says how often it is killed, twice where it is not set; less often if it is done before.
"""

import asyncio
import contextlib
import os
import random
import signal
from collections import Counter
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any
from uuid import uuid4

from pydantic import SecretStr
from pymongo.asynchronous.database import AsyncDatabase

from fhir_server.model import json
from fhir_server.settings import Mongo, Settings
from fhir_server.store import processes
from fhir_server.store.client import connect
from tests.conftest import dropped
from tests.processes import Nursery

ROUNDS = int(os.environ.get("CHAOS_ROUNDS", "2"))
LINES = 6_000
PATIENTS = 100
PATIENCE = 120.0


async def test_a_load_that_is_killed_goes_on_and_stores_everything_once(
    data_dir: Path, mongo_url: SecretStr, nursery: Nursery, tmp_path: Path
) -> None:
    name = f"killed_{uuid4().hex[:8]}"
    row = {"resourceType": "Observation", "status": "final", "code": {"text": "weight"}}
    with (tmp_path / "Patient.ndjson").open("wb") as file:
        file.writelines(json.encode({"resourceType": "Patient", "id": f"k-{one}"}) + b"\n" for one in range(PATIENTS))
    with (tmp_path / "Observation.ndjson").open("wb") as file:
        for number in range(LINES):
            subject = {"reference": f"Patient/k-{number % PATIENTS}"}
            file.write(json.encode({**row, "id": f"k-{number}", "subject": subject}) + b"\n")
    environment = {one: value for one, value in os.environ.items() if not one.startswith("FHIR_")}
    environment |= {"FHIR_MONGO__DATABASE": name, "FHIR_MONGO__CACHE_GB": "0.25", "FHIR_AUDIT__MODE": "on"}
    words = ("load", tmp_path, "--data-dir", data_dir, "--json", "--initial")
    settings = Settings(data_dir=data_dir, mongo=Mongo(database=name))
    async with connect(mongo_url, settings) as client:
        record = client[name]
        before = 0
        for _ in range(ROUNDS):
            with nursery.start(*words, environment=environment) as process:
                await _until(partial(_more, record, before))
                await asyncio.sleep(random.uniform(0, 1))
                with contextlib.suppress(ProcessLookupError):  # what is left may be done by now
                    process.send(signal.SIGKILL)
                process.wait()
            before = await record.Observation.estimated_document_count()
            await _until(partial(_gone, record))
            if before >= LINES:
                break
        ended = nursery.run(*words, environment=environment)
        assert ended.code == 0, ended.err
        assert ended.json["refused"] == 0
        assert await record.Observation.count_documents({}) == LINES
        assert await record.Observation.count_documents({"v": 1}) == LINES
        assert await record.Observation_h.count_documents({}) == 0
        named: Counter[str] = Counter()
        async for event in client[f"{name}_audit"].events.find({"k": "$import"}, {"e": 1}):
            named.update(event.get("e", ()))
        assert len(named) == LINES + PATIENTS
        assert set(named.values()) == {1}, "each version is named by the one row that was stored with it"
        assert len(await record.Observation.index_information()) > 5, "the indexes that were put off are made"
    await dropped(data_dir, name)


async def test_a_load_makes_the_indexes_that_a_killed_one_put_off_though_nothing_is_left_to_store(
    data_dir: Path, mongo_url: SecretStr, nursery: Nursery, tmp_path: Path
) -> None:
    name = f"killed_{uuid4().hex[:8]}"
    row = {"resourceType": "Observation", "id": "o", "status": "final", "code": {"text": "weight"}}
    (tmp_path / "Observation.ndjson").write_bytes(json.encode(row) + b"\n")
    environment = {one: value for one, value in os.environ.items() if not one.startswith("FHIR_")}
    environment |= {"FHIR_MONGO__DATABASE": name, "FHIR_MONGO__CACHE_GB": "0.25"}
    words = ("load", tmp_path, "--data-dir", data_dir, "--json")
    async with connect(mongo_url, Settings(data_dir=data_dir, mongo=Mongo(database=name))) as client:
        observations = client[name].Observation
        assert nursery.run(*words, "--initial", environment=environment).json["stored"] == 1
        whole = await observations.index_information()
        for more in ((), ("--initial",)):
            await observations.drop_indexes()  # as the load leaves it that is killed when all is stored
            assert nursery.run(*words, *more, environment=environment).json["stored"] == 0
            assert await observations.index_information() == whole
    await dropped(data_dir, name)


async def _until(true: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not await true():  # noqa: ASYNC110 - of other processes nobody tells
            await asyncio.sleep(0.02)


async def _more(record: AsyncDatabase[dict[str, Any]], before: int) -> bool:
    return await record.Observation.estimated_document_count() > before


async def _gone(record: AsyncDatabase[dict[str, Any]]) -> bool:
    """Return whether the processes of a load that was killed have ended: they end with it."""
    return not [row async for row in record.writers.find({}, {"pid": 1}) if processes.runs(row["pid"])]
