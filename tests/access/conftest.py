"""Houses for the session, and their people; tests that write keep apart by their own ids."""

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest_asyncio
from pydantic import SecretStr

from tests.access.house import STAFF, Caller, House
from tests.access.neighbours import admitted, founded
from tests.access.record import recorded


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def house(data_dir: Path, mongo_url: SecretStr) -> AsyncIterator[House]:
    """A house with its record."""
    async with recorded(data_dir) as house:
        yield house


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def workshop(data_dir: Path, mongo_url: SecretStr) -> AsyncIterator[House]:
    """A house of its own for tests in which patients write, so that others find what they expect to find."""
    async with recorded(data_dir) as house:
        yield house


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def neighbours(data_dir: Path, mongo_url: SecretStr) -> AsyncIterator[House]:
    """A house of two facilities of a network, and a third one."""
    async with founded(data_dir) as house:
        yield house


@pytest_asyncio.fixture(loop_scope="session")
async def doctor(house: House) -> Caller:
    """A doctor of the whole house."""
    return await house.as_("user/*.cruds", user=STAFF)


@pytest_asyncio.fixture(loop_scope="session")
async def ann(house: House) -> Caller:
    """A patient who reads and writes."""
    return await house.as_("patient/*.cruds", user="u-ann", patient="ann")


@pytest_asyncio.fixture(loop_scope="session")
async def patient(house: House, fresh: Callable[[str], str]) -> str:
    """A patient of the hospital, among neighbours."""
    return await admitted(house, fresh("pat"))


@pytest_asyncio.fixture(loop_scope="session")
async def gp(house: House) -> Caller:
    """A doctor of the surgery, among neighbours."""
    return await house.as_("user/*.cruds", user="u-gp", role="gp")


@pytest_asyncio.fixture(loop_scope="session")
async def surgeon(house: House) -> Caller:
    """A doctor of the hospital, among neighbours."""
    return await house.as_("user/*.cruds", user="u-surgeon", role="surgeon")
