"""Spells out codes that a search names without their system, by the systems that are stored with them.

What was found is remembered, and asked about again with each search: whether there is anything else. That question reads no
more of the index than the places around what is known, so that the answer is exact whoever wrote meanwhile.
"""

from dataclasses import dataclass, field

from fhir_server.model.query import Query
from fhir_server.repository.reach import Reach
from fhir_server.search.bare import MOST_SYSTEMS, bare, others, spelt
from fhir_server.search.compile import code_index
from fhir_server.search.expression import Criterion
from fhir_server.search.parse import SearchRequest
from fhir_server.search.types.conditions import Condition, Is, Starts
from fhir_server.store import Store
from profiles.definitions.registry import Definitions

MOST_KNOWN = 2000


@dataclass(frozen=True, slots=True)
class Spelling:
    """Spells out codes.

    Attributes:
        store: The database.
        known: By type, parameter and code, the entries that were found.
    """

    store: Store
    known: dict[tuple[str, str, str], tuple[str, ...]] = field(default_factory=dict)

    async def spelt(self, request: SearchRequest, reach: Reach, definitions: Definitions) -> SearchRequest:
        """Return the search with its codes spelt out, where that makes it cheaper; else as it is.

        Args:
            request: The search, without chains.
            reach: What it is joined with.
            definitions: Parameters of the type.

        Raises:
            TooCostly: It takes too long.
        """
        found: list[tuple[Criterion, list[Condition]]] = []
        for criterion in bare(request):
            index = code_index(criterion.param, request, reach.where_of(request.resource_type), definitions)
            entries = await self._entries(criterion, index, reach) if index else None
            if entries is None:
                return request
            found.append((criterion, entries))
        return spelt(request, found) if found else request

    async def _entries(self, criterion: Criterion, index: str, reach: Reach) -> list[Condition] | None:
        """Return what its codes are stored as, `None` where one has too many systems."""
        entries: list[Condition] = []
        for value in criterion.values:
            if not isinstance(value, Starts):
                entries.append(value)
                continue
            stored = await self._stored(criterion, value, index, reach)
            if len(stored) > MOST_SYSTEMS:
                return None
            entries += [Is(text) for text in stored]
        return entries

    async def _stored(self, criterion: Criterion, code: Starts, index: str, reach: Reach) -> list[str]:
        """Return the entries of a code, with what the caller may see at least; more than are spelt out mean "many"."""
        param = criterion.param
        key = (param.resource_type, param.code, code.text)
        found = dict.fromkeys(self.known.get(key, ()))
        while len(found) <= MOST_SYSTEMS:
            where = others(criterion, code, found) & reach.where_of(param.resource_type)
            query = Query(param.resource_type, where, (), 1, index, (param.field,))
            rows = await self.store.rows(query, reach.session)
            new = [text for row in rows for text in row["s"][param.code] if text.startswith(code.text)]
            if not new:
                break
            found.update(dict.fromkeys(new))
            self._remember(key, tuple(found))
        return list(found)

    def _remember(self, key: tuple[str, str, str], found: tuple[str, ...]) -> None:
        if len(self.known) >= MOST_KNOWN:
            del self.known[next(iter(self.known))]
        self.known[key] = found
