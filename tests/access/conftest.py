"""One house with its record for the session; tests that write keep apart by their own ids."""

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from uuid import uuid4

import pytest
import pytest_asyncio
from pydantic import SecretStr

from tests.access import record
from tests.access.house import House, opened


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def house(data_dir: Path, mongo_url: SecretStr) -> AsyncIterator[House]:
    async with opened(data_dir) as house:
        for one in record.everything():
            await house.service.repository.update(one["resourceType"], one["id"], one)
        yield house


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def workshop(data_dir: Path, mongo_url: SecretStr) -> AsyncIterator[House]:
    """A house of its own for tests in which patients write, so that others find what they expect to find."""
    async with opened(data_dir) as house:
        for one in record.everything():
            await house.service.repository.update(one["resourceType"], one["id"], one)
        yield house


@pytest.fixture
def fresh() -> Callable[[str], str]:
    """Return a maker of ids that nobody else uses."""

    def make(prefix: str) -> str:
        return f"{prefix}-{uuid4().hex[:12]}"

    return make
