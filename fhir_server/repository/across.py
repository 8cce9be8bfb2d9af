"""One page of a search of several types: their next entries merged by one order.

Each type is asked for the keys of its next entries only; the resources are read for those that make the page. The order is
that of the sort keys, then that of the names of the types, so that a page ends at one place in all of them.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from fhir_server.model.query import Query, Where
from fhir_server.model.stored import Stored
from fhir_server.repository.chains import WhereOf
from fhir_server.search.compile import plan
from fhir_server.search.page import Cursor
from fhir_server.search.params import params
from fhir_server.search.parse import SearchRequest
from fhir_server.search.sort import Order, order
from fhir_server.store import Store
from profiles.definitions.registry import Definitions

AT_ONCE = 16
"""Types that are asked at the same time: a share of the connections, so that other requests find some, too."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where an entry stands in the order of all types."""

    values: tuple[Any, ...]
    resource_type: str
    id: str


@dataclass(frozen=True, slots=True)
class Across:
    """Reads pages over several types.

    Attributes:
        store: The database.
        definitions: Parameters of the types.
        where_of: Resource type to what the caller may search of it.
        session: Of a unit of work, `None` outside of one.
    """

    store: Store
    definitions: Definitions
    where_of: WhereOf
    session: Any

    async def page(
        self, parts: Sequence[SearchRequest], cursor: Cursor | None, fields: tuple[str, ...]
    ) -> tuple[list[Stored], Cursor | None]:
        """Return the resources of a page, and where it ends if more follow.

        Args:
            parts: The search of each type, with chains resolved; of several types, the order must be one of values that
                every resource has.
            cursor: The end of the page before.
            fields: Envelope fields that the resources are to have.
        """
        places: list[Place] = []
        # A unit of work says one thing at a time.
        width = AT_ONCE if self.session is None else 1
        for start in range(0, len(parts), width):
            asked = [self._places(part, cursor) for part in parts[start : start + width]]
            for found in await asyncio.gather(*asked):
                places += found
        if not parts:
            return [], None
        shown = merged(places, self._order(parts[0])) if len(parts) > 1 else places
        count = parts[0].count
        last = shown[count - 1] if len(shown) > count else None
        resources = await self._read(shown[:count], fields)
        return resources, Cursor((*last.values, last.resource_type)) if last else None

    def _order(self, part: SearchRequest) -> Order:
        return order(part.sort, params(part.resource_type, self.definitions))

    async def _places(self, part: SearchRequest, cursor: Cursor | None) -> list[Place]:
        """Return the places of the next entries of one type, one more than a page holds."""
        name = part.resource_type
        own, inclusive = None, False
        if cursor:
            *values, ended_in = cursor.values
            own, inclusive = Cursor(tuple(values)), name > ended_in
        query = plan(part, self.where_of(name), own, self.definitions, inclusive=inclusive)
        by = self._order(part)
        rows = await self.store.rows(replace(query, fields=(*by.fields, "lu")), self.session)
        return [Place(by.values(row), name, row["_id"]) for row in rows]

    async def _read(self, places: Sequence[Place], fields: tuple[str, ...]) -> list[Stored]:
        """Return the resources of places, in their order; one that was deleted meanwhile is left out."""
        by_type: dict[str, list[str]] = {}
        for place in places:
            by_type.setdefault(place.resource_type, []).append(place.id)
        found: Mapping[tuple[str, str], Stored] = {
            (stored.resource_type, stored.id): stored
            for name, ids in by_type.items()
            for stored in await self.store.find(self._by_id(name, ids, fields), self.session)
        }
        keys = [(place.resource_type, place.id) for place in places]
        return [found[key] for key in keys if key in found]

    def _by_id(self, resource_type: str, ids: Sequence[str], fields: tuple[str, ...]) -> Query:
        where = Where("clause", {"_id": {"$in": list(ids)}}) & self.where_of(resource_type)
        return Query(resource_type, where, (("_id", 1),), len(ids), "_id_", fields)


def merged(places: Sequence[Place], by: Order) -> list[Place]:
    """Return the places of several types in one order."""
    found = sorted(places, key=lambda place: place.resource_type)
    for number, (_, direction) in reversed([*enumerate(by.sort)]):
        found.sort(key=lambda place: place.values[number], reverse=direction == -1)
    return found
