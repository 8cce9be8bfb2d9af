"""How a file leaves: read while it is sent, whole or a part of it, compressed on the way (RFC 9110 8.8.3, 13.1, 14).

What is held of it is one part of about a megabyte, and the next one is read when the client has taken the one before.
"""

import asyncio
import re
import zlib
from collections.abc import AsyncIterator, Mapping

import structlog
from msgspec.structs import replace
from starlette.types import Receive, Send

from fhir_server.http.exchange import Exchange, Header
from fhir_server.http.negotiate import accepts_gzip
from fhir_server.http.respond import FAST, GZIP, PACKED, SMALLEST, head, respond
from fhir_server.model import json
from fhir_server.model.background import ended
from fhir_server.model.errors import FhirError
from fhir_server.model.outcome import outcome, refusal
from fhir_server.model.request import Content, FhirRequest, FhirResponse
from profiles.issue import Issue

FILE = ("$export-file",)
"""Path of the files that jobs make."""

PACKABLE = ("application/fhir+ndjson", "application/ndjson", "application/json", "application/fhir+json", "text/")
_RANGE = re.compile(r"bytes=(?P<start>\d{0,18})-(?P<end>\d{0,18})", re.ASCII)

Span = tuple[int, int]
"""First byte, and the one after the last."""


def is_file(request: FhirRequest) -> bool:
    """Return whether a request is for a file, whose media type is not agreed on."""
    return request.method == "GET" and request.path == FILE


async def send_content(receive: Receive, send: Send, response: FhirResponse, exchange: Exchange) -> int:
    """Send a file, or what is asked for of it; return the status.

    Where it cannot be read to the end, or the client goes away, the answer is cut off: a client sees that it is not whole.

    Args:
        receive: ASGI receive, which tells when the client goes away.
        send: ASGI send.
        response: The answer, which has `content`.
        exchange: The request that it answers.
    """
    content = response.content
    if content is None:
        raise ValueError("the answer has no content")
    asked = exchange.headers
    tag = f'"{content.tag}"'
    packed = tag[:-1] + '-gzip"'
    if _names(asked.get("if-none-match", ""), {tag, packed}):
        await respond(send, FhirResponse(304, {**response.headers, "ETag": tag}), exchange)
        return 304
    try:
        span = _span(asked, content.size, tag)
    except ValueError:
        await respond(send, _unsatisfiable(content.size), exchange)
        return 416
    packs = span is None and _is_packed(content, asked)
    headers: dict[str, str] = {**response.headers, "Content-Type": content.media, "ETag": packed if packs else tag}
    start, end = span or (0, content.size)
    if not packs:
        headers |= {"Accept-Ranges": "bytes", "Content-Length": str(end - start)}
    if span:
        headers["Content-Range"] = f"bytes {start}-{end - 1}/{content.size}"
    shown = replace(response, status=206 if span else 200, headers=headers, content=None)
    parts = content.read(start, end)
    try:
        first = b"" if exchange.method == "HEAD" else await anext(parts, b"")
    except FhirError as error:
        await respond(send, refusal(error), exchange)
        return error.status
    rows: list[Header] = [*head(shown, exchange), *([PACKED] if packs else [])]
    await send({"type": "http.response.start", "status": shown.status, "headers": rows})
    if exchange.method == "HEAD":
        await send({"type": "http.response.body", "body": b""})
    else:
        rest = _with(first, parts)
        await _pour(receive, send, _pressed(rest) if packs else rest, exchange)
    return shown.status


async def _pour(receive: Receive, send: Send, parts: AsyncIterator[bytes], exchange: Exchange) -> None:
    """Send the parts, until the client goes away."""
    gone = asyncio.create_task(_gone(receive))
    try:
        async for part in parts:
            if gone.done():
                return
            await send({"type": "http.response.body", "body": part, "more_body": True})
        await send({"type": "http.response.body", "body": b""})
    except FhirError as error:
        # The status is out already. Without an end of the body, the connection is closed and the client knows.
        structlog.get_logger("fhir_server.http").error("file_cut_off", error=type(error).__name__, request=exchange.id)
    finally:
        await ended(gone)


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        continue


async def _with(first: bytes, parts: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    yield first
    async for part in parts:
        yield part


async def _pressed(parts: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Yield the parts as gzip."""
    packer = zlib.compressobj(FAST, zlib.DEFLATED, GZIP)
    async for part in parts:
        if out := await asyncio.to_thread(packer.compress, part):
            yield out
    yield packer.flush()


def _is_packed(content: Content, asked: Mapping[str, str]) -> bool:
    packable = content.media.startswith(PACKABLE) and content.size >= SMALLEST
    return packable and accepts_gzip(asked.get("accept-encoding", ""))


def _span(asked: Mapping[str, str], size: int, tag: str) -> Span | None:
    """Return the part that is asked for, `None` for all: one range of bytes is understood, everything else passed over.

    Raises:
        ValueError: There is nothing at that place.
    """
    wished = _RANGE.fullmatch(asked.get("range", "").replace(" ", ""))
    if wished is None or asked.get("if-range", tag) != tag:
        return None
    start, end = wished["start"], wished["end"]
    if not start and not end:
        return None
    if not start:
        span = (max(size - int(end), 0), size)
    else:
        if end and int(end) < int(start):
            return None
        span = (int(start), min(int(end) + 1, size) if end else size)
    if span[0] >= span[1]:
        raise ValueError("nothing is there")
    return span


def _names(header: str, tags: set[str]) -> bool:
    return header.strip() == "*" or any(one.strip().removeprefix("W/") in tags for one in header.split(","))


def _unsatisfiable(size: int) -> FhirResponse:
    text = f"The file has {size} bytes, and none where the Range header asks for them."
    body = json.encode(outcome([Issue("error", "value", text, "http.Range")]))
    return FhirResponse(416, {"Content-Range": f"bytes */{size}"}, body)
