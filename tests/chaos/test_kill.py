"""SIGKILL, fifty times each, to the server and to its mongod, in the middle of concurrent writes and transactions.

No acknowledged write may be lost, no transaction be half there, no version be missing, no conditional create be doubled.
"""

import asyncio
import json
import os
import random
import shutil
import signal
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from fhir_server.settings import Mongo, Settings
from fhir_server.store.client import connect
from fhir_server.store.embedded import embedded
from fhir_server.store.mongod import Mongod
from tests.chaos.writers import Writers
from tests.processes import Nursery, Process

ROUNDS = 50
WRITES = 12
"""Acknowledged writes between two kills, at least."""


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    """An empty data directory; it goes afterwards, and what its servers logged of failures is shown."""
    home = tmp_path / "data"
    yield home
    lines = log_of(home).read_text().splitlines(keepends=True)
    sys.stdout.writelines(line for line in lines if "interaction_failed" in line)
    shutil.rmtree(tmp_path)


@dataclass(frozen=True)
class Server:
    """A running `fhir-server serve`."""

    process: Process
    base: str


def log_of(home: Path) -> Path:
    """Where the servers of a data directory log to."""
    return home.with_name("server.log")


async def started(nursery: Nursery, home: Path) -> Server:
    environment = {**os.environ, "FHIR_MONGO__CACHE_GB": "0.25"}
    words = ("serve", "--port", "0", "--json", "--data-dir", home)
    with log_of(home).open("ab") as log:
        process = nursery.start(*words, environment=environment, stderr=log)
    line = await asyncio.wait_for(asyncio.to_thread(process.out.readline), 120)
    return Server(process, json.loads(line)["fhir"])


@asynccontextmanager
async def compared(home: Path, writers: Writers) -> AsyncIterator[None]:
    """Compare the record with what the writers were told, when the context ends well."""
    settings = Settings(data_dir=home, mongo=Mongo(cache_gb=0.25))
    async with embedded(settings) as connection, connect(connection.url, settings) as client:
        yield
        await writers.compare(client[settings.mongo.database])


async def test_killing_the_server_loses_and_halves_nothing(nursery: Nursery, home: Path) -> None:
    chance = random.Random(1)
    server = await started(nursery, home)
    writers = Writers(server.base)
    try:
        async with writers.at_work():
            for _ in range(ROUNDS):
                # The next one starts beside it, as behind a load balancer; it adopts mongod from the one that is killed.
                with writers.resting():
                    successor = await started(nursery, home)
                await writers.more(WRITES)
                await asyncio.sleep(chance.uniform(0, 0.1))
                server.process.send(signal.SIGKILL)
                writers.base = successor.base
                await server.process.ended()
                server = successor
            await writers.more(WRITES)
        async with compared(home, writers):
            pass
    finally:
        server.process.send(signal.SIGTERM)
        await server.process.ended()
    assert not Mongod(home, 0.25).is_running()


async def test_killing_mongod_loses_and_halves_nothing(nursery: Nursery, home: Path) -> None:
    chance = random.Random(2)
    server = await started(nursery, home)
    writers = Writers(server.base)
    mongod = Mongod(home, 0.25)
    try:
        async with writers.at_work():
            for _ in range(ROUNDS):
                await writers.more(WRITES)
                await asyncio.sleep(chance.uniform(0, 0.1))
                os.kill(mongod.pid(), signal.SIGKILL)
            await writers.more(WRITES)
        async with compared(home, writers):
            pass
    finally:
        server.process.send(signal.SIGTERM)
        await server.process.ended()
    assert server.process.wait() == 0
    assert not mongod.is_running()
