"""A large code system in a store: concepts are read when they are asked for, sets of them are made from derived pieces."""

from collections.abc import Mapping, Sequence

from pyroaring import BitMap

from terminology import store, words
from terminology.codesystem import selection
from terminology.codesystem.pieces import MOST_BYTES, Memory, Pieces, weight
from terminology.codesystem.postings import LAST
from terminology.codesystem.provider import CodeSystemProvider, Filter
from terminology.codesystem.ranking import Ranking
from terminology.concept import Concept, Head
from terminology.store import Shelf

FEW = 200
"""So many concepts, those of a page, are kept in memory for the next who asks for them."""


class Stored(CodeSystemProvider):
    """One version of a code system in a store.

    Args:
        head: What is said of it as a whole; `count` is right.
        shelf: Its concepts.
        kept: What is in memory of all stored code systems; its own memory where none is given.
        key: Tells the version from all others in `kept`.
    """

    def __init__(self, head: Head, shelf: Shelf, kept: Memory | None = None, key: object = None) -> None:
        super().__init__(head)
        self.shelf = shelf
        self._key, self._kept = key, Memory(MOST_BYTES) if kept is None else kept
        self.pieces = Pieces(key, shelf, self._kept)

    async def find(self, code: str) -> Concept | None:
        """Return the concept of a code, `None` where there is none."""
        key = self._key, "code", code
        known: Concept | None = self._kept.get(key)
        if known is None:
            found = await self.shelf.find(self.key(code), await self.pieces.edges(store.PARENTS))
            known = next((one for one in found if one.code == code), found[0] if found else None)
            if known is not None:
                self._kept.put(key, known, _weight(known))
        return known

    async def concepts(self, ordinals: Sequence[int]) -> Sequence[Concept]:
        """Return the concepts of ordinals, in the same order."""
        parents = await self.pieces.edges(store.PARENTS)
        if len(ordinals) > FEW:
            return await self.shelf.concepts(ordinals, parents)
        found: dict[int, Concept | None] = {one: self._kept.get((self._key, "concept", one)) for one in ordinals}
        missing = [one for one, known in found.items() if known is None]
        if missing:
            for read in await self.shelf.concepts(missing, parents):
                found[read.ordinal] = self._kept.put((self._key, "concept", read.ordinal), read, _weight(read))
        return [one for ordinal in ordinals if (one := found[ordinal])]

    async def codes(self, ordinals: Sequence[int]) -> Sequence[str]:
        """Return the codes of ordinals, in the same order; concepts are not read for it."""
        return await self.pieces.codes(ordinals)

    async def ordinals(self, codes: Sequence[str]) -> dict[str, int]:
        """Return the ordinals of codes, by code as given, as far as there are such concepts."""
        keys = {code: self.key(code) for code in codes}
        found = await self.shelf.ordinals(list(dict.fromkeys(keys.values())))
        return {code: found[key] for code, key in keys.items() if key in found}

    async def stated(self, name: str) -> Mapping[str, BitMap]:
        """Return the concepts by what is stated of them under a property."""
        key = self._key, "stated", name
        found: dict[str, BitMap] | None = self._kept.get(key)
        if found is None:
            begin = f"{name}{store.VALUE}"
            rows = await self.pieces.rows(store.PROPERTIES, begin, begin + LAST)
            found = {said[len(begin) :]: BitMap(ordinals) for said, ordinals in rows}
            self._kept.put(key, found, 100 + sum(map(weight, found.values())))
        return found

    async def everything(self) -> BitMap:
        """Return all concepts."""
        return BitMap(range(self.head.count))

    async def select(self, rule: Filter) -> BitMap:
        """Return the concepts that a filter selects."""
        key = self._key, rule
        found: BitMap | None = self._kept.get(key)
        if found is None:
            found = await selection.select(self, rule)
            self._kept.put(key, found, weight(found))
        return found.copy()

    async def descendants(self, ordinal: int) -> BitMap:
        """Return all concepts below one, without itself."""
        if ordinal in await self.pieces.set(store.LARGE):
            return (await self.pieces.set(store.BELOW, ordinal)).copy()
        return (await self.pieces.edges(store.CHILDREN)).reached(ordinal)

    async def ancestors(self, ordinal: int) -> BitMap:
        """Return all concepts above one, without itself."""
        return (await self.pieces.edges(store.PARENTS)).reached(ordinal)

    async def children(self, ordinal: int) -> Sequence[int]:
        """Return the ordinals right below a concept."""
        return (await self.pieces.edges(store.CHILDREN)).next(ordinal)

    async def parents(self, ordinals: BitMap) -> BitMap:
        """Return the concepts right above one of several."""
        edges = await self.pieces.edges(store.PARENTS)
        return BitMap([above for one in ordinals for above in edges.next(one)])

    async def roots(self) -> Sequence[int]:
        """Return the ordinals of the concepts with nothing above them."""
        return list(await self.pieces.set(store.ROOTS))

    async def inactive(self) -> BitMap:
        """Return the concepts that are not to be used any more."""
        return (await self.pieces.set(store.INACTIVE)).copy()

    async def abstract(self) -> BitMap:
        """Return the concepts that only group others."""
        return (await self.pieces.set(store.ABSTRACT)).copy()

    async def matching(self, text: str, within: BitMap) -> Sequence[int]:
        """Return the concepts whose words begin with each word of a text, short displays first."""
        sought = set(words.split(text))
        if not sought:
            return list(within)
        found = within
        for word in sorted(sought, key=len, reverse=True):
            found = found & await self.pieces.beginning(word)
            if not found:
                return []
        rank = await self.pieces.numbers(store.RANK)
        return Ranking(found, rank, await self.pieces.numbers(store.ORDER))

    def key(self, code: str) -> str:
        """Return what a code is found by."""
        return store.folded(code, case_sensitive=self.head.case_sensitive)


def _weight(concept: Concept) -> int:
    """Return the bytes that a concept takes, about."""
    return 800 + len(concept.definition) + 400 * (len(concept.designations) + len(concept.properties))
