"""A store on a database of its own, and a second one as another process would have it."""

from collections.abc import AsyncIterator
from typing import Any

import pytest_asyncio
from pymongo.asynchronous.database import AsyncDatabase

from fhir_server.store import Store
from tests.store.records import indexes_of


@pytest_asyncio.fixture(loop_scope="session")
async def store(database: AsyncDatabase[dict[str, Any]]) -> AsyncIterator[Store]:
    store = await Store.open(database, indexes_of)
    yield store
    await store.close()


@pytest_asyncio.fixture(loop_scope="session")
async def another(store: Store, database: AsyncDatabase[dict[str, Any]]) -> AsyncIterator[Store]:
    another = await Store.open(database, indexes_of)
    yield another
    await another.close()
