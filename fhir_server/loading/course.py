"""The course of a file: its batches are stored side by side, and told of in their order."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Container, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from fhir_server.loading.lines import Batch
from fhir_server.loading.work import Done, Gate, Task
from fhir_server.model.background import ended

Note = Callable[[Batch, Done], Awaitable[None]]
"""Is told of each batch, in their order, when it and all before it are stored."""


class Hands(Protocol):
    """Who stores batches: this process, or several."""

    @property
    def width(self) -> int:
        """How many batches it takes at the same time."""
        ...

    async def store(self, task: Task, gate: Gate) -> Done:
        """Store a batch."""
        ...


@dataclass(slots=True)
class _Place:
    """A batch under way, and what it writes as soon as that is known."""

    keys: frozenset[str] = frozenset()
    known: asyncio.Event = field(default_factory=asyncio.Event)
    done: asyncio.Event = field(default_factory=asyncio.Event)


class Order:
    """Sees to it that of two lines with one id the later one is what is there in the end."""

    def __init__(self) -> None:
        self._places: dict[int, _Place] = {}

    def enter(self, number: int) -> None:
        """Take a batch; those that come later wait for it where they write the same."""
        self._places[number] = _Place()

    async def await_turn(self, number: int, keys: Sequence[str], needs: Sequence[str]) -> None:
        """Return when no earlier batch will write what this one writes or refers to."""
        own = self._places[number]
        own.keys = frozenset(keys)
        own.known.set()
        concerned = own.keys.union(needs)
        for earlier in [place for other, place in self._places.items() if other < number]:
            await earlier.known.wait()
            if not earlier.keys.isdisjoint(concerned):
                await earlier.done.wait()

    def leave(self, number: int) -> None:
        """Let go of a batch that has ended, however it did."""
        place = self._places.pop(number)
        place.known.set()
        place.done.set()


async def run(
    hands: Hands, source: str, batches: AsyncIterator[Batch], note: Note, only: Container[int] | None = None
) -> None:
    """Store the batches of a file.

    Args:
        hands: Who stores them.
        source: What names the file, the same whenever it is read.
        batches: Its lines.
        note: Is told of each.
        only: Numbers of the lines that are stored, by default all.

    Raises:
        FhirError: The file cannot be read, who asked may not go on, or the database cannot be reached.
    """
    order, number = Order(), 0
    under_way: deque[tuple[Batch, asyncio.Task[Done]]] = deque()

    async def one(task: Task) -> Done:
        async def gate(keys: Sequence[str], needs: Sequence[str]) -> None:
            await order.await_turn(task.number, keys, needs)

        try:
            return await hands.store(task, gate)
        finally:
            order.leave(task.number)

    async def settle() -> None:
        batch, task = under_way[0]
        done = await task
        under_way.popleft()
        await note(batch, done)

    try:
        async for batch in batches:
            while len(under_way) >= hands.width:
                await settle()
            number += 1
            order.enter(number)
            under_way.append((batch, asyncio.create_task(one(_task(number, source, batch, only)))))
        while under_way:
            await settle()
    finally:
        await ended(*(task for _, task in under_way))


def _task(number: int, source: str, batch: Batch, only: Container[int] | None) -> Task:
    places = range(batch.first, batch.first + batch.count)
    if only is None:
        return Task(number, source, places, batch.data)
    kept = [(place, line) for place, line in zip(places, batch.data.split(b"\n"), strict=True) if place in only]
    return Task(number, source, [place for place, _ in kept], b"\n".join(line for _, line in kept))
