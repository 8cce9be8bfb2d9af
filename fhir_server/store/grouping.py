"""Calls that share a round trip: while one is on the wire the next ones gather.

Nobody waits for company: a lone call is sent at once, so the latency without load is that of the call itself
(docs/decisions/group-commit.md).
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

Item = TypeVar("Item")
Answer = TypeVar("Answer")


class Grouped(Generic[Item, Answer]):
    """A queue in front of a function that answers many items at once.

    Args:
        run: Answers a batch in the order of its items. What it raises is raised to every one of the batch.
        most: Most items of a batch.
        width: Batches on the wire at the same time.
    """

    __slots__ = ("_loop", "_most", "_run", "_running", "_tasks", "_waiting", "_width")

    def __init__(self, run: Callable[[Sequence[Item]], Awaitable[Sequence[Answer]]], most: int, width: int = 1) -> None:
        self._run = run
        self._most = most
        self._width = width
        self._waiting: list[tuple[Item, asyncio.Future[Answer]]] = []
        self._running = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self._loop = asyncio.get_running_loop()

    def ask(self, item: Item) -> asyncio.Future[Answer]:
        """Return the future answer. Cancelling it does not disturb the others of its batch."""
        future: asyncio.Future[Answer] = self._loop.create_future()
        self._waiting.append((item, future))
        if self._running < self._width:
            self._running += 1
            task = self._loop.create_task(self._drain())
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        return future

    @property
    def idle(self) -> bool:
        """Whether nothing waits and nothing is on the wire."""
        return not self._waiting and not self._running

    async def close(self) -> None:
        """Wait until everything asked is answered."""
        while self._tasks:
            await asyncio.wait(self._tasks)

    async def _drain(self) -> None:
        while self._waiting:
            batch = self._waiting[: self._most]
            del self._waiting[: self._most]
            try:
                answers = await self._run([item for item, _ in batch])
            except Exception as error:  # noqa: BLE001 - it belongs to those who asked, each of whom raises it
                for _, future in batch:
                    if not future.done():
                        future.set_exception(error)
                continue
            for (_, future), answer in zip(batch, answers, strict=True):
                if not future.done():
                    future.set_result(answer)
        self._running -= 1
