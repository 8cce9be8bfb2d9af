"""The least that an answer can cost: an ASGI callable that sends 2 KB, under the server's own HTTP settings."""

import asyncio
import socket
import sys

import uvicorn
from starlette.types import Receive, Scope, Send

from fhir_server.http.protocol import Protocol

BODY = b'{"resourceType":"Observation","pad":"' + b"x" * 2000 + b'"}'
HEADERS = [(b"content-type", b"application/fhir+json"), (b"content-length", str(len(BODY)).encode())]


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer."""
    await send({"type": "http.response.start", "status": 200, "headers": HEADERS})
    await send({"type": "http.response.body", "body": BODY})


def main() -> None:
    """Serve on a free port, which is written to stdout."""
    listener = socket.create_server(("127.0.0.1", 0))
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # as the server does
    sys.stdout.write(f"{listener.getsockname()[1]}\n")
    sys.stdout.flush()
    config = uvicorn.Config(
        app, loop="uvloop", http=Protocol, ws="none", lifespan="off", log_config=None, access_log=False
    )
    asyncio.run(uvicorn.Server(config).serve([listener]))


if __name__ == "__main__":
    main()
