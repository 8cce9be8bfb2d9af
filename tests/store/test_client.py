"""What the server demands of a MongoDB, and what it says when that is not given."""

import os
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr
from pymongo import ReadPreference
from pymongo.errors import OperationFailure

from fhir_server.settings import Mongo, Settings
from fhir_server.store.client import MongoUnavailable, check, connect
from fhir_server.store.embedded import embedded
from fhir_server.store.mongod import Mongod, find, url

Start = Callable[..., str]


@contextmanager
def foreign(home: Path, *arguments: str) -> Iterator[str]:
    """Run a mongod that is not ours, without login; give its address."""
    home.mkdir()
    address = str(home / "db.sock")
    listen = ("--bind_ip", address, "--nounixsocket", "--wiredTigerCacheSizeGB", "0.25")
    files = ("--fork", "--logpath", str(home / "log"), "--dbpath", str(home), "--pidfilepath", str(home / "pid"))
    subprocess.run([find(None), *files, *listen, *arguments], check=True, stdout=subprocess.DEVNULL)
    try:
        yield address
    finally:
        os.kill(int((home / "pid").read_text()), signal.SIGKILL)
        shutil.rmtree(home)


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Start a mongod with these arguments; it ends with the test."""
    with ExitStack() as stack:
        yield lambda *arguments: stack.enter_context(foreign(tmp_path / "foreign", *arguments))


async def refusal(where: str) -> str:
    """Return why a MongoDB is not taken."""
    async with connect(SecretStr(where), Settings()) as client:
        with pytest.raises(MongoUnavailable) as refused:
            await check(client)
    return str(refused.value)


def plain(address: str, options: str = "") -> str:
    return f"mongodb://{address.replace('/', '%2F')}/?serverSelectionTimeoutMS=300{options}"


@pytest.mark.parametrize("options", ["", "&directConnection=true", "&replicaSet=rs0"], ids=["plain", "direct", "set"])
async def test_a_standalone_is_refused_with_the_commands_that_mend_it(start: Start, options: str) -> None:
    said = await refusal(plain(start(), options))
    assert "standalone" in said
    assert "`mongod --replSet rs0 …`" in said
    assert '`mongosh --eval "rs.initiate()"`' in said


@pytest.mark.parametrize("options", ["", "&directConnection=true"], ids=["plain", "direct"])
async def test_a_replica_set_that_was_never_initiated_is_refused_with_the_command(start: Start, options: str) -> None:
    said = await refusal(plain(start("--replSet", "rs0"), options))
    assert said == 'the replica set was never initiated. Run once `mongosh --eval "rs.initiate()"` against it.'


async def test_a_mongod_that_is_not_there_is_named(tmp_path: Path) -> None:
    said = await refusal(plain(str(tmp_path / "nothing.sock")))
    assert said.startswith("MongoDB cannot be reached (")
    assert "nothing.sock" in said


@pytest.mark.parametrize(("user", "password"), [("app", "wrong"), ("", "")], ids=["wrong password", "no login"])
async def test_a_login_that_is_refused_is_named(data_dir: Path, settings: Settings, user: str, password: str) -> None:
    said = await refusal(url(Mongod(data_dir, 0.25).address, user, password))
    assert said.startswith("MongoDB refused the login")
    assert "password" not in said.split(". ")[0]


@pytest.mark.parametrize("where", ["mongo://x", "mongodb://", "mongodb://u:p@x:y/"])
def test_a_malformed_url_is_named_with_the_form(where: str) -> None:
    with pytest.raises(
        MongoUnavailable, match=r"connection string is malformed .*the form is mongodb://user:password@"
    ):
        connect(SecretStr(where), Settings())


async def test_our_own_mongod_is_taken(settings: Settings) -> None:
    async with embedded(settings) as connection, connect(connection.url, settings) as client:
        await check(client, settings.mongo.database)


async def test_a_user_without_the_record_is_refused(settings: Settings) -> None:
    async with embedded(settings) as connection, connect(connection.url, settings) as client:
        with pytest.raises(MongoUnavailable, match="give the user the role readWrite on the database"):
            await check(client, "of_somebody_else")


async def test_no_connection_string_weakens_durability() -> None:
    weak = SecretStr("mongodb://h/?w=1&journal=false&readConcernLevel=local&readPreference=nearest&retryWrites=false")
    async with connect(weak, Settings()) as client:
        assert client.write_concern.document == {"w": "majority", "j": True}
        assert client.read_concern.level == "majority"
        assert client.read_preference == ReadPreference.PRIMARY
        assert client.options.retry_writes


async def test_a_connection_string_sets_timeouts_and_pool() -> None:
    async with connect(SecretStr("mongodb://h/?maxPoolSize=7&serverSelectionTimeoutMS=123"), Settings()) as client:
        assert client.options.pool_options.max_pool_size == 7
        assert client.options.server_selection_timeout == 0.123
    async with connect(SecretStr("mongodb://h/"), Settings(mongo=Mongo(pool=9))) as client:
        assert client.options.pool_options.max_pool_size == 9
        assert client.options.server_selection_timeout == 5


async def test_times_come_back_in_utc(database: Any) -> None:
    await database.Patient.insert_one({"_id": "1", "lu": datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)})
    assert await database.Patient.find_one() == {"_id": "1", "lu": datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)}


async def test_the_embedded_mongod_takes_no_zlib(mongo_url: SecretStr, settings: Settings) -> None:
    async with connect(mongo_url, settings) as client:
        told = await client.admin.command({"hello": 1, "compression": ["zlib", "zstd"]})
        assert told["compression"] == ["zstd"]
        with pytest.raises(OperationFailure):
            await client.admin.command("noSuchCommand")
