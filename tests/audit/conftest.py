"""A house with its record, in the mode `smart`, whose trail is looked at."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest_asyncio
from pydantic import SecretStr

from tests.access.house import House
from tests.access.record import recorded


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def house(data_dir: Path, mongo_url: SecretStr) -> AsyncIterator[House]:
    async with recorded(data_dir) as house:
        yield house
