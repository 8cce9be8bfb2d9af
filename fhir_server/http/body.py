"""The request body: read up to the limit, and decompressed where it came as gzip (RFC 9110 8.4)."""

import asyncio
import zlib
from collections.abc import Mapping

from starlette.types import Receive

from fhir_server.model.errors import BadRequest, FhirError, TooLarge, UnsupportedMedia

GZIP = 31
OFF_LOOP = 256 * 1024
FREE = 2**20
MOST_RATIO = 200


class Disconnected(Exception):
    """The client went away before it had sent the whole body."""


def announced(headers: Mapping[str, str]) -> bool:
    """Return whether the headers announce a body (RFC 9112 6)."""
    return headers.get("content-length", "0") != "0" or "transfer-encoding" in headers


async def read(receive: Receive, headers: Mapping[str, str], limit: int) -> bytes:
    """Return the whole body, decompressed.

    Args:
        receive: ASGI receive.
        headers: Request headers by lower-case name.
        limit: Greatest size in bytes, before and after decompression.

    Raises:
        BadRequest: A broken Content-Length or broken gzip data.
        TooLarge: More than `limit` bytes, announced or found.
        UnsupportedMedia: A Content-Encoding other than gzip.
        Disconnected: The client went away.
    """
    encoding = headers.get("content-encoding", "identity").strip().lower()
    if encoding not in {"identity", "", "gzip", "x-gzip"}:
        raise UnsupportedMedia(
            f"The Content-Encoding '{encoding[:40]}' is not read here. Send the body as it is, or as gzip.",
            expression="http.Content-Encoding",
            headers={"Accept-Encoding": "gzip"},
        )
    length = headers.get("content-length", "0")
    if not (length.isascii() and length.isdigit()):
        raise BadRequest("The Content-Length header is not one number of bytes.", expression="http.Content-Length")
    if int(length[:20]) > limit:
        raise _too_large(limit)
    data = await _collect(receive, limit)
    if encoding in {"identity", ""} or not data:
        return data
    if len(data) > OFF_LOOP:
        return await asyncio.to_thread(decompress, data, limit)
    return decompress(data, limit)


def decompress(data: bytes, limit: int) -> bytes:
    """Return what gzip data of one or more members holds.

    Raises:
        BadRequest: Not gzip, damaged or cut off.
        TooLarge: It grows over `limit` bytes, or, above 1 MiB, to more than 200 times its size.
    """
    most = min(limit, max(FREE, MOST_RATIO * len(data)))
    parts: list[bytes] = []
    size = 0
    try:
        while data:
            member = zlib.decompressobj(GZIP)
            part = member.decompress(data, most - size + 1)
            size += len(part)
            if size > most:
                raise _too_large(limit) if most == limit else _bomb()
            if not member.eof:
                raise BadRequest("The gzip body is cut off. Send it whole.", expression="http.Content-Encoding")
            parts.append(part)
            data = member.unused_data
    except zlib.error:
        raise BadRequest(
            "The body is not valid gzip, although Content-Encoding says so. Compress it again, or leave out the header.",
            expression="http.Content-Encoding",
        ) from None
    return b"".join(parts)


async def _collect(receive: Receive, limit: int) -> bytes:
    message = await receive()
    data: bytes = message.get("body", b"")
    if message["type"] == "http.request" and not message.get("more_body", False):
        if len(data) > limit:
            raise _too_large(limit)
        return data
    parts, size = [data], len(data)
    while message.get("more_body", False):
        if size > limit:
            raise _too_large(limit)
        message = await receive()
        part: bytes = message.get("body", b"")
        parts.append(part)
        size += len(part)
    if message["type"] == "http.disconnect":
        raise Disconnected
    if size > limit:
        raise _too_large(limit)
    return b"".join(parts)


def _too_large(limit: int) -> FhirError:
    return TooLarge(
        f"The body is larger than {limit:,} bytes, the most that this server takes in. Split it, or raise the setting "
        "server.max_body.",
        expression="http.body",
    )


def _bomb() -> FhirError:
    return TooLarge(
        f"The gzip body grows to more than {MOST_RATIO} times its size. Send it uncompressed.",
        expression="http.Content-Encoding",
    )
