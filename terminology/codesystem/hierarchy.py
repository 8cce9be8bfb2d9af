"""The hierarchy of a large code system: edges as two arrays of numbers, and the sets of what stands below."""

from array import array
from collections.abc import Iterable, Iterator, Sequence

from pyroaring import BitMap

NUMBERS = "I"


class Cycle(Exception):
    """A concept stands below itself.

    Args:
        ordinal: Of the concept.
    """

    def __init__(self, ordinal: int) -> None:
        self.ordinal = ordinal
        super().__init__(f"Concept {ordinal} stands below itself.")


class Edges:
    """Neighbours of each concept in one direction, in ascending order.

    Args:
        ends: Where the neighbours of a concept end; those of the next one begin there.
        neighbours: Ordinals.
    """

    def __init__(self, ends: "array[int]", neighbours: "array[int]") -> None:
        self._ends, self._neighbours = ends, neighbours

    @classmethod
    def of(cls, rows: Iterable[Sequence[int]]) -> "Edges":
        """Return the edges with these neighbours, concept by concept."""
        ends, neighbours = array(NUMBERS), array(NUMBERS)
        for row in rows:
            neighbours.extend(row)
            ends.append(len(neighbours))
        return cls(ends, neighbours)

    @classmethod
    def unpack(cls, content: bytes) -> "Edges":
        """Return what `pack` gave."""
        numbers = array(NUMBERS)
        numbers.frombytes(content)
        count = numbers[0] if numbers else 0
        return cls(numbers[1 : count + 1], numbers[count + 1 :])

    def pack(self) -> bytes:
        """Return the edges as bytes."""
        return (array(NUMBERS, [len(self._ends)]) + self._ends + self._neighbours).tobytes()

    def __len__(self) -> int:
        return len(self._ends)

    @property
    def count(self) -> int:
        """How many edges there are."""
        return len(self._neighbours)

    @property
    def size(self) -> int:
        """Bytes in memory."""
        return 4 * (len(self._ends) + len(self._neighbours))

    def next(self, ordinal: int) -> "array[int]":
        """Return the neighbours of a concept."""
        return self._neighbours[self._ends[ordinal - 1] if ordinal else 0 : self._ends[ordinal]]

    def reached(self, ordinal: int) -> BitMap:
        """Return what is reached from a concept in one step or more."""
        ends, neighbours = self._ends, self._neighbours
        found: set[int] = set()
        stack = list(self.next(ordinal))
        while stack:
            one = stack.pop()
            if one not in found:
                found.add(one)
                begin, end = ends[one - 1] if one else 0, ends[one]
                if begin != end:
                    stack.extend(neighbours[begin:end])
        return BitMap(found)

    def without(self) -> BitMap:
        """Return the concepts without neighbours."""
        ends, found, before = self._ends, array(NUMBERS), 0
        for ordinal, end in enumerate(ends):
            if end == before:
                found.append(ordinal)
            before = end
        return BitMap(found)

    def turned(self) -> "Edges":
        """Return the same edges in the other direction."""
        places = array(NUMBERS, bytes(4 * (len(self) + 1)))
        for other in self._neighbours:
            places[other + 1] += 1
        for number in range(1, len(places)):
            places[number] += places[number - 1]
        ends, neighbours = places[1:], array(NUMBERS, bytes(4 * self.count))
        begin = 0
        for ordinal, end in enumerate(self._ends):
            for other in self._neighbours[begin:end]:
                neighbours[places[other]] = ordinal
                places[other] += 1
            begin = end
        return Edges(ends, neighbours)


def closure(parents: Edges, children: Edges) -> Iterator[tuple[int, BitMap]]:
    """Yield each concept that has something below it with the set of that; none before what stands below it.

    A set is in memory until those of all concepts right above are made.

    Raises:
        Cycle: A concept stands below itself.
    """
    waiting = array(NUMBERS, (len(children.next(one)) for one in range(len(children))))
    wanted = array(NUMBERS, (len(parents.next(one)) for one in range(len(parents))))
    ready = list(children.without())
    sets: dict[int, BitMap] = {}
    done = 0
    while ready:
        one = ready.pop()
        done += 1
        below = children.next(one)
        if below:
            sets[one] = found = BitMap(below).union(*(sets[other] for other in below if other in sets))
            yield one, found
            for other in below:
                wanted[other] -= 1
                if not wanted[other]:
                    sets.pop(other, None)
            if not wanted[one]:
                del sets[one]
        for other in parents.next(one):
            waiting[other] -= 1
            if not waiting[other]:
                ready.append(other)
    if done != len(parents):
        raise Cycle(_in_cycle(parents, waiting))


def _in_cycle(parents: Edges, waiting: "array[int]") -> int:
    """Return a concept of a cycle: whoever goes down among those that still wait goes round in the end."""
    children = parents.turned()
    one = next(ordinal for ordinal, left in enumerate(waiting) if left)
    seen: set[int] = set()
    while one not in seen:
        seen.add(one)
        one = next(other for other in children.next(one) if waiting[other])
    return one
