"""The next places of one type in the order of a search.

An update moves a resource in the order of last updates. Where a page has followers, that order is therefore kept as it was
when the first page was made: a resource that was there then stands where it stood, whatever is written meanwhile, so it is
met exactly once. Of what is changed, the version of that moment lies in the history.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from msgspec.structs import replace

from fhir_server.repository.reach import Reach
from fhir_server.search import page
from fhir_server.search.compile import compile as compiled
from fhir_server.search.compile import plan
from fhir_server.search.page import Cursor
from fhir_server.search.params import params
from fhir_server.search.parse import SearchRequest
from fhir_server.search.sort import Order, order
from fhir_server.search.types.date import UPDATED
from fhir_server.store import Store, Stretch
from profiles.definitions.registry import Definitions

UPWARDS = 1


@dataclass(frozen=True, slots=True)
class Place:
    """Where an entry stands in the order of all types."""

    values: tuple[Any, ...]
    resource_type: str
    id: str

    @property
    def key(self) -> str:
        """Type and id."""
        return f"{self.resource_type}/{self.id}"


@dataclass(frozen=True, slots=True)
class Places:
    """Reads the places of one type.

    Attributes:
        store: The database.
        definitions: Parameters of the types.
        reach: What the caller may search.
        part: The search, with chains resolved.
    """

    store: Store
    definitions: Definitions
    reach: Reach
    part: SearchRequest

    @property
    def order(self) -> Order:
        """The order of the search."""
        return order(self.part.sort, params(self.part.resource_type, self.definitions))

    async def after(self, cursor: Cursor | None) -> list[Place]:
        """Return the next places, one more than a page holds where more follow.

        Args:
            cursor: The end of the page before, with its type as the last of its values.
        """
        start, inclusive = None, False
        if cursor and cursor.values:
            *values, ended_in = cursor.values
            start, inclusive = tuple(values), self.part.resource_type > ended_in
        if cursor is None or cursor.since is None:
            return await self._read(start, inclusive=inclusive)
        return await self._steadily(start, cursor.since, cursor.shown, inclusive=inclusive)

    async def _read(self, start: tuple[Any, ...] | None, *, inclusive: bool) -> list[Place]:
        name = self.part.resource_type
        cursor = Cursor(start) if start else None
        query = plan(self.part, self.reach.where_of(name), cursor, self.definitions, inclusive=inclusive)
        self.reach.trace.queries.append(query)
        by = self.order
        rows = await self.store.rows(replace(query, fields=(*by.fields, "lu")), self.reach.session)
        return [Place(page.plain(by.values(row)), name, row["_id"]) for row in rows]

    async def _steadily(
        self, start: tuple[Any, ...] | None, since: datetime, shown: Sequence[str], *, inclusive: bool
    ) -> list[Place]:
        """Return the next places as they were at a moment, and of what is newer as they are."""
        by, most = self.order, self.part.count + 1
        found: list[Place] = []
        beginning, is_after_all = start, False
        while len(found) < most and not is_after_all:
            rows = await self._read(beginning, inclusive=inclusive and beginning == start)
            is_after_all = len(rows) < most
            beginning = rows[-1].values if rows else beginning
            found += await self._without_moved(rows, since, by)
        end = found[most - 1].values if len(found) >= most else None
        moved = await self._missed(found, start, end, since, shown, inclusive=inclusive)
        return sorted_by([*found, *moved], by)[:most]

    async def is_steady(self, found: Sequence[Place], cursor: Cursor, since: datetime) -> bool:
        """Return whether the next places, as they are now, are those that they were at a moment.

        Args:
            found: The places, one more than a page holds where more follow.
            cursor: The end of the page before, without a type.
            since: The moment.
        """
        if goes_up(self.order) and any(place.values[0] > since for place in found):
            return False
        end = found[self.part.count].values if len(found) > self.part.count else None
        return not await self._missed(found, cursor.values or None, end, since, cursor.shown, inclusive=False)

    async def _missed(
        self,
        found: Sequence[Place],
        start: tuple[Any, ...] | None,
        end: tuple[Any, ...] | None,
        since: datetime,
        shown: Sequence[str],
        *,
        inclusive: bool,
    ) -> list[Place]:
        """Return the places of resources that have moved away from after one place and up to another, but were not met."""
        by = self.order
        if start is None and not goes_up(by):
            return []  # they are among the newest, with which the page begins
        known = {*shown, *(place.key for place in found)}
        return [place for place in await self._moved(start, end, since, by, inclusive) if place.key not in known]

    async def _without_moved(self, places: Sequence[Place], since: datetime, by: Order) -> list[Place]:
        """Return the places without those to which resources have moved from where they were or will be met."""
        newer = [place.id for place in places if place.values[0] > since] if goes_up(by) else []
        if not newer:
            return [*places]
        there = await self.store.existed(self.part.resource_type, newer, since)
        return [place for place in places if place.values[0] <= since or place.id not in there]

    async def _moved(
        self,
        start: tuple[Any, ...] | None,
        end: tuple[Any, ...] | None,
        since: datetime,
        by: Order,
        inclusive: bool,  # noqa: FBT001 - as it is passed on
    ) -> list[Place]:
        """Return where resources stood that were changed since, after one place and up to another."""
        name = self.part.resource_type
        first, last = (start, end) if goes_up(by) else (end, start)
        stretch = Stretch(since, first[0] if first else None, last[0] if last else None)
        where = compiled(self.part.expression, name, self.definitions) & self.reach.where_of(name)
        rows = await self.store.moved(name, where, stretch)
        places = [Place(page.plain(by.values(row)), name, row["_id"]) for row in rows]
        return [
            place
            for place in places
            if (start is None or by.is_beyond(place.values, start) or (inclusive and place.values == start))
            and (end is None or not by.is_beyond(place.values, end))
        ]


def moves(by: Sequence[tuple[str, int]]) -> bool:
    """Return whether updates move resources in this order: whether it is that of last updates."""
    return by[0][0] == UPDATED


def sorted_by(places: Sequence[Place], by: Order) -> list[Place]:
    """Return the places of one or several types in one order."""
    found = sorted(places, key=lambda place: place.resource_type)
    for number, (_, direction) in reversed([*enumerate(by.sort)]):
        found.sort(key=lambda place: place.values[number], reverse=direction == -1)
    return found


def goes_up(by: Order) -> bool:
    """Return whether the order begins with the least."""
    return by.sort[0][1] == UPWARDS
