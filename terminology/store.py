"""What a store of large code systems has to offer: concepts by code and by ordinal, and pieces of what was derived from them.

`terminology.load.derived` makes the pieces when a release is loaded, `terminology.codesystem.stored` reads them. To the
store they are bytes: of a kind, with a number.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Protocol

from terminology.codesystem.hierarchy import Edges
from terminology.concept import Concept

PARENTS, CHILDREN = "parents", "children"
"""Edges of the hierarchy, in both directions (`codesystem.hierarchy.Edges`)."""

BELOW = "below"
"""Bitmaps of all concepts below a concept, by its ordinal; only of those that stand in `LARGE`."""

ROOTS, INACTIVE, ABSTRACT, LARGE = "roots", "inactive", "abstract", "large"
"""Bitmaps."""

RANK, ORDER = "rank", "order"
"""Position of each concept when they are sorted by display, and the ordinals in that order."""

CODES = "codes"
"""Codes of `BLOCK` concepts each, by the number of the block."""

WORDS, PROPERTIES = "words", "properties"
"""Indexes (`codesystem.postings`): concepts by folded word, and by name and value of a property."""


BLOCK = 4_096
"""Concepts whose codes are in one piece."""

SHORT = 3
"""Most letters of such a beginning."""

STATED, VALUE = "\x00", "\x01"
"""In the keys of the index of properties: name, then `STATED`, for concepts that have the property; name, `VALUE`, value."""

LISTING, STARTS = ".listing", ".starts"
"""Kinds of what comes with an index: the first keys of its pages, and the sets of frequent beginnings of words."""


def folded(code: str, *, case_sensitive: bool) -> str:
    """Return the key of a code: the code itself, without case where that does not matter."""
    return code if case_sensitive else code.casefold()


class Shelf(Protocol):
    """The concepts of one version of one code system in a store."""

    async def find(self, key: str, parents: Edges) -> Sequence[Concept]:
        """Return the concepts of a code, folded where case does not matter, in the order of the definition."""
        ...

    async def ordinals(self, keys: Sequence[str]) -> Mapping[str, int]:
        """Return the ordinals of codes, folded where case does not matter, as far as they are there."""
        ...

    async def concepts(self, ordinals: Sequence[int], parents: Edges) -> Sequence[Concept]:
        """Return the concepts of ordinals, in the same order."""
        ...

    async def pieces(self, kind: str, numbers: Sequence[int]) -> Mapping[int, bytes]:
        """Return pieces of a kind by number, as far as they are there."""
        ...

    async def whole(self, kind: str) -> bytes:
        """Return all pieces of a kind, one after the other."""
        ...

    def texts(self, name: str) -> AsyncIterator[tuple[int, str]]:
        """Yield ordinal and `display` or `definition` of all concepts that have one."""
        ...
