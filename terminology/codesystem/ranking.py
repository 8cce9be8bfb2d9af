"""Concepts in the order of their displays, of which mostly the first hundred are wanted though there may be many thousands."""

from array import array
from collections.abc import Iterator, Sequence
from typing import overload

from pyroaring import BitMap

FEW = 2_000
"""So many are sorted at once; of more, the order of all concepts is gone through until enough are found."""


class Ranking(Sequence[int]):
    """Ordinals of concepts, short displays before long ones, then in alphabetical order.

    Args:
        members: The concepts, which nobody changes from here on.
        rank: Position of each concept of the code system in that order.
        order: All its ordinals in that order.
    """

    def __init__(self, members: BitMap, rank: "array[int]", order: "array[int]") -> None:
        self.members = members
        self._order = order
        self._first = sorted(members, key=rank.__getitem__) if len(members) <= FEW else []
        self._seen = 0

    def __len__(self) -> int:
        return len(self.members)

    @overload
    def __getitem__(self, place: int) -> int: ...

    @overload
    def __getitem__(self, place: slice) -> Sequence[int]: ...

    def __getitem__(self, place: int | slice) -> int | Sequence[int]:
        if isinstance(place, slice):
            wanted = range(len(self))[place]
            self._reach(max(wanted[0], wanted[-1]) + 1 if wanted else 0)
            return self._first[place] if len(self._first) == len(self) else [self._first[one] for one in wanted]
        number = range(len(self))[place]
        self._reach(number + 1)
        return self._first[number]

    def __iter__(self) -> Iterator[int]:
        self._reach(len(self))
        return iter(self._first)

    def _reach(self, count: int) -> None:
        """Find so many of the first ones."""
        members, order, first, seen = self.members, self._order, self._first, self._seen
        while len(first) < count:
            stretch = order[seen : seen + FEW]
            first += [one for one in stretch if one in members]
            seen += len(stretch)
        self._seen = seen
