"""What one load test saw: each kind of request with its latencies, and the course of time."""

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

MANY = 10
"""Latencies below so many milliseconds are counted by tenths, others by whole ones."""


class Kind(msgspec.Struct):
    """Requests of one kind.

    Attributes:
        name: As the locustfile calls them.
        requests: How many were answered.
        failures: How many of them not as they should be.
        p50: Milliseconds that half of them did not pass.
        p95: The same of 95 in 100.
        p99: The same of 99 in 100.
    """

    name: str
    requests: int
    failures: int
    p50: float
    p95: float
    p99: float


class Second(msgspec.Struct):
    """One second of a load test.

    Attributes:
        requests: Answers in it.
        failures: Those of them that were not as they should be.
        p50: Milliseconds, median.
        p95: Milliseconds that 95 in 100 did not pass.
    """

    requests: int
    failures: int
    p50: float
    p95: float


class Seen(msgspec.Struct):
    """A whole load test.

    Attributes:
        seconds: From the first request to the last answer.
        total: All requests together.
        kinds: By kind, the most frequent first.
        course: Second by second.
        counted: What the locustfile counted besides, such as resources.
        broken: What must not be and was, as sentences.
        said: The first failures, each once.
    """

    seconds: float
    total: Kind
    kinds: list[Kind]
    course: list[Second]
    counted: dict[str, int]
    broken: list[str]
    said: list[str]

    @property
    def rate(self) -> float:
        """Requests per second."""
        return self.total.requests / self.seconds if self.seconds else 0.0

    def write(self, path: Path) -> None:
        """Keep it as JSON."""
        path.write_bytes(msgspec.json.encode(self))

    @classmethod
    def read(cls, path: Path) -> "Seen":
        """Return what was kept."""
        return msgspec.json.decode(path.read_bytes(), type=cls)


@dataclass(slots=True)
class _Answers:
    """Answers of one kind or one second: how many took how long."""

    failures: int = 0
    took: Counter[float] = field(default_factory=Counter)

    def add(self, milliseconds: float, *, failed: bool) -> None:
        self.failures += failed
        self.took[round(milliseconds, 1) if milliseconds < MANY else round(milliseconds)] += 1

    def quantile(self, share: float) -> float:
        wanted, so_far = share * self.took.total(), 0
        for milliseconds in sorted(self.took):
            so_far += self.took[milliseconds]
            if so_far >= wanted:
                return milliseconds
        return 0.0

    def kind(self, name: str) -> Kind:
        p50, p95, p99 = map(self.quantile, (0.5, 0.95, 0.99))
        return Kind(name, self.took.total(), self.failures, p50, p95, p99)


class Watching:
    """Takes notice of every answer."""

    def __init__(self) -> None:
        self.counted: Counter[str] = Counter()
        self.broken: list[str] = []
        self._said: list[str] = []
        self._total = _Answers()
        self._kinds: dict[str, _Answers] = {}
        self._course: dict[int, _Answers] = {}
        self._begun = self._ended = 0.0

    def answered(self, name: str, now: float, milliseconds: float, failure: Any) -> None:
        """Take notice of an answer at the time `now`, in seconds."""
        self._begun = min(self._begun or now, now - milliseconds / 1000)
        self._ended = now
        second = int(now - self._begun)
        for answers in (
            self._total,
            self._kinds.setdefault(name, _Answers()),
            self._course.setdefault(second, _Answers()),
        ):
            answers.add(milliseconds, failed=bool(failure))
        if failure and len(self._said) < MANY and (said := f"{name}: {failure}") not in self._said:
            self._said.append(said)

    def seen(self) -> Seen:
        """Return all of it."""
        course = []
        for second in range(max(self._course, default=-1) + 1):
            kind = self._course.get(second, _Answers()).kind("")
            course.append(Second(kind.requests, kind.failures, kind.p50, kind.p95))
        kinds = sorted((answers.kind(name) for name, answers in self._kinds.items()), key=lambda kind: -kind.requests)
        total = self._total.kind("total")
        return Seen(self._ended - self._begun, total, kinds, course, dict(self.counted), self.broken, self._said)
