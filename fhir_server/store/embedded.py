"""The embedded MongoDB: one mongod for a data directory, shared by every process that works there.

`serve`, `load`, `demo` and `doctor` all enter here. Each holds a shared lock on `mongod.users`; the first to come starts
mongod, the last to leave stops it, and the kernel takes the lock away from those that were killed. What starts or stops
mongod holds the exclusive `mongod.starting`. No process is special: whoever notices a crash first restarts mongod, and
an orphan whose starter was killed belongs to the next one who comes.
"""

import asyncio
import contextlib
import fcntl
import os
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import structlog
from pydantic import SecretStr
from pymongo.errors import PyMongoError

from fhir_server.model.background import ended
from fhir_server.settings import Settings
from fhir_server.store.accounts import Accounts, Ended, ready
from fhir_server.store.client import MongoUnavailable
from fhir_server.store.mongod import Mongod, find, url

WATCH_SECONDS = 0.2
TURN_SECONDS = 360
"""How long to wait for another process that is starting mongod (recovery after a crash may take minutes)."""


@dataclass(frozen=True, slots=True)
class Connection:
    """Where the record is.

    Attributes:
        url: Connection string of the server's user.
        description: What it is, for the log and `doctor`; without secrets.
        embedded: Whether this is the mongod of the data directory.
    """

    url: SecretStr
    description: str
    embedded: bool


@asynccontextmanager
async def embedded(settings: Settings) -> AsyncIterator[Connection]:
    """Yield the connection to MongoDB: that of `mongo.url`, else the mongod of the data directory while we are inside.

    Raises:
        MongoUnavailable: No mongod can be had; the text names the remedy.
    """
    if settings.mongo.url is not None:
        yield Connection(settings.mongo.url, "the MongoDB that FHIR_MONGO__URL names", embedded=False)
        return
    share = Embedded(settings)
    try:
        connection = await share.join()
        watcher = asyncio.create_task(share.watch(), name="embedded-mongod")
        try:
            yield connection
        finally:
            await ended(watcher)
    finally:
        await share.leave()


def administered(settings: Settings) -> SecretStr:
    """Return the connection string of the administrator of the embedded mongod, which runs."""
    root = settings.data_dir.absolute()
    accounts = Accounts.open(root, fresh=False)
    return SecretStr(url(Mongod(root, settings.mongo.cache_gb).address, "admin", accounts.admin))


class Embedded:
    """One process's share in the mongod of a data directory."""

    def __init__(self, settings: Settings) -> None:
        self._database = settings.mongo.database
        self._binary = settings.mongo.binary
        self._mongod = Mongod(settings.data_dir.absolute(), settings.mongo.cache_gb)
        self._users: int | None = None

    async def join(self) -> Connection:
        """Become a user of the mongod; start it when nobody has.

        Raises:
            MongoUnavailable: No mongod was found, it does not start, or the directory is not ours.
        """
        root = self._mongod.root
        try:
            root.mkdir(mode=0o700, parents=True, exist_ok=True)
            async with self._turn():
                self._users = os.open(root / "mongod.users", os.O_RDWR | os.O_CREAT, 0o600)
                fcntl.flock(self._users, fcntl.LOCK_SH)
                accounts = await self._ensure()
        except OSError as error:
            raise MongoUnavailable(
                f"the data directory {root} cannot be used ({error.strerror}: {error.filename}); name one that this user "
                "may write with --data-dir or FHIR_DATA_DIR"
            ) from error
        except PyMongoError as error:
            raise MongoUnavailable(
                f"the embedded mongod in {root} answers wrongly ({error}); see {self._mongod.log}"
            ) from error
        return Connection(
            SecretStr(url(self._mongod.address, "app", accounts.app)), f"embedded mongod in {root}", embedded=True
        )

    async def watch(self) -> None:
        """Restart mongod whenever it has ended, until cancelled."""
        log = structlog.get_logger("fhir_server.store")
        pause = WATCH_SECONDS
        while True:
            await asyncio.sleep(pause)
            with _locked(self._mongod.root / "mongod.starting") as mine:
                if not mine or self._mongod.is_running():
                    continue
                log.error("mongod_ended", log=str(self._mongod.log))
                try:
                    await self._ensure()
                except (MongoUnavailable, PyMongoError, OSError) as error:
                    pause = min(pause * 2, 10)
                    log.error("mongod_restart_failed", reason=str(error))  # noqa: TRY400 - the reason says it all
                else:
                    pause = WATCH_SECONDS
                    log.info("mongod_restarted")

    async def leave(self) -> None:
        """Give up our share; stop mongod when nobody else has one."""
        if self._users is None:
            return
        async with self._turn():
            with contextlib.suppress(BlockingIOError):
                fcntl.flock(self._users, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if self._mongod.is_running():
                    await self._mongod.stop()
            os.close(self._users)
            self._users = None

    async def _ensure(self) -> Accounts:
        """Have mongod running and ready for our database. Call under the start lock."""
        accounts = Accounts.open(self._mongod.root, fresh=not (self._mongod.data / "WiredTiger").exists())
        if self._mongod.is_running():
            # Killed just now, it may still look alive; then the next lines start it.
            with contextlib.suppress(Ended):
                return await ready(self._mongod, accounts, self._database, started=False)
        await self._mongod.start(find(self._binary))
        return await ready(self._mongod, accounts, self._database, started=True)

    @asynccontextmanager
    async def _turn(self) -> AsyncIterator[None]:
        """Hold the start lock."""
        deadline = time.monotonic() + TURN_SECONDS
        while time.monotonic() < deadline:
            with _locked(self._mongod.root / "mongod.starting") as mine:
                if mine:
                    yield
                    return
            await asyncio.sleep(0.02)
        raise MongoUnavailable(
            f"another process has been starting or stopping mongod in {self._mongod.root} for {TURN_SECONDS} s; end it"
        )


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[bool]:
    """Hold an exclusive lock on `path`, or yield False when another process has it."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True
    finally:
        os.close(descriptor)
