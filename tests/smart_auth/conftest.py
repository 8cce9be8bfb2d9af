"""A whole authorization server for each test."""

import pytest_asyncio

from tests.smart_auth.house import House


@pytest_asyncio.fixture(loop_scope="session")
async def house() -> House:
    return await House.built()
