"""`fhir-server worker` does what servers leave to it."""

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
from pydantic import SecretStr
from pymongo import MongoClient

from fhir_server.model import json
from tests.processes import Nursery

PATIENCE = 60.0


@pytest.fixture
def environment(data_dir: Path, mongo_url: SecretStr) -> Iterator[dict[str, str]]:
    """Settings of processes on the shared mongod, with a database of their own."""
    database = f"test_{uuid4().hex[:16]}"
    yield os.environ | {
        "FHIR_DATA_DIR": str(data_dir), "FHIR_MONGO__DATABASE": database, "FHIR_MONGO__CACHE_GB": "0.25"
    }  # fmt: skip
    with MongoClient[dict[str, Any]](mongo_url.get_secret_value()) as client:
        client.drop_database(database)
        client.drop_database(f"{database}_audit")


def status(base: str, job: str) -> str:
    answer = httpx.get(f"{base}/$reindex-status?job={job}").json()
    rows = next((row["part"] for row in answer["parameter"] if row["name"] == "job"), answer["parameter"])
    return next(str(row["valueCode"]) for row in rows if row["name"] == "state")


def test_a_worker_does_what_a_server_without_one_has_queued(nursery: Nursery, environment: dict[str, str]) -> None:
    with nursery.serving("--no-worker", environment=environment) as (server, said):
        queued = httpx.post(f"{said['fhir']}/$reindex?type=Organization")
        assert queued.status_code == 202, queued.text
        job = queued.json()["parameter"][0]["valueId"]
        with nursery.start("worker", "--json", "--jobs", "3", environment=environment) as worker:
            assert json.decode(worker.out.readline()) == {"pid": worker.pid, "jobs": 3}
            deadline = time.monotonic() + PATIENCE
            while status(said["fhir"], job) != "done" and time.monotonic() < deadline:
                time.sleep(0.05)
            assert status(said["fhir"], job) == "done"
            worker.send(signal.SIGTERM)
            assert worker.wait() == 0
        second = httpx.post(f"{said['fhir']}/$reindex?type=Organization").json()["parameter"][0]["valueId"]
        time.sleep(2)  # longer than any worker looks away from an empty queue
        assert status(said["fhir"], second) == "queued"
        server.send(signal.SIGTERM)
        assert server.wait() == 0


def test_a_server_that_is_to_work_needs_something_to_work_with(nursery: Nursery, environment: dict[str, str]) -> None:
    ended = nursery.run("serve", "--with-worker", environment=environment | {"FHIR_JOBS__CONCURRENCY": "0"})
    assert ended.code == 2
    assert "jobs.concurrency" in ended.err
