"""Two servers on a replica set of three members: when the primary steps down or is killed, no acknowledged write is lost.

`CHAOS_ROUNDS` says how often each happens, once where it is not set.
"""

import asyncio
import contextlib
import os
import shutil
import signal
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack
from io import BytesIO
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio
from pydantic import SecretStr
from pymongo import MongoClient
from pymongo.errors import PyMongoError

from fhir_server.settings import Mongo, Settings
from fhir_server.store.archive import Contents
from fhir_server.store.backup import back_up
from fhir_server.store.client import connect
from tests.chaos.members import FROZEN, Members
from tests.chaos.writers import Writers
from tests.processes import Nursery

ROUNDS = int(os.environ.get("CHAOS_ROUNDS", "1"))
WRITES = 30
SEARCHING = 5.0
"""Seconds that a server looks for a primary before it says that there is none."""

SLACK = 1.0


@pytest.fixture(autouse=True)
def failures(tmp_path: Path) -> Iterator[None]:
    """Show what the servers logged of faults."""
    yield
    for log in tmp_path.glob("server*.log"):
        lines = log.read_text().splitlines(keepends=True)
        sys.stdout.writelines(line for line in lines if "interaction_failed" in line or "edge_failed" in line)


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def members(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Members]:
    """The members, whose files live no longer than the tests: they take hundreds of megabytes."""
    folder = tmp_path_factory.mktemp("members")
    members = Members(folder)
    async with members.running():
        yield members
    shutil.rmtree(folder)


async def test_no_acknowledged_write_is_lost_when_the_primary_goes(
    nursery: Nursery, members: Members, tmp_path: Path
) -> None:
    with ExitStack() as stack:
        servers = []
        for number in range(2):
            environment = os.environ | {"FHIR_MONGO__URL": members.url, "FHIR_AUDIT__MODE": "on"}
            options = ("--data-dir", tmp_path / f"server{number}")
            log = stack.enter_context((tmp_path / f"server{number}.log").open("wb"))
            servers.append(stack.enter_context(nursery.serving(*options, environment=environment, stderr=log)))
        writers = Writers(servers[0][1]["fhir"], [servers[1][1]["fhir"]])
        elections = []
        async with writers.at_work():
            for _ in range(ROUNDS):
                await writers.more(WRITES)
                elections.append(await changed(members, writers, by_kill=False))
                elections.append(await changed(members, writers, by_kill=True))
        seconds = ", ".join(f"{after - before:.1f}" for before, after in elections)
        print(f"{writers.acknowledged} acknowledged, {len(writers.unknown)} unknown; elections of {seconds} s")  # noqa: T201 - for who runs many rounds
        for process, said in servers:
            async with httpx.AsyncClient() as http:
                assert (await http.get(f"{said['url']}/health/ready")).status_code == 200
            process.send(signal.SIGTERM)
            assert process.wait() == 0
    strange = [
        (began, ended)
        for began, ended in writers.unknown
        if not any(began < after + SLACK and ended > before for before, after in elections)
    ]
    assert strange == [], f"requests failed apart from the elections {elections}"
    settings = Settings(data_dir=tmp_path, mongo=Mongo(url=SecretStr(members.url)))
    async with connect(SecretStr(members.url), settings) as client:
        record: Any = client[settings.mongo.database]
        await writers.compare(record)
        written = sum([await record[name].count_documents({}) for name in ("Patient", "Observation", "Basic")])
        rows = await client[f"{settings.mongo.database}_audit"]["events"].count_documents({})
        assert rows > written > 0


async def test_a_backup_goes_on_where_the_primary_was_replaced(members: Members) -> None:
    """It shows the moment of its beginning, though what it reads was changed before it came there, and on another member."""
    settings = Settings(mongo=Mongo(url=SecretStr(members.url)))
    async with connect(SecretStr(members.url), settings) as client:
        record: Any = client["backed_up"]
        await record["meta"].insert_one({"_id": "schema", "version": 1})
        for name in ("A", "B", "C"):
            await record[name].insert_many([{"_id": number, "text": "x" * 1000} for number in range(3000)])
        told: list[str] = []

        def tell(row: Contents) -> None:
            told.append(row.name)
            if row.name == "A":
                with MongoClient[dict[str, Any]](members.url, w="majority") as other:
                    other["backed_up"]["B"].delete_many({"_id": {"$lt": 1000}})
                    other["backed_up"]["C"].insert_one({"_id": "later"})
                    with contextlib.suppress(PyMongoError):
                        other.admin.command({"replSetStepDown": FROZEN, "secondaryCatchUpPeriodSecs": FROZEN - 1})

        file = BytesIO()
        before = await members.primary()
        manifest = await back_up(client, "backed_up", file, secrets={}, program="1", told=tell)
        assert await members.primary() != before
        assert {row.name: row.documents for row in manifest.collections} == {"A": 3000, "B": 3000, "C": 3000, "meta": 1}
        assert told == ["A", "B", "C", "meta"], "it began anew"
        assert await record["B"].count_documents({}) == 2000


async def changed(members: Members, writers: Writers, *, by_kill: bool) -> tuple[float, float]:
    """Have the primary go; return when that was and when there was another one, after further writes through both servers."""
    before = time.monotonic()
    port = await members.primary()
    if by_kill:
        await members.kill(port)
    else:
        await members.step_down(port)
    await members.primary(other_than=port)
    after = time.monotonic()
    await asyncio.wait_for(writers.more(WRITES), SEARCHING + 25)
    if by_kill:
        await members.revive(port)
    await asyncio.sleep(0)
    return before, after
