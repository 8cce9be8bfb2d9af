"""What a page includes, in parts: every included resource comes, however many there are (R4 3.1.1.5.4).

The included resources of a page have one order, by type and id, whatever led to them; a part is a stretch of it. Without
`:iterate` each include is one ordered query for each type, which begins where the part does. With `:iterate` the ids are
gathered first, wave by wave until a wave brings nothing new, and only the resources of the part are read.
"""

from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fhir_server.model.errors import TooCostly
from fhir_server.model.query import ANYTHING, Query, Where
from fhir_server.model.stored import Hit
from fhir_server.repository.reach import Reach
from fhir_server.search import include
from fhir_server.search.compile import selection
from fhir_server.search.include import Include
from fhir_server.store import Store
from profiles.definitions.registry import Definitions

AT_ONCE = 1000
"""Instances that one query asks for."""
BATCH = 5000
"""Ids that are read at once while a closure is gathered."""
MOST_GATHERED = 100_000
"""Resources that `:iterate` may lead to from one page."""
DEEPEST = 100
"""References in a row that `:iterate` may follow."""

Key = tuple[str, str]
"""Type and id of an instance."""


@dataclass(frozen=True, slots=True)
class Known:
    """An instance from which includes start.

    Attributes:
        resource_type: Its type.
        id: Its logical id.
        fields: Its envelope fields `include.FIELDS`, where forward includes are asked for.
    """

    resource_type: str
    id: str
    fields: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Part:
    """A stretch of what a page includes.

    Attributes:
        resources: In the order of their types and ids.
        last: Where the next part goes on, `None` where this is the last one.
    """

    resources: Sequence[Hit]
    last: Key | None = None


NOTHING_INCLUDED = Part(())


@dataclass(frozen=True, slots=True)
class _Stream:
    """Resources of one type that an include leads to."""

    resource_type: str
    where: Where
    hint: str | None


