"""`Kept`: what took time to make, for the next who needs it, up to a weight; what was needed least lately goes first."""

from collections import OrderedDict
from collections.abc import Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Kept(Generic[K, V]):
    """A cache whose values have weights.

    Args:
        most: Sum of the weights that are kept. A value that alone weighs more is not kept.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._values: OrderedDict[K, tuple[V, int]] = OrderedDict()
        self._weight = 0

    def get(self, key: K) -> V | None:
        """Return a value, `None` where it is not there (any more)."""
        found = self._values.get(key)
        if found is None:
            return None
        self._values.move_to_end(key)
        return found[0]

    def put(self, key: K, value: V, weight: int = 1) -> V:
        """Keep a value; return it."""
        known = self._values.pop(key, None)
        if known is not None:
            self._weight -= known[1]
        if weight <= self._most:
            self._values[key] = value, weight
            self._weight += weight
            while self._weight > self._most:
                _, (_, gone) = self._values.popitem(last=False)
                self._weight -= gone
        return value

    def __len__(self) -> int:
        return len(self._values)
