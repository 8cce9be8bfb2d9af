"""The expressions that an engine keeps: those that were asked for last, within a bound of their number and of their text.

Memory grows with the text of an expression, some 200 bytes for each character, so a bound of the number alone would let
two thousand long expressions of a stranger take gigabytes.
"""

from collections import OrderedDict
from collections.abc import Callable, Hashable
from threading import Lock
from typing import Generic, TypeVar

MOST_CHARACTERS = 500_000
"""Of all that is kept; all invariants and search parameters of R4 together have a third of it."""

Made = TypeVar("Made")


class Kept(Generic[Made]):
    """What was made last, by key. Threads may share it.

    Args:
        most: How many are kept.
        characters: How many characters of text they have together.
    """

    def __init__(self, most: int, characters: int = MOST_CHARACTERS) -> None:
        self._most = most
        self._characters = characters
        self._held = 0
        self._lock = Lock()
        self._made: OrderedDict[Hashable, tuple[Made, int]] = OrderedDict()

    def get(self, key: Hashable, size: int, make: Callable[[], Made]) -> Made:
        """Return what belongs to a key; it is made where it is not kept.

        Args:
            key: What tells it from others.
            size: Characters of its text.
            make: Makes it, or raises what the caller is told; nothing is kept then.
        """
        with self._lock:
            row = self._made.get(key)
            if row is not None:
                self._made.move_to_end(key)
                return row[0]
        made = make()
        with self._lock:
            if key not in self._made:
                self._made[key] = made, size
                self._held += size
            while self._made and (len(self._made) > self._most or self._held > self._characters):
                self._held -= self._made.popitem(last=False)[1][1]
        return made

    def __len__(self) -> int:
        return len(self._made)
