"""Resources in a real MongoDB, searched by query strings as the repository does it."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any
from urllib.parse import parse_qsl

from pymongo.asynchronous.database import AsyncDatabase

from fhir_server.model.query import ANYTHING, Query, Where
from fhir_server.model.stored import Hit
from fhir_server.search import page
from fhir_server.search.compile import plan
from fhir_server.search.index import Indexer
from fhir_server.search.page import Cursor, Sealing
from fhir_server.search.params import params
from fhir_server.search.parse import SearchRequest, parse
from fhir_server.search.sort import order
from fhir_server.settings import Search
from fhir_server.store import Store
from profiles.definitions.registry import Definitions

SEALING = Sealing(b"k" * 32, 1)
START = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass(slots=True)
class Shelf:
    """A store with its indexes, filled without the write path."""

    store: Store
    database: AsyncDatabase[Any]
    indexer: Indexer
    definitions: Definitions
    numbers: Any = field(default_factory=lambda: count(1))

    def document(self, resource: dict[str, Any], **envelope: Any) -> dict[str, Any]:
        """Return the stored document of a resource; later ones are newer."""
        number = next(self.numbers)
        updated = START + timedelta(seconds=number)
        entries = self.indexer.entries(resource)
        return {
            "_id": resource["id"],
            "v": 1,
            "m": "PUT",
            "lu": updated,
            "o": number,
            **entries,
            "j": b"{}",
            **envelope,
        }

    async def put(self, *resources: dict[str, Any], **envelope: Any) -> list[dict[str, Any]]:
        """Store resources and return their documents."""
        documents = [self.document(resource, **envelope) for resource in resources]
        by_type: dict[str, list[dict[str, Any]]] = {}
        for resource, document in zip(resources, documents, strict=True):
            by_type.setdefault(resource["resourceType"], []).append(document)
        await self.store.prepare(by_type)
        for resource_type, rows in by_type.items():
            await self.database[resource_type].insert_many(rows)
        return documents

    def request(self, resource_type: str, query: str) -> SearchRequest:
        """Return the search of a query string."""
        return self.request_of(resource_type, parse_qsl(query))

    def request_of(self, resource_type: str, pairs: Sequence[tuple[str, str]]) -> SearchRequest:
        """Return the search of decoded pairs."""
        return parse(resource_type, tuple(pairs), self.definitions, Search(), strict=True, reading=self.indexer.reading)

    def query(self, resource_type: str, query: str, access: Where = ANYTHING) -> Query:
        """Return the plan of the first page."""
        return plan(self.request(resource_type, query), access, None, self.definitions)

    async def ids(self, resource_type: str, query: str = "", access: Where = ANYTHING) -> list[str]:
        """Return the ids on the first page, in order."""
        request = self.request(resource_type, query)
        return [
            found.id
            for found in (await self.store.find(plan(request, access, None, self.definitions)))[: request.count]
        ]

    async def walk(self, resource_type: str, query: str, access: Where = ANYTHING) -> list[list[str]]:
        """Return the ids of all pages, following tokens."""
        pages: list[list[str]] = []
        token = ""
        while True:
            request = self.request(resource_type, f"{query}&_cursor={token}" if token else query)
            cursor = page.decode(request, SEALING)
            found: Sequence[Hit] = await self.store.find(plan(request, access, cursor, self.definitions))
            shown = found[: request.count]
            pages.append([stored.id for stored in shown])
            if len(found) <= request.count:
                return pages
            by = order(request.sort, params(resource_type, self.definitions))
            last = shown[-1]
            values = by.values(last.envelope)
            token = page.encode(Cursor(values), request, SEALING)

    async def keys_and_docs(self, query: Query) -> tuple[int, int, int]:
        """Return keys examined, documents examined and documents returned, as MongoDB counts them."""
        command: dict[str, Any] = {
            "find": query.resource_type,
            "filter": query.where.clause,
            "sort": dict(query.sort),
            "limit": query.limit,
            **({"hint": query.hint} if query.hint else {}),
        }
        explained = await self.database.command("explain", command, verbosity="executionStats")
        stats = explained["executionStats"]
        return stats["totalKeysExamined"], stats["totalDocsExamined"], stats["nReturned"]
