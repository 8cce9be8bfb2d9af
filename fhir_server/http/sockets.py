"""Websockets on the wire (RFC 6455): uvicorn's protocol, whose peers can neither fill the memory nor keep a connection by not reading.

An application can find out what its peer has: beside ASGI's own messages it may send `{"type": "websocket.ping", "bytes": …}`, and
receives `{"type": "websocket.pong", "bytes": …}` when the peer has answered, so has everything that was sent before.
"""

import asyncio
from asyncio.transports import BaseTransport
from collections import deque
from typing import Any

from uvicorn.protocols.utils import ClientDisconnected
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.exceptions import InvalidState
from websockets.frames import Frame

MOST_MESSAGE = 4096
"""Bytes of a message from a client: a token to bind with is some sixty."""

MOST_FRAGMENTS = 64
PING_SECONDS = 20.0
LINGER_SECONDS = 2.0

MOST_PINGS = 1000
"""Pings of the application on the way; an answer to a later one counts for those that are forgotten."""


class Sockets(WebSocketsSansIOProtocol):
    """One connection."""

    def connection_made(self, transport: BaseTransport) -> None:
        """Know whether it is over."""
        self.over = False
        self.pings: deque[bytes] = deque(maxlen=MOST_PINGS)
        super().connection_made(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        """End once, however it came to that."""
        if not self.over:
            self.over = True
            super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take in bytes; a head that is no handshake, of which nothing else would come, ends the connection."""
        super().data_received(data)
        if not self.handshake_initiated:
            self.transport.write(b"".join(self.conn.data_to_send()))
            self.transport.close()

    async def send(self, message: Any) -> None:
        """Send what the application says, also a ping."""
        if message["type"] != "websocket.ping":
            await super().send(message)
            return
        await self.writable.wait()
        if self.disconnected or self.close_sent:
            raise ClientDisconnected
        try:
            self.conn.send_ping(message["bytes"])
        except InvalidState:
            raise ClientDisconnected from None
        self.pings.append(message["bytes"])
        self.transport.write(b"".join(self.conn.data_to_send()))

    def handle_pong(self, event: Frame) -> None:
        """Tell the application of the answer to a ping of its own."""
        super().handle_pong(event)
        payload = bytes(event.data)
        if payload in self.pings:
            while self.pings.popleft() != payload:
                pass
            told: Any = {"type": "websocket.pong", "bytes": payload}  # none of ASGI's
            self.queue.put_nowait(told)

    def handle_ping(self) -> None:
        """Answer a ping, unless the answers to earlier ones are not read."""
        if self.writable.is_set():
            super().handle_ping()
        else:
            self._abort()

    def handle_cont(self, event: Frame) -> None:
        """Take in a fragment of a message."""
        super().handle_cont(event)
        if len(self.frames) > MOST_FRAGMENTS:
            self._abort()

    def keepalive_timeout(self) -> None:
        """End a connection whose peer does not answer; it would not read that it is over either."""
        self._abort()

    def on_task_complete(self, task: asyncio.Task[None]) -> None:
        """Give the peer a moment to read what was sent last."""
        super().on_task_complete(task)
        if not self.over:
            self.loop.call_later(LINGER_SECONDS, self._abort)

    def _abort(self) -> None:
        if not self.over:
            self.transport.abort()
