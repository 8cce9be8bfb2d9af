"""Commands without the driver's ado: the same answers and errors, and nothing is lost when a connection is."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from bson.raw_bson import RawBSONDocument
from pydantic import SecretStr
from pymongo import AsyncMongoClient
from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import AutoReconnect, DocumentTooLarge, NetworkTimeout, OperationFailure
from pymongo.monitoring import CommandListener

from fhir_server.store import direct
from fhir_server.store.codecs import BARE, RAW, encode
from fhir_server.store.mongod import Mongod
from fhir_server.store.repeatable import Repeatable

Database = AsyncDatabase[dict[str, Any]]
SLOW = {"find": "rows", "filter": {"$where": "sleep(2000) || true"}, "limit": 1}


class Relay:
    """A way to mongod that can lose an answer.

    Attributes:
        losing: How many of the next answers are lost, each with its connection.
        opened: Connections so far.
    """

    def __init__(self, target: str) -> None:
        self._target = target
        self.losing = self.opened = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.opened += 1
        host, _, port = self._target.rpartition(":")
        back, on = (
            await asyncio.open_connection(host, int(port)) if host else await asyncio.open_unix_connection(self._target)
        )

        async def forward() -> None:
            while data := await reader.read(65536):
                on.write(data)

        async def answer() -> None:
            while data := await back.read(65536):
                if self.losing:
                    self.losing -= 1
                    return
                writer.write(data)

        tasks = [asyncio.create_task(forward()), asyncio.create_task(answer())]
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in tasks:
            task.cancel()
        for each in (writer, on):
            each.close()


@asynccontextmanager
async def relayed(
    data_dir: Path, mongo_url: SecretStr, name: str, **options: Any
) -> AsyncIterator[tuple[Relay, Database]]:
    """Yield a relay and a database behind it."""
    relay = Relay(Mongod(data_dir, 0.25).address)
    server = await asyncio.start_server(relay.serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    url = re.sub(r"@[^/]+/", f"@127.0.0.1:{port}/", mongo_url.get_secret_value())
    url = re.sub(r"replicaSet=\w+&?", "", url)
    async with AsyncMongoClient[dict[str, Any]](
        url, directConnection=True, heartbeatFrequencyMS=600_000, serverMonitoringMode="poll", **options
    ) as client:
        yield relay, client[name]
    server.close()


def test_the_installed_driver_is_one_whose_insides_are_known() -> None:
    assert direct.DIRECT


async def test_answers_are_those_of_the_driver(database: Database) -> None:
    await database["rows"].insert_many([{"_id": number, "name": f"n{number}"} for number in range(5)])
    command = {"find": "rows", "filter": {"_id": {"$gt": 1}}, "sort": {"_id": 1}, "projection": {"name": 1}}
    told = await database.command({**command}, codec_options=BARE)
    reply = await direct.ask(database, {**command}, BARE)
    assert reply["cursor"]["firstBatch"] == told["cursor"]["firstBatch"]
    raw = await direct.ask(database, {**command}, RAW)
    assert isinstance(raw, RawBSONDocument)
    assert [row["_id"] for row in raw["cursor"]["firstBatch"]] == [2, 3, 4]


async def test_refusals_are_those_of_the_driver(database: Database) -> None:
    with pytest.raises(OperationFailure, match="unknown operator") as caught:
        await direct.ask(database, {"find": "rows", "filter": {"name": {"$nothing": 1}}})
    assert caught.value.code == 2
    with pytest.raises(DocumentTooLarge):
        await direct.ask(database, {"insert": "rows", "documents": [{"_id": 1, "text": "x" * 17 * 2**20}]})
    assert (await direct.ask(database, {"ping": 1}))["ok"] == 1


async def test_a_transaction_is_one_whoever_sends_its_commands(database: Database) -> None:
    await database.create_collection("rows")
    async with database.client.start_session() as session:
        await session.start_transaction()
        await direct.ask(database, {"insert": "rows", "documents": [{"_id": 1}]}, session=session)
        await database["rows"].insert_one({"_id": 2}, session=session)
        assert await database["rows"].count_documents({}) == 0
        await session.commit_transaction()
        await session.start_transaction()
        await direct.ask(database, {"insert": "rows", "documents": [{"_id": 3}]}, session=session)
        await session.abort_transaction()
    assert await database["rows"].distinct("_id") == [1, 2]


async def test_who_listens_to_commands_hears_of_all(
    mongo_url: SecretStr, database: Database, database_name: str
) -> None:
    class Heard(CommandListener):
        names: list[str] = []  # noqa: RUF012 - of one test

        def started(self, event: Any) -> None:
            self.names.append(event.command_name)

        def succeeded(self, event: Any) -> None: ...
        def failed(self, event: Any) -> None: ...

    async with AsyncMongoClient[dict[str, Any]](mongo_url.get_secret_value(), event_listeners=[Heard()]) as client:
        await direct.ask(client[database_name], {"count": "rows"})
    assert "count" in Heard.names


async def test_a_lost_answer_is_told_and_its_connection_not_used_again(
    data_dir: Path, mongo_url: SecretStr, database: Database
) -> None:
    async with relayed(data_dir, mongo_url, database.name) as (relay, behind):
        await direct.ask(behind, {"ping": 1})
        before = relay.opened
        relay.losing = 1
        with pytest.raises(AutoReconnect):
            await direct.ask(behind, {"ping": 1})
        assert (await direct.ask(behind, {"ping": 1}))["ok"] == 1
        assert relay.opened > before


async def test_who_waits_too_long_is_told(data_dir: Path, mongo_url: SecretStr, database: Database) -> None:
    await database["rows"].insert_one({"_id": 1})
    async with relayed(data_dir, mongo_url, database.name, socketTimeoutMS=300) as (_, behind):
        with pytest.raises(NetworkTimeout):
            await direct.ask(behind, {**SLOW})


async def test_the_answer_to_one_who_left_reaches_nobody_else(database: Database) -> None:
    await database["rows"].insert_one({"_id": 1})
    leaving = asyncio.create_task(direct.ask(database, {**SLOW}))
    await asyncio.sleep(0.1)
    leaving.cancel()
    with suppress(asyncio.CancelledError):
        await leaving
    assert leaving.cancelled()
    replies = await asyncio.gather(*(direct.ask(database, {"count": "rows"}) for _ in range(8)))
    assert [reply["n"] for reply in replies] == [1] * 8


async def test_an_insert_whose_answer_was_lost_is_done_once(
    data_dir: Path, mongo_url: SecretStr, database: Database
) -> None:
    inserts = Repeatable()
    async with relayed(data_dir, mongo_url, database.name) as (relay, behind):
        assert "writeErrors" not in await inserts.insert(behind, "rows", [encode({"_id": 1})])
        relay.losing = 1
        assert "writeErrors" not in await inserts.insert(behind, "rows", [encode({"_id": 2})])
        assert relay.losing == 0
        reply = await inserts.insert(behind, "rows", [encode({"_id": 2}), encode({"_id": 3})])
        assert [(row["index"], row["code"]) for row in reply["writeErrors"]] == [(0, 11000)]
    assert await database["rows"].distinct("_id") == [1, 2, 3]
