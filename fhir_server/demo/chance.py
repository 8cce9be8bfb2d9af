"""Chance that repeats: every person and place draws from its own seeded sequence, so that one never shifts another."""

import random
from collections.abc import Sequence
from decimal import Decimal
from typing import TypeVar

T = TypeVar("T")

SEED = "meridia-1"


class Chance:
    """A sequence of draws that depends on the key alone.

    Args:
        key: Who draws, such as `patient/17`.
    """

    def __init__(self, key: str) -> None:
        self._random = random.Random(f"{SEED}/{key}")  # noqa: S311 - repeatable by design, guards nothing

    def happens(self, probability: float) -> bool:
        """Return whether an event of this probability (0 to 1) happens."""
        return self._random.random() < probability

    def whole(self, low: int, high: int) -> int:
        """Return a whole number between both bounds, which are included."""
        return self._random.randint(low, high)

    def one(self, choices: Sequence[T]) -> T:
        """Return one of the choices."""
        return self._random.choice(choices)

    def weighted(self, choices: Sequence[T], weights: Sequence[int]) -> T:
        """Return one of the choices, each as likely as its weight says."""
        return self._random.choices(choices, weights)[0]

    def some(self, choices: Sequence[T], most: int) -> list[T]:
        """Return between one and `most` different choices."""
        return self._random.sample(choices, self._random.randint(1, most))

    def measure(self, mean: float, spread: float, digits: int) -> Decimal:
        """Return a normally distributed value, never far out, with exactly this many digits after the point."""
        value = self._random.gauss(mean, spread)
        value = min(max(value, mean - 2.5 * spread, mean / 10), mean + 2.5 * spread)
        return Decimal(f"{value:.{digits}f}")
