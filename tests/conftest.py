"""What every test may ask for: a real MongoDB, a database of its own, settings, and the reference data."""

import os
import shutil
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn
from uuid import uuid4

import pytest
import pytest_asyncio
from pydantic import SecretStr
from pymongo import AsyncMongoClient
from pymongo.asynchronous.database import AsyncDatabase

from fhir_server.settings import Mongo, Settings
from fhir_server.store.accounts import Accounts
from fhir_server.store.client import connect
from fhir_server.store.embedded import embedded
from fhir_server.store.mongod import Mongod, url
from tests.processes import Nursery, nursing

if TYPE_CHECKING:
    from playwright.async_api import Browser

CHROMIUM = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
RECORD = "record"
"""Folder, below pytest's own, of the one mongod that all workers of a test run share."""

MEMORY = Path("/dev/shm")
ROOM = 6 * 2**30
"""Free bytes from which on temporary files are kept in memory: what tests wait for most is files of indexes made on a disk."""

KEPT_SECONDS = 10
"""How long mongod keeps what a snapshot in a test may still ask for."""


def pytest_configure() -> None:
    """Let tests that are not about access do without it; those that are say `smart`."""
    os.environ.setdefault("FHIR_AUTH__MODE", "open")
    if MEMORY.is_dir() and shutil.disk_usage(MEMORY).free > ROOM:
        os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(MEMORY))


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Remove the database files of this run, once, when all workers are done."""
    factory = getattr(session.config, "_tmp_path_factory", None)
    if factory is not None and not hasattr(session.config, "workerinput"):
        shutil.rmtree(factory.getbasetemp() / RECORD, ignore_errors=True)


@pytest.fixture(scope="session")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data directory that this test run's embedded mongod works in."""
    base = tmp_path_factory.getbasetemp()
    return (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / RECORD


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def mongo_url(data_dir: Path) -> AsyncIterator[SecretStr]:
    """Connection string of the shared mongod, as its administrator."""
    async with embedded(Settings(data_dir=data_dir, mongo=Mongo(cache_gb=0.25))):
        address = admin_url(data_dir)
        client: AsyncMongoClient[dict[str, Any]] = connect(address, Settings(data_dir=data_dir))
        async with client:
            # The files of what was dropped go now and not after five minutes: every one of them makes the next index slower.
            await client.admin.command({"setParameter": 1, "minSnapshotHistoryWindowInSeconds": KEPT_SECONDS})
        yield address


def admin_url(data_dir: Path) -> SecretStr:
    """Return the connection string of the administrator of the mongod that works in a directory."""
    return SecretStr(url(Mongod(data_dir, 0.25).address, "admin", Accounts.open(data_dir, fresh=False).admin))


async def dropped(data_dir: Path, *names: str) -> None:
    """Drop databases, each with its audit database."""
    client: AsyncMongoClient[dict[str, Any]] = connect(admin_url(data_dir), Settings(data_dir=data_dir))
    async with client:
        for name in names:
            await client.drop_database(name)
            await client.drop_database(f"{name}_audit")


@pytest.fixture
def database_name() -> str:
    """A database name that no other test has."""
    return f"test_{uuid4().hex[:16]}"


@pytest.fixture
def fresh() -> Callable[[str], str]:
    """Return a maker of names that nobody else uses."""

    def make(prefix: str) -> str:
        return f"{prefix}-{uuid4().hex[:12]}"

    return make


@pytest.fixture
def settings(data_dir: Path, mongo_url: SecretStr, database_name: str) -> Settings:
    """Settings whose record is `database`; `embedded(settings)` joins the shared mongod as the application's user."""
    return Settings(data_dir=data_dir, mongo=Mongo(database=database_name, cache_gb=0.25))


@pytest_asyncio.fixture(loop_scope="session")
async def database(
    mongo_url: SecretStr, settings: Settings, database_name: str
) -> AsyncIterator[AsyncDatabase[dict[str, Any]]]:
    """An empty database, dropped afterwards with its audit database."""
    client: AsyncMongoClient[dict[str, Any]] = connect(mongo_url, settings)
    async with client:
        yield client[database_name]
        await client.drop_database(database_name)
        await client.drop_database(f"{database_name}_audit")


@pytest.fixture(scope="session")
def nursery() -> Iterator[Nursery]:
    """What starts `fhir-server`."""
    with nursing() as nursery:
        yield nursery


@pytest.fixture(scope="session")
def test_data() -> Path:
    """The reference data (official examples, Synthea bundles): `FHIR_TEST_DATA`, else `../shared/data`."""
    root = Path(__file__).parent.parent
    path = Path(os.environ.get("FHIR_TEST_DATA", root.parent / "shared" / "data")).absolute()
    if not path.is_dir():
        missing(f"{path} with the reference data is missing; set FHIR_TEST_DATA to the folder that holds it")
    return path


@pytest.fixture(scope="session")
def chromium_path() -> str:
    """The Chromium of the system; `CHROMIUM` names another one."""
    named = os.environ.get("CHROMIUM") or next((path for name in CHROMIUM if (path := shutil.which(name))), "")
    return named or missing("Chromium is not there")


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def chromium(chromium_path: str) -> "AsyncIterator[Browser]":
    """A headless Chromium."""
    from playwright.async_api import async_playwright

    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=chromium_path, args=["--no-sandbox"])
        yield browser
        await browser.close()


def missing(what: str) -> NoReturn:
    """Skip the test that needs what is not there; in CI it fails."""
    if os.environ.get("CI"):
        pytest.fail(what)
    pytest.skip(what)
