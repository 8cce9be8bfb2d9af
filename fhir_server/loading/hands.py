"""Several processes that store batches: checking and indexing take more time than the database does.

They are started when a load turns out to be large, for each takes a second to begin. Who starts them gives batches out, sees to it
that of two lines with one id the later one wins, and tells them to go. They end with it, however it ends.
"""

import asyncio
import contextlib
import os
import socket
import sys
from dataclasses import dataclass, field
from typing import Self

from fhir_server.loading import frames
from fhir_server.loading.work import Access, Alone, Begin, Done, Gate, Task
from fhir_server.model.background import ended
from fhir_server.model.errors import Forbidden, Unavailable

LARGE = 4_000
"""Lines after which other processes help."""

MOST = 16
"""Processes, whatever the number of cores."""

EACH = 2
"""Batches that one process has at the same time: while one is being written, the next is checked."""

PATIENT = 10.0
PROGRAM = "fhir_server.cli.hand"


def cores() -> int:
    """Return how many processes can work at the same time on this machine."""
    return min(len(os.sched_getaffinity(0)), MOST)


class Crew:
    """Stores batches by itself at first, and by other processes when there are many.

    Args:
        access: For whom.
        processes: How many there are to be; none where it stays alone.
        together: Whether this process goes on storing beside them.
    """

    def __init__(self, access: Access, processes: int, *, together: bool) -> None:
        self._own = Alone(access)
        self._access = access
        self._wanted = processes
        self._together = together
        self._lines = 0
        self._mine = 0
        self._others: list[_Process] = []
        self._starting: asyncio.Task[None] | None = None

    @property
    def width(self) -> int:
        """How many batches are taken at the same time."""
        return self._own.width + (EACH * len(self._others))

    async def __aenter__(self) -> Self:
        """Return itself."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """End the processes."""
        if self._starting:
            await ended(self._starting)
        await asyncio.gather(*(process.end() for process in self._others))

    async def store(self, task: Task, gate: Gate) -> Done:
        """Store a batch; return what became of it.

        Raises:
            Forbidden: Who asked for it may not go on.
            Unavailable: The database cannot be reached, or a process has ended.
        """
        self._lines += len(task.places)
        if self._wanted and self._starting is None and self._lines > LARGE:
            self._starting = asyncio.create_task(self._start(), name="loading processes")
        free = min(self._others, key=lambda one: len(one.under_way), default=None)
        if free is None or (self._together and self._mine < min(EACH, len(free.under_way) + 1)):
            self._mine += 1
            try:
                return await self._own.store(task, gate)
            finally:
                self._mine -= 1
        return await free.store(task, gate)

    async def _start(self) -> None:
        async def one() -> None:
            self._others.append(await _Process.started(self._access.elsewhere))

        await asyncio.gather(*(one() for _ in range(self._wanted)))


@dataclass(slots=True)
class _Waiting:
    """A batch that a process has."""

    keys: asyncio.Future[frames.Keys]
    done: asyncio.Future[Done]


@dataclass(slots=True)
class _Process:
    """One other process."""

    process: asyncio.subprocess.Process
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    under_way: dict[int, _Waiting] = field(default_factory=dict)
    listening: asyncio.Task[None] | None = None
    number: int = 0

    @classmethod
    async def started(cls, begin: Begin) -> "_Process":
        """Return a process that is ready.

        Raises:
            Unavailable: It ended at once.
        """
        here, there = socket.socketpair()
        with there:
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                PROGRAM,
                str(there.fileno()),
                pass_fds=(there.fileno(),),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.DEVNULL,
            )
        reader, writer = await asyncio.open_connection(sock=here)
        found = cls(process, reader, writer)
        try:
            frames.send(writer, begin)
            ready = await frames.receive(reader)
        except BaseException:
            await found.end()
            raise
        if not isinstance(ready, frames.Ready):
            await found.end()
            raise _ended()
        found.listening = asyncio.create_task(found._listen(), name="loading process")
        return found

    async def store(self, task: Task, gate: Gate) -> Done:
        """Have a batch stored."""
        loop = asyncio.get_running_loop()
        self.number += 1
        number, waiting = self.number, _Waiting(loop.create_future(), loop.create_future())
        self.under_way[number] = waiting
        try:
            if self.listening is None or self.listening.done():
                raise _ended()
            frames.send(self.writer, frames.Ask(Task(number, task.source, [*task.places], task.data)))
            known = await waiting.keys
            await gate(known.keys, known.needs)
            frames.send(self.writer, frames.Go(number))
            done = await waiting.done
        finally:
            del self.under_way[number]
        return Done(task.number, done.created, done.updated, done.unchanged, done.refused)

    async def end(self) -> None:
        """End the process; what it has not stored is not stored."""
        self.writer.close()
        if self.listening:
            await ended(self.listening)
        try:
            async with asyncio.timeout(PATIENT):
                await self.process.wait()
        except TimeoutError:
            with contextlib.suppress(ProcessLookupError):
                self.process.kill()
            await self.process.wait()

    async def _listen(self) -> None:
        while message := await frames.receive(self.reader):
            match message:
                case frames.Keys(number=number) if number in self.under_way:
                    self.under_way[number].keys.set_result(message)
                case frames.Stored(done=done) if done.number in self.under_way:
                    self.under_way[done.number].done.set_result(done)
                case frames.Failed(number=number) if number in self.under_way:
                    error = Forbidden(message.text) if message.forbidden else Unavailable(message.text)
                    self._fail(self.under_way[number], error)
        for waiting in self.under_way.values():
            self._fail(waiting, _ended())

    def _fail(self, waiting: _Waiting, error: Exception) -> None:
        for future in (waiting.keys, waiting.done):
            if not future.done():
                future.set_exception(error)
                future.exception()  # whoever still waits raises it; nobody has to


def _ended() -> Unavailable:
    return Unavailable("A process that stored lines has ended. What it had not stored yet is sent again.")
