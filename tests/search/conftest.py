"""Definitions and official examples for the tests of search."""

import tarfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from pymongo.asynchronous.database import AsyncDatabase

from fhir_server.model.json import decode
from fhir_server.search.index import Indexer
from fhir_server.search.layout import indexes
from fhir_server.store import Store
from profiles.definitions.registry import Definitions, load
from terminology.ucum.ucum import Ucum
from tests.search.shelf import Shelf

Resource = dict[str, Any]


@pytest.fixture(scope="session")
def definitions() -> Definitions:
    """The shipped definitions."""
    return load()


@pytest.fixture(scope="session")
def indexer(definitions: Definitions) -> Indexer:
    """An indexer of a server at https://example.org/fhir."""
    return Indexer(definitions, "https://example.org/fhir", units=Ucum.load())


@pytest.fixture(scope="session")
def examples(test_data: Path, definitions: Definitions) -> dict[str, Resource]:
    """The official R4 examples by `Type/id`."""
    found: dict[str, Resource] = {}
    with tarfile.open(test_data / "examples" / "hl7.fhir.r4.examples-4.0.1.instances.tgz") as archive:
        for member in archive:
            file = archive.extractfile(member) if member.name.endswith(".json") else None
            resource = decode(file.read()) if file else {}
            if resource.get("resourceType") in definitions.resource_types:
                found[f"{resource['resourceType']}/{resource['id']}"] = resource
    return found


@pytest_asyncio.fixture(loop_scope="session")
async def shelf(
    database: AsyncDatabase[dict[str, Any]], indexer: Indexer, definitions: Definitions
) -> AsyncIterator[Shelf]:
    """An empty database with its indexes, to put resources in and search them."""
    store = await Store.open(database, lambda resource_type: indexes(resource_type, definitions))
    yield Shelf(store, database, indexer, definitions)
    await store.close()
