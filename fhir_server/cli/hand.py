"""A process that stores batches of lines for another one, which started it (`loading.hands`); it ends with that one.

It is told what to do over the socket that is its only argument, and by nobody else.
"""

import asyncio
import pickle
import socket
import sys
from collections.abc import Sequence

from fhir_server.cli import service
from fhir_server.cli.options import quiet_logs
from fhir_server.loading import frames
from fhir_server.loading.work import Alone, Begin, Task
from fhir_server.model.background import ended
from fhir_server.model.errors import FhirError, Forbidden


async def work(fd: int) -> None:
    """Store batches until whoever started this process ends."""
    reader, writer = await asyncio.open_connection(sock=socket.socket(fileno=fd))
    begin = await frames.receive(reader)
    if not isinstance(begin, Begin):
        return
    settings = pickle.loads(begin.settings)  # noqa: S301 - from the process that started this one
    async with service.working(settings) as working:
        working.store.collections.leave_off(begin.without)
        access = working.loading_within(begin.mandate, begin.since) if begin.since else working.loading(begin.facility)
        hand, gates, under_way = Alone(access), dict[int, asyncio.Event](), set[asyncio.Task[None]]()
        frames.send(writer, frames.Ready())
        try:
            while message := await frames.receive(reader):
                match message:
                    case frames.Ask(task=task):
                        go = gates[task.number] = asyncio.Event()
                        one = asyncio.create_task(_one(hand, task, go, writer))
                        under_way.add(one)
                        one.add_done_callback(under_way.discard)
                    case frames.Go(number=number):
                        gates.pop(number).set()
        finally:
            await ended(*under_way)


async def _one(hand: Alone, task: Task, go: asyncio.Event, writer: asyncio.StreamWriter) -> None:
    async def gate(keys: Sequence[str], needs: Sequence[str]) -> None:
        frames.send(writer, frames.Keys(task.number, keys, needs))
        await go.wait()

    try:
        frames.send(writer, frames.Stored(await hand.store(task, gate)))
    except FhirError as error:
        frames.send(writer, frames.Failed(task.number, isinstance(error, Forbidden), str(error)))
    except Exception as error:  # noqa: BLE001 - what is wrong here is for the other process to tell
        frames.send(writer, frames.Failed(task.number, False, f"A fault of the server ({type(error).__name__})."))


if __name__ == "__main__":
    quiet_logs()
    service.run(work(int(sys.argv[1])))
