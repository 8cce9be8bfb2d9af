"""How an answer leaves: layout, compression and headers (R4 3.1.0.1.9, RFC 9110 12.5.3)."""

import asyncio
import zlib

from starlette.types import Send

from fhir_server.http.exchange import Exchange, Header
from fhir_server.http.negotiate import accepts_gzip
from fhir_server.model import json
from fhir_server.model.request import FhirResponse

SMALLEST = 1024
OFF_LOOP = 256 * 1024
FAST = 1
GZIP = 31
BODILESS = frozenset({204, 304})

# A health record stays out of every cache, and no browser runs, frames or guesses at it.
SAFETY: tuple[Header, ...] = (
    (b"vary", b"Accept, Accept-Encoding, Origin"),
    (b"cache-control", b"no-store"),
    (b"x-content-type-options", b"nosniff"),
)
SEALED: Header = (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'")
JSON: Header = (b"content-type", b"application/fhir+json; charset=utf-8")
PACKED: Header = (b"content-encoding", b"gzip")


async def respond(send: Send, response: FhirResponse, exchange: Exchange) -> None:
    """Send an answer.

    Args:
        send: ASGI send.
        response: Status, headers and body; the body is JSON unless a `Content-Type` says otherwise.
        exchange: The request that it answers.
    """
    body = response.body
    headers = head(response, exchange)
    if body and "Content-Type" not in response.headers:
        headers.append(JSON)
        if exchange.representation.indented:
            body = json.pretty(body)
    if len(body) >= SMALLEST and accepts_gzip(exchange.headers.get("accept-encoding", "")):
        body = await asyncio.to_thread(compress, body) if len(body) > OFF_LOOP else compress(body)
        headers.append(PACKED)
    if response.status not in BODILESS:
        headers.append((b"content-length", b"%d" % len(body)))
    await send({"type": "http.response.start", "status": response.status, "headers": headers})
    await send({"type": "http.response.body", "body": b"" if exchange.method == "HEAD" else body})


def head(response: FhirResponse, exchange: Exchange) -> list[Header]:
    """Return the headers that every answer has, with its own."""
    headers: list[Header] = [(b"x-request-id", exchange.id.encode("ascii")), *SAFETY, *exchange.cors]
    for name, value in response.headers.items():
        headers.append((name.lower().encode("ascii"), value.encode("latin-1", "replace")))
    if "Content-Security-Policy" not in response.headers:
        headers.append(SEALED)
    return headers


def compress(body: bytes) -> bytes:
    """Return the body as gzip, at the fastest level: JSON shrinks to a sixth already there."""
    packer = zlib.compressobj(FAST, zlib.DEFLATED, GZIP)
    return packer.compress(body) + packer.flush()
