"""Searches and histories where an audit trail is kept: AuditEvents are found in it, everything else as ever.

A trail is not searched as resources are: its rows hold what happened in short, so what leads through AuditEvents from elsewhere
(chains, `_has`, `_revinclude`, a search of several types) would find but those that systems have sent. It is refused.
"""

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from msgspec.structs import replace

from fhir_server.audit.render import TYPE, Observer
from fhir_server.model.errors import InvalidParameter
from fhir_server.model.query import Where
from fhir_server.model.stored import Stored
from fhir_server.repository.events import Events, Spot, just_before
from fhir_server.repository.includes import NOTHING_INCLUDED, Includes, Known
from fhir_server.repository.pages import COUNTED, Pages, SearchPage
from fhir_server.repository.past import HistoryPage, HistoryRequest
from fhir_server.repository.reach import Reach
from fhir_server.search import page
from fhir_server.search.expression import And, Chain, Expression, Not, Or, ReverseChain
from fhir_server.search.include import WILDCARD
from fhir_server.search.page import Cursor, Inside
from fhir_server.search.parse import SearchRequest
from fhir_server.search.system import SystemRequest

SORTED = frozenset({"date", "_lastUpdated"})


@dataclass(frozen=True, slots=True)
class Trailed(Pages):
    """Pages, with the audit trail among what is searched.

    Attributes:
        observer: This server, as events name it.
        names: Whether patients are told the names of staff.
    """

    observer: Observer
    names: bool = False

    async def search(self, request: SearchRequest, reach: Reach) -> SearchPage:
        """Return a page of a search."""
        refuse_leading_through(request)
        if request.resource_type != TYPE:
            return await Pages.search(self, _without_events(request), reach)
        refuse_unfit(request)
        request = await self._resolved(request, reach)
        events = self.events(reach)
        where = await events.asked(request.expression)
        if request.summary == "count":
            return SearchPage((), (), await events.count(request, where, None), "")
        cursor = page.decode(request, self._sealing(reach))
        if cursor and cursor.inside:
            return await self._further_included(request, where, cursor, cursor.inside, events)
        found = await events.page(request, where, cursor.values if cursor else (), request.count + 1)
        matches, more = [hit for _, hit in found[: request.count]], len(found) > request.count
        end: tuple[Any, ...] = tuple(found[: request.count][-1][0]) if matches else ()
        part = NOTHING_INCLUDED
        if matches and (request.includes or request.revincludes):
            known = [Known(TYPE, hit.id, hit.envelope) for hit in matches]
            part = await self._follows(reach).part(request.includes, request.revincludes, known, None)
        following = ""
        if part.last:
            inside = Inside(end, more, *part.last)
            start = cursor.values if cursor else just_before(found[0][0])
            following = self._sealed(Cursor(start, inside), request, reach)
        elif more:
            following = self._sealed(Cursor(end), request, reach)
        is_all = not (cursor and cursor.values) and not more
        total = len(matches) if is_all else await self._number_of(request, where, events)
        return SearchPage(matches, part.resources, total, following)

    async def across(self, request: SystemRequest, reach: Reach) -> SearchPage:
        """Return a page of a search of several types, of which AuditEvent is none."""
        if any(name == "_type" and TYPE in value.split(",") for name, value in request.shape.applied):
            raise InvalidParameter(
                "AuditEvent is searched by itself. Send GET AuditEvent?…, and leave it out of _type.",
                expression="http._type",
            )
        for part in request.parts:
            refuse_leading_through(part)
        parts = tuple(_without_events(part) for part in request.parts if part.resource_type != TYPE)
        if not parts:
            return SearchPage((), (), 0, "")
        return await Pages.across(self, dataclasses.replace(request, parts=parts), reach)

    async def history(self, request: HistoryRequest, reach: Reach) -> HistoryPage:
        """Return a page of versions; an event has one.

        Raises:
            InvalidParameter: The history of all events is asked for.
        """
        if request.type_name != TYPE:
            return await Pages.history(self, request, reach)
        if not request.id:
            raise InvalidParameter(
                "Events are never changed, so the history of AuditEvent is a search of it: AuditEvent?_sort=-_lastUpdated, with "
                "_lastUpdated=gt… for _since.",
                expression="http._history",
            )
        found = await self.event(TYPE, request.id, reach)
        if found is None:
            return await Pages.history(self, request, reach)
        moment = found.last_updated
        is_within = request.since is None or moment >= request.since
        if request.at is not None:
            is_within = is_within and moment <= request.at.high
        versions = [found] if is_within and not request.cursor else []
        return HistoryPage(versions, len(versions), await self.store.horizon(), "")

    async def event(self, resource_type: str, resource_id: str, reach: Reach, vid: int = 1) -> Stored | None:
        """Return the one version of an event, `None` where there is none that the caller may read."""
        if resource_type != TYPE or vid != 1:
            return None
        hit = await self.events(reach).read(resource_id)
        return Stored(TYPE, hit.id, 1, hit.envelope["lu"], hit.body, "POST", envelope=hit.envelope) if hit else None

    def events(self, reach: Reach) -> Events:
        """Return what reads the events that a caller reaches."""
        return Events(self.store, self.definitions, self.observer, reach, self.names)

    async def _further_included(
        self, request: SearchRequest, where: Where, cursor: Cursor, inside: Inside, events: Events
    ) -> SearchPage:
        """Return the next part of what the events of an earlier page include."""
        until, known = Spot(*inside.until), list[Known]()
        start: tuple[Any, ...] = cursor.values
        while start != until:
            found = await events.page(request, where, start, request.count)
            if not found:
                break
            for spot, hit in found:
                start = spot
                known.append(Known(TYPE, hit.id, hit.envelope))
                if spot == until:
                    break
        after = (inside.resource_type, inside.id)
        part = await self._follows(events.reach).part(request.includes, request.revincludes, known, after)
        following = ""
        if part.last:
            further = replace(inside, resource_type=part.last[0], id=part.last[1])
            following = self._sealed(replace(cursor, inside=further), request, events.reach)
        elif inside.more:
            following = self._sealed(Cursor(inside.until), request, events.reach)
        return SearchPage((), part.resources, await self._number_of(request, where, events), following)

    async def _number_of(self, request: SearchRequest, where: Where, events: Events) -> int | None:
        return await events.count(request, where, COUNTED[request.total]) if request.total in COUNTED else None

    def _follows(self, reach: Reach) -> Includes:
        return Includes(self.store, self.definitions, self.limits.max_includes, reach)


