"""One page of a search of several types: their next entries merged by one order.

Each type is asked for the keys of its next entries only; the resources are read for those that make the page. The order is
that of the sort keys, then that of the names of the types, so that a page ends at one place in all of them.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec
from msgspec.structs import replace

from fhir_server.model.query import Query, Where
from fhir_server.model.stored import Hit
from fhir_server.repository.includes import Known
from fhir_server.repository.places import Place, Places, goes_up, moves, sorted_by
from fhir_server.repository.reach import Reach
from fhir_server.search.page import Cursor
from fhir_server.search.params import params
from fhir_server.search.parse import SearchRequest
from fhir_server.search.sort import Order, order
from fhir_server.store import Store
from profiles.definitions.registry import Definitions

AT_ONCE = 16
"""Types that are asked at the same time: a share of the connections, so that other requests find some, too."""


MOST_SHOWN = 100
"""Entries that a paging link names one by one."""

WIDER = 200
"""By how much a stretch that is looked at again is read wider than the page that it was: others may have written into it."""


class Found(msgspec.Struct, frozen=True):
    """The matches of a page.

    Attributes:
        matches: The resources, in their order.
        end: The values of the last one's sort keys, of several types with the name of its type; empty without matches.
        more: Whether matches follow.
        since: The moment whose order is kept; `None` where that of each page is taken.
        shown: Type and id of what was shown at a place that is newer.
    """

    matches: Sequence[Hit]
    end: tuple[Any, ...]
    more: bool
    since: datetime | None = None
    shown: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Across:
    """Reads pages over several types.

    Attributes:
        store: The database.
        definitions: Parameters of the types.
        reach: What the caller may search.
    """

    store: Store
    definitions: Definitions
    reach: Reach

    async def page(self, parts: Sequence[SearchRequest], cursor: Cursor | None, fields: tuple[str, ...]) -> Found:
        """Return the resources of a page.

        Args:
            parts: The search of each type, with chains resolved; of several types, the order must be one of values that
                every resource has.
            cursor: The end of the page before.
            fields: Envelope fields that the resources are to have.
        """
        places = await self.places(parts, cursor)
        count = parts[0].count
        shown = places[:count]
        end = (*shown[-1].values, shown[-1].resource_type) if shown else ()
        since, named = met(shown, cursor, self.order(parts[0])) if cursor else (None, ())
        return Found(await self.read(shown, fields), end, len(places) > count, since, named)

    async def stretch(
        self,
        parts: Sequence[SearchRequest],
        cursor: Cursor | None,
        until: tuple[Any, ...],
        fields: tuple[str, ...],
    ) -> list[Known]:
        """Return all matches between two places of the order, the second one among them.

        Args:
            parts: The search of each type, with chains resolved.
            cursor: The first place, `None` for the beginning.
            until: The values of the second place, with its type.
            fields: Envelope fields that are needed of the matches.
        """
        wide = [replace(part, count=part.count + WIDER) for part in parts]
        by, found = self.order(parts[0]), list[Place]()
        while True:
            places = await self.places(wide, cursor)
            for place in places:
                if _is_beyond(place, until, by):
                    return await self._known(found, fields)
                found.append(place)
            if len(places) <= wide[0].count:
                return await self._known(found, fields)
            end = (*found[-1].values, found[-1].resource_type)
            cursor = replace(cursor, values=end) if cursor else Cursor(end)

    async def places(self, parts: Sequence[SearchRequest], cursor: Cursor | None) -> list[Place]:
        """Return the next places, one more than a page holds where more follow."""
        places: list[Place] = []
        # A unit of work says one thing at a time.
        width = AT_ONCE if self.reach.session is None else 1
        for start in range(0, len(parts), width):
            asked = [self._places(part, cursor) for part in parts[start : start + width]]
            for found in await asyncio.gather(*asked):
                places += found
        shown = sorted_by(places, self.order(parts[0])) if len(parts) > 1 else places
        return shown[: parts[0].count + 1]

    def moves(self, parts: Sequence[SearchRequest]) -> bool:
        """Return whether updates move resources in the order of this search."""
        return moves(self.order(parts[0]).sort)

    def order(self, part: SearchRequest) -> Order:
        """Return the order of a search."""
        return order(part.sort, params(part.resource_type, self.definitions))

    async def _places(self, part: SearchRequest, cursor: Cursor | None) -> list[Place]:
        """Return the places of the next entries of one type, one more than a page holds."""
        return await Places(self.store, self.definitions, self.reach, part).after(cursor)

    async def read(self, places: Sequence[Place], fields: tuple[str, ...]) -> list[Hit]:
        """Return the resources of places, in their order; one that was deleted meanwhile is left out."""
        by_type: dict[str, list[str]] = {}
        for place in places:
            by_type.setdefault(place.resource_type, []).append(place.id)
        found: Mapping[tuple[str, str], Hit] = {
            (stored.resource_type, stored.id): stored
            for name, ids in by_type.items()
            for stored in await self.store.find(self._by_id(name, ids, fields), self.reach.session)
        }
        keys = [(place.resource_type, place.id) for place in places]
        return [found[key] for key in keys if key in found]

    async def _known(self, places: Sequence[Place], fields: tuple[str, ...]) -> list[Known]:
        """Return the matches at places, with the fields where any are needed."""
        keys = [(place.resource_type, place.id) for place in places]
        rows: dict[tuple[str, str], Mapping[str, Any]] = {key: {} for key in keys} if not fields else {}
        for name in sorted({name for name, _ in keys}) if fields else ():
            ids = [one for of, one in keys if of == name]
            for row in await self.store.rows(self._by_id(name, ids, fields), self.reach.session):
                rows[name, row["_id"]] = row
        return [Known(*key, rows[key]) for key in keys if key in rows]

    def _by_id(self, resource_type: str, ids: Sequence[str], fields: tuple[str, ...]) -> Query:
        where = Where("clause", {"_id": {"$in": list(ids)}}) & self.reach.where_of(resource_type)
        return Query(resource_type, where, (("_id", 1),), len(ids), "_id_", fields)


def met(places: Sequence[Place], cursor: Cursor, by: Order) -> tuple[datetime | None, tuple[str, ...]]:
    """Return the moment whose order the next page keeps, and what was shown that it must not show where it stood.

    That can only be where the newest come first. Too much of it does not fit a link; then each page takes its own order.
    """
    if cursor.since is None or goes_up(by):
        return cursor.since, ()
    shown = (*cursor.shown, *(place.key for place in places if place.values[0] > cursor.since))
    return (cursor.since, shown) if len(shown) <= MOST_SHOWN else (None, ())


def _is_beyond(place: Place, until: tuple[Any, ...], by: Order) -> bool:
    values, (*end, ended_in) = place.values, until
    return by.is_beyond(values, tuple(end)) or (values == tuple(end) and place.resource_type > ended_in)
