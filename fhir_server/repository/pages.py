"""Runs searches and histories: plans joined with the caller's filter, includes, totals, paging links."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
from msgspec.structs import replace

from fhir_server.model.query import Query, Where
from fhir_server.model.request import Pairs
from fhir_server.model.stored import Hit, Stored
from fhir_server.repository.across import Across, Found, met
from fhir_server.repository.chains import Chains
from fhir_server.repository.contained import Contained
from fhir_server.repository.includes import NOTHING_INCLUDED, Includes, Known
from fhir_server.repository.lagging import lagging, refusal
from fhir_server.repository.past import HistoryPage, HistoryRequest, past
from fhir_server.repository.places import Place, Places, moves
from fhir_server.repository.reach import Reach
from fhir_server.repository.spelling import Spelling
from fhir_server.repository.trace import Trace
from fhir_server.search import contained, include, page
from fhir_server.search.chain import barred, is_open
from fhir_server.search.compile import compile as compiled
from fhir_server.search.compile import plan, rooted
from fhir_server.search.expression import Expression
from fhir_server.search.page import Cursor, Inside, Sealing
from fhir_server.search.parse import SearchRequest, parse
from fhir_server.search.reading import Reading
from fhir_server.search.sort import values
from fhir_server.search.system import SystemRequest
from fhir_server.settings import Search
from fhir_server.store import Store
from profiles.definitions.registry import Definitions

COUNTED: Mapping[str, int | None] = {"accurate": None, "estimate": 10_000}
"""How far matches are counted for each `_total` that asks for it."""

Asked = SearchRequest | SystemRequest


class SearchPage(msgspec.Struct, frozen=True):
    """One page of a search.

    Attributes:
        matches: What the search found, in its order.
        included: What `_include` and `_revinclude` added, or the next part of it.
        total: Number of all matches, `None` where it was not asked for and is not known anyway.
        next: Token of what follows: more of the included resources, or more matches; empty at the end.
        trace: What the search did, where that was asked for.
        missing: Types of which it may miss something, for now.
    """

    matches: Sequence[Hit]
    included: Sequence[Hit]
    total: int | None
    next: str
    trace: Trace | None = None
    missing: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Pages:
    """Runs searches and histories.

    Attributes:
        store: The database.
        definitions: FHIR definitions.
        limits: Settings of search.
        secret: Seals paging links.
        reading: How the values of queries are read.
        spelling: Spells out codes that are named without their system.
    """

    store: Store
    definitions: Definitions
    limits: Search
    secret: bytes
    reading: Reading
    spelling: Spelling

    async def search(self, request: SearchRequest, reach: Reach) -> SearchPage:
        """Return a page of a search.

        Raises:
            TooCostly: It takes too long, or a chain or `:iterate` leads to too much.
            InvalidParameter: The paging link is not ours.
            Gone: The paging link has expired.
            Forbidden: A chain leads through a type that the caller may not search.
        """
        if request.contained != "false":
            return await self._contained(request, [request], reach)
        request = await self._resolved(request, reach)
        reach.trace.lap("chains")
        if request.summary == "count":
            return await self._number([request], reach)
        cursor = page.decode(request, self._sealing(reach))
        if cursor and cursor.inside:
            return await self._further([request], request, cursor, cursor.inside, reach)
        spelt = await self.spelling.spelt(request, reach, self.definitions)
        if spelt is not request:
            reach.trace.lap("codes")
        query = plan(spelt, reach.where_of(request.resource_type), cursor, self.definitions)
        if wanted := _fields(request, reach):
            query = replace(query, fields=tuple({*query.fields, *wanted}))
        reach.trace.queries.append(query)
        reach.trace.lap("plan")
        found = await self.store.find(query, reach.session)
        reach.trace.lap("database")
        if cursor is None and len(found) > request.count and self._is_to_keep(query, reach):
            cursor = Cursor((), since=await self.store.horizon())
            found = await self.store.find(query, reach.session)
        matches, more = found[: request.count], len(found) > request.count
        end = values(query.sort, matches[-1].envelope) if matches else ()
        if cursor is None or cursor.since is None:
            return await self._page([request], request, cursor, Found(matches, end, more), reach)
        places = [Place(page.plain(values(query.sort, one.envelope)), one.resource_type, one.id) for one in found]
        reading = Places(self.store, self.definitions, reach, spelt)
        if not await reading.is_steady(places, cursor, cursor.since):
            reach.trace.queries.clear()
            return await self._steady(spelt, cursor, reach)
        since, shown = met(places[: request.count], cursor, reading.order)
        return await self._page([request], request, cursor, Found(matches, end, more, since, shown), reach)

    async def across(self, request: SystemRequest, reach: Reach) -> SearchPage:
        """Return a page of a search of several types.

        Raises:
            TooCostly: It takes too long, or a chain or `:iterate` leads to too much.
            InvalidParameter: The paging link is not ours.
            Gone: The paging link has expired.
        """
        if request.shape.contained != "false":
            return await self._contained(request, request.parts, reach)
        parts = [await self._resolved(part, reach) for part in request.parts]
        reach.trace.lap("chains")
        return await self._together(request, parts, reach)

    async def _contained(self, asked: Asked, searched: Sequence[SearchRequest], reach: Reach) -> SearchPage:
        """Return a page of a search for contained resources, or for what contains them, each type of container asked."""
        request, types = searched[0], await self.store.types()
        inside: dict[str, Expression] = {}
        own: dict[str, Expression] = {}
        for one in searched:
            name = one.resource_type
            contained.refuse_unasked(one)
            if reach.where_of(name).kind == "nothing":  # who may not search a type does not find it inside of others
                continue
            self._refuse_barred(one.expression, reach)
            inside[name] = await self._chains(reach, types).resolved(name, one.expression)
            if one.contained == "both" and name in types:
                own[name] = (await self._resolved(one, reach)).expression
        parts = contained.parts(request, inside, own, types)
        reach.trace.lap("chains")
        if request.contained_type == "container":
            return await self._together(SystemRequest(asked.place, parts), parts, reach)
        items = {name: contained.halves(expression)[1] for name, expression in inside.items()}
        finder = Contained(self.store, self.definitions, reach, items, own)
        if request.summary == "count":
            return await self._traced(SearchPage((), (), await finder.count(parts, None), ""), request, reach)
        cursor = await self._kept(page.decode(asked, self._sealing(reach)), parts, reach)
        found = await finder.page(parts, cursor)
        reach.trace.lap("database")
        next_one = Cursor(found.end, None, found.since, found.shown)
        following = self._sealed(next_one, asked, reach) if found.more else ""
        total: int | None = None
        if not (cursor and cursor.values) and not found.more:
            total = len(found.matches)
        elif request.total in COUNTED:
            total = await finder.count(parts, COUNTED[request.total])
        return await self._traced(SearchPage(found.matches, (), total, following), request, reach)

    async def _together(self, request: SystemRequest, parts: Sequence[SearchRequest], reach: Reach) -> SearchPage:
        """Return a page of a search of several types, with chains resolved."""
        if request.shape.summary == "count":
            return await self._number(parts, reach)
        cursor = page.decode(request, self._sealing(reach))
        if cursor and cursor.inside:
            return await self._further(parts, request, cursor, cursor.inside, reach)
        cursor = await self._kept(cursor, parts, reach)
        found = await Across(self.store, self.definitions, reach).page(parts, cursor, _fields(request.shape, reach))
        reach.trace.lap("database")
        return await self._page(parts, request, cursor, found, reach)

    async def _kept(self, cursor: Cursor | None, parts: Sequence[SearchRequest], reach: Reach) -> Cursor | None:
        """Return the cursor, of a first page one that keeps its order where updates would change it."""
        if cursor is None and Across(self.store, self.definitions, reach).moves(parts) and reach.session is None:
            return Cursor((), since=await self.store.horizon())
        return cursor

    def _is_to_keep(self, query: Query, reach: Reach) -> bool:
        """Return whether the order of a first page is to be kept for those after it; a transaction sees one moment anyway."""
        return moves(query.sort) and reach.session is None

    async def _steady(self, request: SearchRequest, cursor: Cursor, reach: Reach) -> SearchPage:
        """Return a page in the order of last updates, as it was when the first page was made."""
        start = replace(cursor, values=(*cursor.values, request.resource_type)) if cursor.values else cursor
        found = await Across(self.store, self.definitions, reach).page([request], start, _fields(request, reach))
        reach.trace.lap("database")
        return await self._page([request], request, cursor, replace(found, end=found.end[:-1]), reach)

    async def matches(self, resource_type: str, pairs: Pairs, reach: Reach, most: int) -> list[Stored]:
        """Return at most `most` matches of a condition.

        Raises:
            InvalidParameter: It is not a valid search.
            TooCostly: It takes too long, or a chain leads to too much.
            Unavailable: Not all is indexed that it may match.
        """
        request = parse(resource_type, pairs, self.definitions, self.limits, strict=True, reading=self.reading)
        if missing := await self.lagging([request], reach):
            raise refusal(missing)
        request = await self._resolved(replace(request, count=most - 1, sort=()), reach)
        query = plan(request, reach.where_of(resource_type), None, self.definitions)
        return await self.store.versions(query, reach.session)

    async def where(self, request: SearchRequest, reach: Reach) -> Where:
        """Return the filter of what a search finds.

        Raises:
            TooCostly: A chain leads to too much.
            Forbidden: A chain leads through a type that the caller may not search.
        """
        request = await self._resolved(request, reach)
        name = request.resource_type
        return compiled(request.expression, name, self.definitions) & reach.where_of(name)

    async def rows(self, request: SearchRequest, reach: Reach, fields: tuple[str, ...]) -> Sequence[Mapping[str, Any]]:
        """Return `_id` and these fields of the matches of a search in their order, one more than its page holds where more follow.

        Raises:
            TooCostly: It takes too long, or a chain leads to too much.
            Forbidden: A chain leads through a type that the caller may not search.
        """
        request = await self.spelling.spelt(await self._resolved(request, reach), reach, self.definitions)
        query = plan(request, reach.where_of(request.resource_type), None, self.definitions)
        return await self.store.rows(replace(query, fields=tuple({*query.fields, *fields})), reach.session)

    async def lagging(self, parts: Sequence[SearchRequest], reach: Reach) -> list[str]:
        """Return the types of which a search may miss something, for now."""
        return await lagging(self.store, self.definitions, parts, reach)

    async def history(self, request: HistoryRequest, reach: Reach) -> HistoryPage:
        """Return a page of versions."""
        return await past(self.store, request, reach.where_of, sealing=self._sealing(reach), session=reach.session)

    async def event(self, resource_type: str, resource_id: str, reach: Reach, vid: int = 1) -> Stored | None:
        """Return a version of an event of the audit trail, `None` where none is kept or the caller may not read it."""
        return None

    async def _page(
        self, parts: Sequence[SearchRequest], asked: Asked, cursor: Cursor | None, found: Found, reach: Reach
    ) -> SearchPage:
        """Return the page of these matches, with the first part of what they include."""
        shape = parts[0]
        part = NOTHING_INCLUDED
        if shape.includes or shape.revincludes:
            known = [Known(stored.resource_type, stored.id, stored.envelope) for stored in found.matches]
            part = await self._includes(reach).part(shape.includes, shape.revincludes, known, None)
        following = ""
        if part.last:
            inside = Inside(found.end, found.more, *part.last)
            start = cursor.values if cursor else ()
            following = self._sealed(Cursor(start, inside, found.since, found.shown), asked, reach)
        elif found.more:
            following = self._sealed(Cursor(found.end, None, found.since, found.shown), asked, reach)
        reach.trace.lap("includes")
        is_all = not (cursor and cursor.values) and not found.more
        total = len(found.matches) if is_all else await self._total(parts, reach)
        return await self._traced(SearchPage(found.matches, part.resources, total, following), shape, reach)

    async def _further(
        self, parts: Sequence[SearchRequest], asked: Asked, cursor: Cursor, inside: Inside, reach: Reach
    ) -> SearchPage:
        """Return the next part of what the matches of an earlier page include."""
        shape = parts[0]
        # The places of a search of one type do not say which.
        of = () if isinstance(asked, SystemRequest) else (shape.resource_type,)
        start = replace(cursor, values=(*cursor.values, *of) if cursor.values else ())
        fields = include.FIELDS if shape.includes else ()
        across = Across(self.store, self.definitions, reach)
        known = await across.stretch(parts, start, (*inside.until, *of), fields)
        reach.trace.lap("database")
        after = (inside.resource_type, inside.id)
        part = await self._includes(reach).part(shape.includes, shape.revincludes, known, after)
        following = ""
        if part.last:
            further = replace(inside, resource_type=part.last[0], id=part.last[1])
            following = self._sealed(replace(cursor, inside=further), asked, reach)
        elif inside.more:
            following = self._sealed(replace(cursor, values=inside.until, inside=None), asked, reach)
        reach.trace.lap("includes")
        return await self._traced(
            SearchPage((), part.resources, await self._total(parts, reach), following), shape, reach
        )

    async def _number(self, parts: Sequence[SearchRequest], reach: Reach) -> SearchPage:
        """Return a page without entries, which says how many matches there are."""
        return await self._traced(SearchPage((), (), await self._count(parts, None, reach), ""), parts[0], reach)

    async def _traced(self, found: SearchPage, request: SearchRequest, reach: Reach) -> SearchPage:
        """Return the page, where it was asked for with what the search did."""
        if not request.explain:
            return found
        trace = reach.trace
        if found.total is not None:
            trace.lap("total")
        if reach.session is None:
            for query in trace.queries:
                trace.examined += await self.store.examined(query)
        return replace(found, trace=trace)

    def _includes(self, reach: Reach) -> Includes:
        return Includes(self.store, self.definitions, self.limits.max_includes, reach)

    def _sealing(self, reach: Reach) -> Sealing:
        return reach.sealing(self.secret, self.limits.cursor_hours)

    def _sealed(self, cursor: Cursor, asked: Asked, reach: Reach) -> str:
        return page.encode(cursor, asked, self._sealing(reach))

    async def _resolved(self, request: SearchRequest, reach: Reach) -> SearchRequest:
        """Return the search without chains: with criteria on what they lead to."""
        if not is_open(request.expression):
            return request
        self._refuse_barred(request.expression, reach)
        resolved = await self._chains(reach).resolved(request.resource_type, request.expression)
        return replace(request, expression=resolved)

    def _refuse_barred(self, expression: Expression, reach: Reach) -> None:
        """Refuse chains through types that the caller may not search: what they find would tell of what is in them."""
        if names := barred(expression, lambda name: reach.where_of(name).kind != "nothing"):
            reach.require(names)

    def _chains(self, reach: Reach, containers: Sequence[str] = ()) -> Chains:
        most = self.limits.max_chain
        return Chains(
            self.store, self.definitions, most, reach.where_of, reach.session, self.reading, containers, reach.codes
        )

    async def _total(self, parts: Sequence[SearchRequest], reach: Reach) -> int | None:
        asked = parts[0].total
        return await self._count(parts, COUNTED[asked], reach) if asked in COUNTED else None

    async def _count(self, parts: Sequence[SearchRequest], most: int | None, reach: Reach) -> int:
        """Return the number of matches, of several types together."""
        found = 0
        for part in parts:
            where = compiled(part.expression, part.resource_type, self.definitions) & reach.where_of(part.resource_type)
            found += await self.store.count(part.resource_type, rooted(where), most, reach.session)
        return found if most is None else min(found, most)


def _fields(request: SearchRequest, reach: Reach) -> tuple[str, ...]:
    """Return the envelope fields that are needed of matches."""
    return (*include.FIELDS, *reach.fields) if request.includes else reach.fields
