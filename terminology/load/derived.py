"""What is derived from the concepts of a release, so that questions about all of them are answered without reading them.

It is gathered while the concepts stream by, and handed out in pieces (see `terminology.store` for the kinds).
"""

import json
from array import array
from collections.abc import Iterator
from typing import Any

from pyroaring import BitMap

from terminology import store, words
from terminology.codesystem.hierarchy import Cycle, Edges, closure
from terminology.codesystem.postings import NUMBERS, Page, Postings
from terminology.ecl.expression import NORMAL_FORM
from terminology.load.release import BrokenRelease, Row

Piece = tuple[str, int, bytes]
"""Kind, number, content."""

LARGE = 64
"""Concepts with at least so many below them have their sets stored; those of others are made when they are asked for."""

BYTES = 8 * 2**20
"""Most bytes of a piece."""

FREQUENT = 20_000
"""Beginnings of words that so many words of concepts have get a set of their own, as far as they have at most `store.SHORT` letters."""


def forms(value: Any) -> tuple[str, ...]:
    """Return how a filter may write the value of a property."""
    if isinstance(value, bool):
        return ("true",) if value else ("false",)
    if isinstance(value, dict):
        code, system = value.get("code"), value.get("system")
        return (code, f"{system}|{code}") if system and code else (code,) if code else ()
    return (str(value),)


class Derived:
    """What is known of the concepts seen so far."""

    def __init__(self) -> None:
        self._ordinals: dict[str, int] = {}
        self._displays: list[str] = []
        self._parents: list[tuple[str, ...]] = []
        self._words, self._properties = Postings(), Postings()
        self._inactive, self._abstract = BitMap(), BitMap()
        self.edges = 0

    def __len__(self) -> int:
        return len(self._displays)

    def add(self, row: Row) -> int:
        """Note a concept; return its ordinal.

        Raises:
            BrokenRelease: It has no code, or one that came before.
        """
        ordinal = len(self._displays)
        if not row.code:
            raise BrokenRelease(f"Concept {ordinal + 1} of the release has no code. Every concept needs one.")
        if self._ordinals.setdefault(row.code, ordinal) != ordinal:
            raise BrokenRelease(f"The code '{row.code}' comes twice. Each concept of a release has a code of its own.")
        self._displays.append(row.display)
        self._parents.append(row.parents)
        texts = (row.code, row.display, *(one.value for one in row.designations))
        self._words.add(set(words.split(" ".join(texts))), ordinal)
        keys = {
            f"{name}{store.STATED}" for name, said in (("display", row.display), ("definition", row.definition)) if said
        }
        for one in row.properties:
            keys.add(f"{one.code}{store.STATED}")
            if one.code != NORMAL_FORM:  # of one concept alone, and long: nobody filters by it
                keys.update(f"{one.code}{store.VALUE}{form}" for form in forms(one.value))
        self._properties.add(keys, ordinal)
        if row.inactive:
            self._inactive.add(ordinal)
        if row.abstract:
            self._abstract.add(ordinal)
        return ordinal

    def pieces(self) -> Iterator[Piece]:
        """Yield all pieces.

        Raises:
            BrokenRelease: A parent is not in the release, or a concept stands below itself.
        """
        yield from self._hierarchy()
        for kind, found in ((store.INACTIVE, self._inactive), (store.ABSTRACT, self._abstract)):
            yield kind, 0, found.serialize()
        yield from self._sorted()
        yield from self._coded()
        yield from index(store.WORDS, self._words)
        yield from index(store.PROPERTIES, self._properties)

    def _hierarchy(self) -> Iterator[Piece]:
        parents = Edges.of(self._resolved())
        children = parents.turned()
        self.edges = parents.count
        yield from _split(store.PARENTS, parents.pack())
        yield from _split(store.CHILDREN, children.pack())
        yield store.ROOTS, 0, parents.without().serialize()
        large = BitMap()
        try:
            for ordinal, below in closure(parents, children):
                if len(below) >= LARGE:
                    large.add(ordinal)
                    below.run_optimize()
                    yield store.BELOW, ordinal, below.serialize()
        except Cycle as cycle:
            code = list(self._ordinals)[cycle.ordinal]
            raise BrokenRelease(
                f"The concept '{code}' stands below itself, by way of its parents. A hierarchy has no circles."
            ) from None
        yield store.LARGE, 0, large.serialize()

    def _resolved(self) -> Iterator[list[int]]:
        codes = iter(self._ordinals)
        for parents in self._parents:
            code = next(codes)
            found = {self._ordinals.get(one, -1) for one in parents}
            if -1 in found:
                unknown = next(one for one in parents if one not in self._ordinals)
                raise BrokenRelease(
                    f"The concept '{code}' has the parent '{unknown}', which is not in the release. "
                    "Every parent has to be one of its concepts."
                )
            yield sorted(found)

    def _sorted(self) -> Iterator[Piece]:
        displays = self._displays
        order = sorted(range(len(displays)), key=lambda one: (len(displays[one]), displays[one].casefold(), one))
        rank = array(NUMBERS, bytes(4 * len(order)))
        for place, ordinal in enumerate(order):
            rank[ordinal] = place
        yield from _split(store.RANK, rank.tobytes())
        yield from _split(store.ORDER, array(NUMBERS, order).tobytes())

    def _coded(self) -> Iterator[Piece]:
        codes = list(self._ordinals)
        for number, begin in enumerate(range(0, len(codes), store.BLOCK)):
            yield store.CODES, number, _text(codes[begin : begin + store.BLOCK])


def index(kind: str, postings: Postings) -> Iterator[Piece]:
    """Yield the pieces of an index."""
    first: list[str] = []
    starts: dict[str, BitMap] = {}
    counts: dict[str, int] = {}
    listing: dict[str, int] = {}
    for number, page in enumerate(postings.pages()):
        first.append(page.keys[0])
        yield kind, number, page.pack()
        if kind == store.WORDS:
            _collect(page, starts, counts)
            for start in [one for one in starts if not page.keys[-1].startswith(one)]:
                yield from _start(kind, start, starts.pop(start), counts.pop(start), listing)
    for start, found in starts.items():
        yield from _start(kind, start, found, counts[start], listing)
    yield from _split(kind + store.LISTING, _text([first, listing]))


def _collect(page: Page, starts: dict[str, BitMap], counts: dict[str, int]) -> None:
    """Add the ordinals of a page to the sets of the beginnings of its words."""
    for length in range(1, store.SHORT + 1):
        for start in dict.fromkeys(key[:length] for key in page.keys if len(key) >= length):
            stretch = page.between(start, start + "\U0010ffff")
            starts[start] = starts.get(start, BitMap()) | BitMap(stretch)
            counts[start] = counts.get(start, 0) + len(stretch)


def _start(kind: str, start: str, found: BitMap, count: int, listing: dict[str, int]) -> Iterator[Piece]:
    if count >= FREQUENT:
        listing[start] = len(listing)
        found.run_optimize()
        yield kind + store.STARTS, listing[start], found.serialize()


def _text(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode("utf-8", "surrogatepass")


def _split(kind: str, content: bytes) -> Iterator[Piece]:
    for number, begin in enumerate(range(0, max(len(content), 1), BYTES)):
        yield kind, number, content[begin : begin + BYTES]
