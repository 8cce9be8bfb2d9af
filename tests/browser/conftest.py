"""What runs inside of Chromium. Without it these tests are skipped on a developer's machine and fail in CI."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.browser.town import Town, built
from tests.npm import installed


@pytest.fixture(scope="session")
def packages() -> Path:
    """The packages of package-lock.json."""
    return installed(Path(__file__).parent)


@pytest.fixture(scope="session")
def axe(packages: Path) -> str:
    """The source of axe-core."""
    return (packages / "axe-core" / "axe.min.js").read_text("utf-8")


@pytest_asyncio.fixture(loop_scope="session")
async def town() -> AsyncIterator[Town]:
    async with built() as town:
        yield town
