"""The pieces of a stored code system as what they stand for; what was used last is kept in memory."""

import json
from array import array
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from pyroaring import BitMap

from terminology import store
from terminology.codesystem.hierarchy import Edges
from terminology.codesystem.postings import LAST, NUMBERS, Directory, Page, bitmap
from terminology.kept import Kept
from terminology.store import Shelf

T = TypeVar("T")

Memory = Kept[tuple[object, ...], Any]
"""What processes keep of all stored code systems, by version, kind and number; weights are bytes."""

MOST_BYTES = 128 * 2**20
"""Of a memory."""


class Pieces:
    """What was derived from the concepts of one version.

    Args:
        key: Tells the version from all others of which something is in `kept`.
        shelf: Where the pieces are.
        kept: What is in memory already.
    """

    def __init__(self, key: object, shelf: Shelf, kept: Memory) -> None:
        self._key, self._shelf, self._kept = key, shelf, kept

    async def edges(self, kind: str) -> Edges:
        """Return the edges of the hierarchy in one direction."""
        return await self._whole(kind, Edges.unpack, lambda found: found.size)

    async def numbers(self, kind: str) -> "array[int]":
        """Return an array of numbers."""
        return await self._whole(kind, _numbers, lambda found: 4 * len(found))

    async def set(self, kind: str, number: int = 0) -> BitMap:
        """Return a bitmap, which nobody may change."""
        key = self._key, kind, number
        found: BitMap | None = self._kept.get(key)
        if found is None:
            found = _set((await self._shelf.pieces(kind, (number,))).get(number))
            self._kept.put(key, found, weight(found))
        return found

    async def codes(self, ordinals: Sequence[int]) -> list[str]:
        """Return the codes of ordinals, in the same order."""
        numbers = {one // store.BLOCK for one in ordinals}
        blocks = await self._many(store.CODES, sorted(numbers), json.loads, lambda block: 64 * len(block))
        return [blocks[one // store.BLOCK][one % store.BLOCK] for one in ordinals]

    async def beginning(self, word: str) -> BitMap:
        """Return the concepts that have a word which begins so."""
        if len(word) <= store.SHORT:
            number = (await self._listing(store.WORDS))[1].get(word)
            if number is not None:
                return await self.set(store.WORDS + store.STARTS, number)
        return await self.between(store.WORDS, word, word + LAST)

    async def between(self, kind: str, low: str, high: str) -> BitMap:
        """Return the concepts with a key of an index from one text on, and before another one."""
        pages = await self._pages(kind, low, high)
        return bitmap(page.between(low, high) for page in pages)

    async def rows(self, kind: str, low: str, high: str) -> "list[tuple[str, array[int]]]":
        """Return the keys of an index from one text on, and before another one, with their ordinals."""
        return [row for page in await self._pages(kind, low, high) for row in page.rows(low, high)]

    async def _pages(self, kind: str, low: str, high: str) -> list[Page]:
        directory, _ = await self._listing(kind)
        numbers = directory.pages(low, high)
        found = await self._many(kind, numbers, Page.unpack, lambda page: page.size)
        return [found[number] for number in numbers]

    async def _listing(self, kind: str) -> tuple[Directory, dict[str, int]]:
        return await self._whole(kind + store.LISTING, _listing, lambda found: found[0].size)

    async def _whole(self, kind: str, read: Callable[[bytes], T], size: Callable[[T], int]) -> T:
        key = self._key, kind
        found: T | None = self._kept.get(key)
        if found is None:
            found = read(await self._shelf.whole(kind))
            self._kept.put(key, found, size(found))
        return found

    async def _many(
        self, kind: str, numbers: Sequence[int], read: Callable[[bytes], T], size: Callable[[T], int]
    ) -> dict[int, T]:
        found: dict[int, Any] = {one: self._kept.get((self._key, kind, one)) for one in numbers}
        missing = [one for one, had in found.items() if had is None]
        if missing:
            for number, content in (await self._shelf.pieces(kind, missing)).items():
                found[number] = made = read(content)
                self._kept.put((self._key, kind, number), made, size(made))
        return found


def weight(found: BitMap) -> int:
    """Return the bytes that a bitmap takes, at most."""
    return 256 + min(4 * len(found), (found.max() // 8 + 8192) if found else 0)


def _set(content: bytes | None) -> BitMap:
    return BitMap.deserialize(content) if content else BitMap()


def _numbers(content: bytes) -> "array[int]":
    numbers = array(NUMBERS)
    numbers.frombytes(content)
    return numbers


def _listing(content: bytes) -> tuple[Directory, dict[str, int]]:
    first, starts = json.loads(content)
    return Directory(first), starts
