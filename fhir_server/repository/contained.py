"""Pages of contained resources themselves (`_containedType=contained`): each one that matches is an entry of its own.

The database finds the containers, with the caller's filter joined; which of the resources in them match is then told by the
same expression, evaluated on what is stored of each. A page may end between two resources of one container: then the next
one begins with that container, and passes over what was shown of it.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from msgspec.structs import replace

from fhir_server.model import json
from fhir_server.model.stored import Hit
from fhir_server.repository.across import Across, Found, met
from fhir_server.repository.places import Place
from fhir_server.repository.reach import Reach
from fhir_server.search import contained
from fhir_server.search.compile import plan
from fhir_server.search.contained import ByType
from fhir_server.search.match import matches
from fhir_server.search.page import Cursor
from fhir_server.search.params import params
from fhir_server.search.parse import SearchRequest
from fhir_server.search.sort import order
from fhir_server.store import Store
from profiles.definitions.registry import Definitions

STRETCH = 1000
"""Containers that are read at once while the contained are counted."""

ITSELF = 0
"""The place of a resource that is found itself, before those that it contains."""


@dataclass(frozen=True, slots=True)
class Contained:
    """Finds contained resources of one search.

    Attributes:
        store: The database.
        definitions: Parameters of the types.
        reach: What the caller may search.
        asked: What contained resources must fulfil.
        own: With `both` what resources that stand alone must fulfil; else empty.
    """

    store: Store
    definitions: Definitions
    reach: Reach
    asked: ByType
    own: ByType

    async def page(self, parts: Sequence[SearchRequest], cursor: Cursor | None) -> Found:
        """Return the matches of a page; of a contained resource with the id `<id of the container>#<local id>`.

        Args:
            parts: The search for containers of each type, and with `both` for resources that stand alone.
            cursor: The end of the page before. Its values are `Type/id` of a container that was shown in part, and the place
                up to which it was; then where the container before it stands.
        """
        across = Across(self.store, self.definitions, self.reach)
        begun, place, *start = cursor.values if cursor and cursor.values else ("", ITSELF)
        before = replace(cursor, values=tuple(start)) if cursor else None
        containers = await across.places(parts, before)
        fields = tuple({*self.reach.fields, *(field for part in parts for field in self._fields(part.resource_type))})
        read = {f"{each.resource_type}/{each.id}": each for each in await across.read(containers, fields)}
        count = parts[0].count
        found: list[Hit] = []
        shown: list[Place] = []
        for number, container in enumerate(containers):
            stored = read.get(container.key)
            places = self._places(container.resource_type, stored.envelope) if stored else []
            left = [each for each in places if container.key != begun or each > place]
            room = left[: count - len(found)]
            if number == count or len(room) < len(left):
                # It is not shown to its end; the next page begins with it.
                part = (container.key, room[-1]) if room else (begun, place) if container.key == begun else ("", ITSELF)
                found += _resources(stored, room)
                end = (*shown[-1].values, shown[-1].resource_type) if shown else tuple(start)
                since, named = met(shown, cursor, across.order(parts[0])) if cursor else (None, ())
                return Found(found, (*part, *end), True, since, named)
            found += _resources(stored, room)
            shown.append(container)
        return Found(found, (), more=False)

    async def count(self, parts: Sequence[SearchRequest], most: int | None) -> int:
        """Return the number of matches, up to the limit."""
        found = 0
        for part in parts:
            async for number in self._numbers(replace(part, count=STRETCH - 1)):
                found += number
                if most is not None and found >= most:
                    return most
        return found

    async def _numbers(self, part: SearchRequest) -> AsyncIterator[int]:
        """Yield how many matches each container of a type has."""
        name, cursor = part.resource_type, None
        by = order(part.sort, params(name, self.definitions))
        while True:
            query = plan(part, self.reach.where_of(name), cursor, self.definitions)
            fields = tuple(dict.fromkeys((*query.fields, "lu", *self._fields(name))))
            rows = await self.store.rows(replace(query, fields=fields), self.reach.session)
            for row in rows:
                yield len(self._places(name, row))
            if len(rows) <= part.count:
                return
            cursor = Cursor(by.values(rows[-1]))

    def _fields(self, resource_type: str) -> tuple[str, ...]:
        return (*contained.FIELDS, *contained.OWN_FIELDS) if resource_type in self.own else contained.FIELDS

    def _places(self, resource_type: str, document: Mapping[str, Any]) -> list[int]:
        """Return where in a document the matches are, in their order."""
        itself = resource_type in self.own and matches(self.own[resource_type], contained.restored(document))
        return [*([ITSELF] if itself else []), *contained.places(self.asked, document)]


def _resources(stored: Hit | None, places: Sequence[int]) -> list[Hit]:
    """Return the resources at some places of a document."""
    if stored is None or not places:
        return []
    inside = json.decode(stored.body)["contained"] if any(place != ITSELF for place in places) else []
    return [
        replace(stored, id=f"{stored.id}#{inside[place - 1].get('id', '')}", body=json.encode(inside[place - 1]))
        if place != ITSELF
        else stored
        for place in places
    ]