@dataclass(frozen=True, slots=True)
class Includes:
    """Follows the includes of one search.

    Attributes:
        store: The database.
        definitions: Parameters of all types.
        most: Most resources of a part.
        reach: What the caller may search.
    """

    store: Store
    definitions: Definitions
    most: int
    reach: Reach

    async def part(
        self, forward: Sequence[Include], backward: Sequence[Include], matches: Sequence[Known], after: Key | None
    ) -> Part:
        """Return the next part of what the matches include; no match is among it.

        Args:
            forward: What `_include` asks for.
            backward: What `_revinclude` asks for.
            matches: The matches of the page.
            after: The last resource of the part before.

        Raises:
            TooCostly: `:iterate` leads to more resources than may be gathered.
        """
        if not matches:
            return NOTHING_INCLUDED
        if any(each.iterate for each in (*forward, *backward)):
            return await self._gathered(forward, backward, matches, after)
        ids = _by_type((known.resource_type, known.id) for known in matches)
        wanted = self._targets(forward, matches)
        streams = self._streams(wanted, backward, ids)
        found: list[Hit] = []
        for name in sorted({stream.resource_type for stream in streams}):
            if after and name < after[0]:
                continue
            bound = {"$gt": after[1]} if after and name == after[0] else {}
            others = {"$nin": ids[name]} if name in ids else {}
            clause = Where("clause", {"_id": {**bound, **others}}) if bound or others else ANYTHING
            room = self.most + 1 - len(found)
            found += await self._first([each for each in streams if each.resource_type == name], clause, room)
            if len(found) > self.most:
                last = found[self.most - 1]
                return Part(found[: self.most], (last.resource_type, last.id))
        return Part(found)

    async def _first(self, streams: Sequence[_Stream], clause: Where, room: int) -> list[Hit]:
        """Return the first resources of streams of one type, by id, each once."""
        found: dict[str, Hit] = {}
        for stream in streams:
            query = Query(
                stream.resource_type, stream.where & clause, (("_id", 1),), room, stream.hint, self.reach.fields
            )
            found |= {stored.id: stored for stored in await self.store.find(query, self.reach.session)}
        return [found[each] for each in sorted(found)[:room]]

    async def _gathered(
        self, forward: Sequence[Include], backward: Sequence[Include], matches: Sequence[Known], after: Key | None
    ) -> Part:
        """Return a part of what includes lead to that also apply to what they bring."""
        seen = {(known.resource_type, known.id) for known in matches}
        new, wanted = seen, self._targets(forward, matches)
        brought: set[Key] = set()
        depth = 0
        while new and (forward or backward):
            depth += 1
            streams = self._streams(wanted, backward, _by_type(new))
            forward = [each for each in forward if each.iterate]
            backward = [each for each in backward if each.iterate]
            new, wanted = set(), {}
            for stream in streams:
                async for known in self._all(stream, forward):
                    key = (known.resource_type, known.id)
                    if key in seen:
                        continue
                    seen.add(key)
                    new.add(key)
                    for name, ids in self._targets(forward, [known]).items():
                        wanted.setdefault(name, {}).update(ids)
            brought |= new
            if len(brought) > MOST_GATHERED or depth > DEEPEST:
                raise TooCostly(
                    f"The includes with :iterate lead from this page to more than {MOST_GATHERED:,} resources, or over more "
                    f"than {DEEPEST} references in a row. Ask for smaller pages with _count, or include less.",
                    expression="http._include",
                )
        left = sorted(key for key in brought if after is None or key > after)
        shown = left[: self.most]
        return Part(await self._read(shown), shown[-1] if len(left) > len(shown) else None)

    async def _all(self, stream: _Stream, forward: Sequence[Include]) -> AsyncIterator[Known]:
        """Yield everything of a stream, with the fields that further includes start from."""
        name, beyond = stream.resource_type, ""
        fields = include.FIELDS if any(each.source_type == name for each in forward) else ()
        while True:
            where = stream.where & (Where("clause", {"_id": {"$gt": beyond}}) if beyond else ANYTHING)
            query = Query(name, where, (("_id", 1),), BATCH, stream.hint, fields)
            rows = await self.store.rows(query, self.reach.session)
            for row in rows:
                yield Known(name, row["_id"], row)
            if len(rows) < BATCH:
                return
            beyond = rows[-1]["_id"]

    async def _read(self, keys: Sequence[Key]) -> list[Hit]:
        found: list[Hit] = []
        for stream in self._streams({name: dict.fromkeys(ids) for name, ids in _by_type(keys).items()}, (), {}):
            query = Query(stream.resource_type, stream.where, (("_id", 1),), AT_ONCE, stream.hint, self.reach.fields)
            found += await self.store.find(query, self.reach.session)
        return found

    def _targets(self, forward: Sequence[Include], instances: Iterable[Known]) -> dict[str, dict[str, None]]:
        """Return the ids, by type, of what the instances refer to."""
        wanted: dict[str, dict[str, None]] = {}
        for known in instances if forward else ():
            for text in include.targets(forward, known.resource_type, known.fields, self.definitions):
                name, _, one = text.partition("/")
                if name in self.definitions.resource_types:
                    wanted.setdefault(name, {})[one] = None
        return wanted

    def _streams(
        self, wanted: Mapping[str, Iterable[str]], backward: Sequence[Include], sources: Mapping[str, Sequence[str]]
    ) -> list[_Stream]:
        """Return what to ask for: these ids, and what refers to the sources."""
        streams: list[_Stream] = []
        for name, wanted_ids in wanted.items():
            for ids in _portions(sorted(wanted_ids)):
                where = Where("clause", {"_id": {"$in": ids}}) & self.reach.shown(name)
                streams.append(_Stream(name, where, "_id_"))
        for each in backward:
            for name, source_ids in sources.items():
                for ids in _portions(source_ids):
                    of = each.source_type
                    expression = include.sources(each, name, ids, self.definitions)
                    where, hint = selection(expression, of, self.reach.shown(of), self.definitions)
                    streams.append(_Stream(of, where, hint))
        return [stream for stream in streams if stream.where.kind != "nothing"]


def _portions(ids: Sequence[str]) -> Iterator[Sequence[str]]:
    for start in range(0, len(ids), AT_ONCE):
        yield ids[start : start + AT_ONCE]


def _by_type(keys: Iterable[Key]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for name, one in keys:
        found.setdefault(name, []).append(one)
    return found