def refuse_unfit(request: SearchRequest) -> None:
    """Refuse forms of a search that the trail cannot answer.

    Raises:
        InvalidParameter: One is asked for.
    """
    if [key.param.code for key in request.sort if key.param.code not in SORTED] or len(request.sort) > 1:
        raise InvalidParameter(
            "The audit trail is sorted by time: _sort=date, -date, _lastUpdated or -_lastUpdated, one of them.",
            expression="http._sort",
        )
    if request.contained != "false":
        raise InvalidParameter("Events contain no resources. Leave _contained out.", expression="http._contained")
    if request.explain:
        raise InvalidParameter(
            "Searches of the audit trail are not explained. Leave _explain out.", expression="http._explain"
        )


def refuse_leading_through(request: SearchRequest) -> None:
    """Refuse a search that leads through AuditEvents from elsewhere.

    Raises:
        InvalidParameter: It does.
    """
    if any(_led(request.expression)):
        raise InvalidParameter(
            "AuditEvents are not searched through other resources, by chains or _has. Search AuditEvent by itself, by entity, "
            "patient or agent.",
            expression="http._has",
        )
    for each in (*request.includes, *request.revincludes):
        if each.source_type == TYPE and request.resource_type != TYPE and each.param != WILDCARD:
            raise InvalidParameter(
                "AuditEvents are not included in searches of other types. Search AuditEvent by entity or patient.",
                expression="http._revinclude",
            )


def _led(expression: Expression) -> Iterator[bool]:
    match expression:
        case And(items) | Or(items):
            for item in items:
                yield from _led(item)
        case Not(item):
            yield from _led(item)
        case Chain(_, targets):
            yield [name for name, _ in targets] == [TYPE]
            for _, item in targets:
                yield from _led(item)
        case ReverseChain(param, _, item):
            yield param.resource_type == TYPE
            yield from _led(item)


def _without_events(request: SearchRequest) -> SearchRequest:
    """Return a search whose `*` includes no events."""
    if not any(each.source_type == TYPE for each in request.revincludes):
        return request
    return replace(request, revincludes=tuple(each for each in request.revincludes if each.source_type != TYPE))
