"""An HTTP/1.1 client that costs little, because it shares the machine with what it measures."""

import asyncio
import itertools
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import cast


@dataclass(slots=True)
class Sample:
    """What one measurement saw.

    Attributes:
        seconds: How long it took.
        latencies: Seconds of each request.
        failures: Answers that were not 2xx.
        cpu: CPU seconds used meanwhile, by process name.
    """

    seconds: float = 0
    latencies: list[float] = field(default_factory=list)
    failures: int = 0
    cpu: dict[str, float] = field(default_factory=dict)

    @property
    def rate(self) -> float:
        """Requests per second."""
        return len(self.latencies) / self.seconds if self.seconds else 0

    def quantile(self, share: float) -> float:
        """Return the latency in milliseconds that this share of the requests did not pass."""
        ordered = sorted(self.latencies)
        return ordered[min(int(len(ordered) * share), len(ordered) - 1)] * 1000 if ordered else 0

    def cost(self, process: str) -> float:
        """Return CPU microseconds per request of a process."""
        return self.cpu.get(process, 0) / len(self.latencies) * 1e6 if self.latencies else 0


class Connection(asyncio.Protocol):
    """One kept-alive connection with one request at a time. Answers must have a Content-Length."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._answer: asyncio.Future[tuple[int, bytes]] | None = None
        self._received = bytearray()
        self._needed = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self._transport = cast(asyncio.Transport, transport)  # uvloop's has the methods but not the class

    def connection_lost(self, exc: Exception | None) -> None:
        """Fail the request under way."""
        if self._answer and not self._answer.done():
            self._answer.set_exception(exc or ConnectionResetError("the server closed the connection"))

    def data_received(self, data: bytes) -> None:
        """Complete the request once head and body are there."""
        self._received += data
        if not self._needed:
            end = self._received.find(b"\r\n\r\n")
            if end < 0:
                return
            head = bytes(self._received[:end]).lower()
            start = head.find(b"content-length:")
            length = int(head[start + 15 :].split(b"\r\n", 1)[0]) if start >= 0 else 0
            self._needed = end + 4 + length
        if len(self._received) >= self._needed and self._answer:
            status = int(self._received[9:12])
            body = bytes(self._received[self._received.find(b"\r\n\r\n") + 4 : self._needed])
            del self._received[: self._needed]
            self._needed = 0
            self._answer.set_result((status, body))

    async def ask(self, request: bytes) -> tuple[int, bytes]:
        """Return status and body of the answer."""
        assert self._transport is not None
        self._answer = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        return await self._answer

    def close(self) -> None:
        """Close the connection."""
        if self._transport:
            self._transport.close()


def request(  # noqa: PLR0917 - the parts of a request
    method: str, path: str, host: str, body: bytes = b"", media: str = "application/fhir+json", token: str = ""
) -> bytes:
    """Return the bytes of a request, with an access token where one is given."""
    head = f"{method} {path} HTTP/1.1\r\nHost: {host}\r\nAccept: application/fhir+json\r\n"
    if token:
        head += f"Authorization: Bearer {token}\r\n"
    if body:
        head += f"Content-Type: {media}\r\nContent-Length: {len(body)}\r\n"
    return head.encode() + b"\r\n" + body


async def connect(address: tuple[str, int]) -> Connection:
    """Return a new connection."""
    _, connection = await asyncio.get_running_loop().create_connection(Connection, *address)
    return connection


async def over_http(address: tuple[str, int], make: Callable[[int], bytes], clients: int, seconds: float) -> Sample:
    """Send requests from so many clients, each waiting for its answer, and return what was seen.

    Args:
        address: Host and port.
        make: The n-th request.
        clients: How many at the same time.
        seconds: After this time no new request starts.
    """
    connections = [await connect(address) for _ in range(clients)]

    def asker(connection: Connection) -> Callable[[int], Awaitable[bool]]:
        async def ask(number: int) -> bool:
            status, _ = await connection.ask(make(number))
            return 200 <= status < 300

        return ask

    try:
        return await repeat([asker(connection) for connection in connections], seconds)
    finally:
        for connection in connections:
            connection.close()


async def repeat(clients: list[Callable[[int], Awaitable[bool]]], seconds: float) -> Sample:
    """Let each client do its next piece of work until the time is over; the pieces are numbered over all clients."""
    numbers = itertools.count()
    sample = Sample()
    start = time.perf_counter()

    async def run(work: Callable[[int], Awaitable[bool]]) -> None:
        while (begun := time.perf_counter()) - start < seconds:
            sample.failures += not await work(next(numbers))
            sample.latencies.append(time.perf_counter() - begun)

    await asyncio.gather(*(run(work) for work in clients))
    sample.seconds = time.perf_counter() - start
    return sample
