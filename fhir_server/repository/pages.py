"""Runs searches and histories: plans joined with the caller's filter, includes, totals, paging links."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from fhir_server.model.errors import TooCostly
from fhir_server.model.query import Query, Where
from fhir_server.model.request import Pairs
from fhir_server.model.stored import Stored
from fhir_server.repository.across import Across
from fhir_server.repository.chains import Chains, WhereOf
from fhir_server.repository.past import HistoryPage, HistoryRequest, past
from fhir_server.search import include, page
from fhir_server.search.chain import is_open
from fhir_server.search.compile import compile as compiled
from fhir_server.search.compile import plan
from fhir_server.search.include import Include
from fhir_server.search.page import Cursor
from fhir_server.search.parse import SearchRequest, parse
from fhir_server.search.reading import Reading
from fhir_server.search.sort import values
from fhir_server.search.system import SystemRequest
from fhir_server.settings import Search
from fhir_server.store import Store
from profiles.definitions.registry import Definitions

MOST_WAVES = 10
ESTIMATE = 10_000


@dataclass(frozen=True, slots=True)
class SearchPage:
    """One page of a search.

    Attributes:
        matches: What the search found, in its order.
        included: What `_include` and `_revinclude` added.
        total: Number of all matches, `None` where it was not asked for and is not known anyway.
        next: Token of the next page, empty on the last.
    """

    matches: Sequence[Stored]
    included: Sequence[Stored]
    total: int | None
    next: str


@dataclass(frozen=True, slots=True)
class Pages:
    """Runs searches and histories.

    Attributes:
        store: The database.
        definitions: FHIR definitions.
        limits: Settings of search.
        secret: Seals paging links.
        reading: How the values of queries are read.
    """

    store: Store
    definitions: Definitions
    limits: Search
    secret: bytes
    reading: Reading

    async def search(self, request: SearchRequest, where_of: WhereOf, session: Any) -> SearchPage:
        """Return a page of a search.

        Raises:
            TooCostly: It takes too long, or includes more than one page may hold.
            InvalidParameter: The paging link is not ours.
            Gone: The paging link has expired.
        """
        resource_type = request.resource_type
        request = await self._resolved(request, where_of, session)
        if request.summary == "count":
            where = compiled(request.expression, resource_type, self.definitions) & where_of(resource_type)
            return SearchPage((), (), await self.store.count(resource_type, where, None, session), "")
        cursor = page.decode(request, self.secret, self.limits.cursor_hours)
        query = plan(request, where_of(resource_type), cursor, self.definitions)
        if request.includes:
            query = replace(query, fields=tuple({*query.fields, *include.FIELDS}))
        found = await self.store.find(query, session)
        matches = found[: request.count]
        following = self._next(request, query, matches[-1]) if len(found) > request.count else ""
        total = len(matches) if not following and cursor is None else await self._total(request, where_of, session)
        return SearchPage(matches, await self._included(request, matches, where_of, session), total, following)

    async def across(self, request: SystemRequest, where_of: WhereOf, session: Any) -> SearchPage:
        """Return a page of a search of several types.

        Raises:
            TooCostly: It takes too long, or includes more than one page may hold.
            InvalidParameter: The paging link is not ours.
            Gone: The paging link has expired.
        """
        shape = request.shape
        parts = [await self._resolved(part, where_of, session) for part in request.parts]
        if shape.summary == "count":
            return SearchPage((), (), await self._sum(parts, None, where_of, session), "")
        cursor = page.decode(request, self.secret, self.limits.cursor_hours)
        fields = include.FIELDS if shape.includes else ()
        matches, end = await Across(self.store, self.definitions, where_of, session).page(parts, cursor, fields)
        total = len(matches) if not end and cursor is None else None
        if total is None and shape.total in {"accurate", "estimate"}:
            total = await self._sum(parts, ESTIMATE if shape.total == "estimate" else None, where_of, session)
        included = await self._included(shape, matches, where_of, session)
        return SearchPage(matches, included, total, page.encode(end, request, self.secret) if end else "")

    async def matches(
        self, resource_type: str, pairs: Pairs, where_of: WhereOf, most: int, session: Any
    ) -> list[Stored]:
        """Return at most `most` matches of a condition.

        Raises:
            InvalidParameter: It is not a valid search.
            TooCostly: It takes too long, or a chain leads to too much.
        """
        request = parse(resource_type, pairs, self.definitions, self.limits, strict=True, reading=self.reading)
        request = await self._resolved(replace(request, count=most - 1, sort=()), where_of, session)
        query = plan(request, where_of(resource_type), None, self.definitions)
        return await self.store.find(query, session)

    async def history(self, request: HistoryRequest, where_of: WhereOf, session: Any) -> HistoryPage:
        """Return a page of versions."""
        hours = self.limits.cursor_hours
        return await past(self.store, request, where_of, secret=self.secret, hours=hours, session=session)

    async def _resolved(self, request: SearchRequest, where_of: WhereOf, session: Any) -> SearchRequest:
        """Return the search without chains: with criteria on what they lead to."""
        if not is_open(request.expression):
            return request
        chains = Chains(self.store, self.definitions, self.limits.max_chain, where_of, session, self.reading)
        return replace(request, expression=await chains.resolved(request.resource_type, request.expression))

    def _next(self, request: SearchRequest, query: Query, last: Stored) -> str:
        return page.encode(Cursor(values(query.sort, last.envelope)), request, self.secret)

    async def _sum(self, parts: Sequence[SearchRequest], most: int | None, where_of: WhereOf, session: Any) -> int:
        """Return the number of matches of several types."""
        found = 0
        for part in parts:
            where = compiled(part.expression, part.resource_type, self.definitions) & where_of(part.resource_type)
            found += await self.store.count(part.resource_type, where, most, session)
        return found if most is None else min(found, most)

    async def _total(self, request: SearchRequest, where_of: WhereOf, session: Any) -> int | None:
        if request.total not in {"accurate", "estimate"}:
            return None
        resource_type = request.resource_type
        where = compiled(request.expression, resource_type, self.definitions) & where_of(resource_type)
        most = ESTIMATE if request.total == "estimate" else None
        return await self.store.count(resource_type, where, most, session)

    async def _included(
        self, request: SearchRequest, matches: Sequence[Stored], where_of: WhereOf, session: Any
    ) -> list[Stored]:
        """Return what the includes add, wave by wave: after the first only those that iterate."""
        if not (request.includes or request.revincludes):
            return []
        seen = {(stored.resource_type, stored.id) for stored in matches}
        added: list[Stored] = []
        wave: Sequence[Stored] = matches
        forward, backward = request.includes, request.revincludes
        for _ in range(MOST_WAVES):
            if not wave or not (forward or backward):
                break
            found = await self._forward(forward, wave, seen, where_of, session)
            found += await self._backward(backward, wave, where_of, session)
            wave = _new(found, seen)
            added += wave
            if len(added) > self.limits.max_includes:
                raise TooCostly(
                    f"The includes of this page add more than {self.limits.max_includes} resources. Ask for smaller pages "
                    "with _count, or include less.",
                    expression="http._include",
                )
            forward = tuple(each for each in forward if each.iterate)
            backward = tuple(each for each in backward if each.iterate)
        return added

    async def _forward(
        self,
        includes: Sequence[Include],
        wave: Sequence[Stored],
        seen: set[tuple[str, str]],
        where_of: WhereOf,
        session: Any,
    ) -> list[Stored]:
        ids: dict[str, dict[str, None]] = {}
        for stored in wave:
            for text in include.targets(includes, stored.resource_type, stored.envelope, self.definitions):
                resource_type, _, resource_id = text.partition("/")
                if (resource_type, resource_id) not in seen and resource_type in self.definitions.resource_types:
                    ids.setdefault(resource_type, {})[resource_id] = None
        found: list[Stored] = []
        for resource_type, wanted in ids.items():
            where = Where("clause", {"_id": {"$in": list(wanted)}}) & where_of(resource_type)
            found += await self.store.find(_of(resource_type, where, len(wanted), "_id_"), session)
        return found

    async def _backward(
        self, includes: Sequence[Include], wave: Sequence[Stored], where_of: WhereOf, session: Any
    ) -> list[Stored]:
        by_type: dict[str, list[str]] = {}
        for stored in wave:
            by_type.setdefault(stored.resource_type, []).append(stored.id)
        found: list[Stored] = []
        for each in includes:
            for resource_type, instances in by_type.items():
                expression = include.sources(each, resource_type, instances, self.definitions)
                where = compiled(expression, each.source_type, self.definitions) & where_of(each.source_type)
                found += await self.store.find(_of(each.source_type, where, self.limits.max_includes + 1), session)
        return found


def _of(resource_type: str, where: Where, limit: int, hint: str | None = None) -> Query:
    return Query(resource_type, where, (("_id", 1),), limit, hint, include.FIELDS)


def _new(found: Iterable[Stored], seen: set[tuple[str, str]]) -> list[Stored]:
    """Return those that were not seen yet, each once, and remember them."""
    new: list[Stored] = []
    for stored in found:
        key = (stored.resource_type, stored.id)
        if key not in seen:
            seen.add(key)
            new.append(stored)
    return new
