"""What searches by words and by typed identifiers cost: keys and documents examined."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from msgspec.structs import replace
from pymongo.asynchronous.database import AsyncDatabase

from fhir_server.model.query import ANYTHING
from fhir_server.search.compile import plan
from fhir_server.search.expression import InText
from fhir_server.search.index import Indexer
from fhir_server.search.layout import indexes
from fhir_server.search.parse import parse
from fhir_server.settings import Search
from fhir_server.store import Store
from profiles.definitions.registry import Definitions
from terminology.ucum.ucum import Ucum
from tests.search.shelf import Shelf

KIND = "http://terminology.hl7.org/CodeSystem/v2-0203"
MANY = 1000


@pytest_asyncio.fixture(loop_scope="session")
async def told(database: AsyncDatabase[dict[str, Any]], definitions: Definitions) -> AsyncIterator[Shelf]:
    """A thousand patients with stories, on a shelf that stores words."""
    store = await Store.open(database, lambda resource_type: indexes(resource_type, definitions, texts=True))
    indexer = Indexer(definitions, "https://example.org/fhir", units=Ucum.load(), texts=True)
    shelf = Shelf(store, database, indexer, definitions)
    await shelf.put(*(patient(number) for number in range(MANY)))
    yield shelf
    await store.close()


def patient(number: int) -> dict[str, Any]:
    story = f"common {'rare' if number % 100 == 0 else 'usual'} story{number}"
    return {
        "resourceType": "Patient",
        "id": f"p{number}",
        "text": {"status": "generated", "div": f"<div>{story}</div>"},
        "identifier": [
            {
                "type": {"coding": [{"system": KIND, "code": "MR"}]},
                "system": f"urn:{number % 7}",
                "value": f"{number // 2}",
            }
        ],
    }


@pytest.mark.parametrize(
    ("query", "found", "most"),
    [
        (f"identifier:of-type={KIND}|MR|17", 2, 3),
        ("_content=rare", 10, 11),
        ("_text=rare", 10, 11),
        ("_text=story77*", 11, 13),
        ('_text="usual story501"', 1, 2),
        ("_content=common&_count=20", 21, 22),
        ("_content=common and rare", 10, 12),
    ],
)
async def test_indexes_serve_words_and_typed_identifiers(told: Shelf, query: str, found: int, most: int) -> None:
    pairs = tuple((name, value) for name, _, value in (pair.partition("=") for pair in query.split("&")))
    request = parse("Patient", pairs, told.definitions, Search(text="on"), strict=True, reading=told.indexer.reading)
    item = request.expression.item if isinstance(request.expression, InText) else request.expression
    keys, documents, returned = await told.keys_and_docs(
        plan(replace(request, expression=item), ANYTHING, None, told.definitions)
    )
    assert returned == found
    assert documents <= keys <= most
