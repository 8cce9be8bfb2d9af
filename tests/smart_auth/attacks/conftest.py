"""One server for all tests of a module."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest_asyncio
from pydantic import SecretStr

from tests.smart_auth.inferno.site import Site, standing


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def site(data_dir: Path, mongo_url: SecretStr) -> AsyncIterator[Site]:
    async with standing(data_dir, mongo_url, registration="open") as site:
        yield site
