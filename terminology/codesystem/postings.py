"""An index from texts to concepts, in pages: each has some hundred keys in order, and the ordinals of all of them in one array.

So whatever begins with a text is one stretch of an array for each page, and a set is made of it at once.
"""

import json
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from pyroaring import BitMap

NUMBERS = "I"
KEYS = 512
"""Most keys of a page."""

ORDINALS = 16_384
"""A page is full when it has so many ordinals."""

LAST = "\U0010ffff"
"""Comes after every letter."""


@dataclass(frozen=True, slots=True)
class Page:
    """A part of an index.

    Attributes:
        keys: In ascending order.
        ends: Where the ordinals of a key end; those of the next one begin there.
        ordinals: Of all keys.
    """

    keys: Sequence[str]
    ends: "array[int]"
    ordinals: "array[int]"

    @classmethod
    def unpack(cls, content: bytes) -> "Page":
        """Return what `pack` gave."""
        length = int.from_bytes(content[:4], "little")
        keys = json.loads(content[4 : 4 + length])
        numbers = array(NUMBERS)
        numbers.frombytes(content[4 + length :])
        return cls(keys, numbers[: len(keys)], numbers[len(keys) :])

    def pack(self) -> bytes:
        """Return the page as bytes."""
        keys = json.dumps(self.keys, ensure_ascii=False).encode("utf-8", "surrogatepass")
        return len(keys).to_bytes(4, "little") + keys + self.ends.tobytes() + self.ordinals.tobytes()

    @property
    def size(self) -> int:
        """Bytes in memory, about."""
        return 4 * (len(self.ends) + len(self.ordinals)) + sum(map(len, self.keys)) + 64 * len(self.keys)

    def between(self, low: str, high: str) -> "array[int]":
        """Return the ordinals of the keys from one text on, and before another one; some may come several times."""
        begin, end = bisect_left(self.keys, low), bisect_left(self.keys, high)
        return self.ordinals[self.ends[begin - 1] if begin else 0 : self.ends[end - 1] if end else 0]

    def rows(self, low: str, high: str) -> "Iterator[tuple[str, array[int]]]":
        """Yield the keys from one text on, and before another one, with their ordinals."""
        for place in range(bisect_left(self.keys, low), bisect_left(self.keys, high)):
            yield self.keys[place], self.ordinals[self.ends[place - 1] if place else 0 : self.ends[place]]


class Postings:
    """An index in the making."""

    def __init__(self) -> None:
        self._found: dict[str, int | array[int]] = {}

    def add(self, keys: Iterable[str], ordinal: int) -> None:
        """Note that a concept has these keys, each once; ordinals come in ascending order."""
        found = self._found
        for key in keys:
            had = found.get(key)
            if had is None:
                found[key] = ordinal
            elif isinstance(had, int):
                found[key] = array(NUMBERS, (had, ordinal))
            else:
                had.append(ordinal)

    def pages(self) -> Iterator[Page]:
        """Yield the index page by page."""
        keys: list[str] = []
        ends, ordinals = array(NUMBERS), array(NUMBERS)
        for key in sorted(self._found):
            had = self._found[key]
            if isinstance(had, int):
                ordinals.append(had)
            else:
                ordinals.extend(had)
            keys.append(key)
            ends.append(len(ordinals))
            if len(keys) == KEYS or len(ordinals) >= ORDINALS:
                yield Page(keys, ends, ordinals)
                keys, ends, ordinals = [], array(NUMBERS), array(NUMBERS)
        if keys:
            yield Page(keys, ends, ordinals)


class Directory:
    """Where the keys of an index are.

    Args:
        first: The first key of each page.
    """

    def __init__(self, first: Sequence[str]) -> None:
        self.first = first

    @property
    def size(self) -> int:
        """Bytes in memory, about."""
        return sum(map(len, self.first)) + 64 * len(self.first)

    def pages(self, low: str, high: str) -> range:
        """Return the numbers of the pages with keys from one text on, and before another one."""
        return range(max(bisect_right(self.first, low) - 1, 0), bisect_left(self.first, high))


def bitmap(stretches: "Iterable[array[int]]") -> BitMap:
    """Return the set of the ordinals of some stretches."""
    numbers = array(NUMBERS)
    for one in stretches:
        numbers.extend(one)
    return BitMap(numbers)
