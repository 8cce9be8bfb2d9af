"""Servers on loopback that a test calls by name, with whatever answers it wants, over real sockets."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager

from fhir_server.outbound import Outbound

Answering = Callable[[bytes, asyncio.StreamWriter], Awaitable[None]]
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nSet-Cookie: a=b\r\n\r\nok"


@asynccontextmanager
async def origin(
    answer: Answering | bytes, context: ssl.SSLContext | None = None
) -> AsyncIterator[tuple[int, list[bytes]]]:
    """Yield the port of a server on loopback, and the requests that it received; it answers connections any number of times."""
    seen: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                length = next(
                    (int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")), 0
                )
                seen.append(head + await reader.readexactly(length))
                if isinstance(answer, bytes):
                    writer.write(answer)
                else:
                    await answer(seen[-1], writer)
                await writer.drain()
        except (asyncio.IncompleteReadError, asyncio.CancelledError, ConnectionError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    try:
        yield server.sockets[0].getsockname()[1], seen
    finally:
        server.close()


@asynccontextmanager
async def caller(
    *allowed: str, to: Sequence[str] = ("127.0.0.1",), trust: ssl.SSLContext | None = None, development: bool = True
) -> AsyncIterator[Outbound]:
    async def resolve(host: str, port: int) -> Sequence[str]:
        return to

    outbound = Outbound(allowed, development, resolve=resolve, trust=trust)
    try:
        yield outbound
    finally:
        await outbound.close()


async def flood(request: bytes, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    while True:
        writer.write(b"10000\r\n" + b"x" * 65536 + b"\r\n")
        await writer.drain()
