"""NDJSON as it comes, in pieces of any size and perhaps compressed, cut into batches of whole lines. Nothing is decoded here."""

import zlib
from collections.abc import AsyncIterator
from dataclasses import dataclass

from fhir_server.model.errors import BadRequest, TooLarge

MOST_LINES = 400
"""Lines of a batch, which become one transaction and one row of the trail."""

MOST_BYTES = 4 * 2**20
"""Bytes of a batch; a longer line is a batch of its own."""

LONGEST = 32 * 2**20
"""Bytes of a line: more than any resource that can be stored."""

GZIP = 31
MAGIC = b"\x1f\x8b"
PIECE = 2**20
FREE = 16 * 2**20
MOST_RATIO = 200


@dataclass(frozen=True, slots=True)
class Batch:
    """Lines that belong together.

    Attributes:
        first: Number of the first one in its file, from 1.
        count: How many lines, blank ones among them.
        data: The lines, with their ends.
    """

    first: int
    count: int
    data: bytes

    @property
    def after(self) -> int:
        """How many lines of the file are before and in it."""
        return self.first + self.count - 1


async def batches(pieces: AsyncIterator[bytes], skip: int = 0, most: int = MOST_LINES) -> AsyncIterator[Batch]:
    """Yield the lines of a file in batches.

    Args:
        pieces: Its bytes.
        skip: Lines at its beginning that are passed over.
        most: Lines of a batch.

    Raises:
        TooLarge: A line is longer than anything that can be stored.
    """
    number, tail = 0, b""
    held: list[bytes] = []
    size = 0
    async for piece in pieces:
        whole, end, rest = piece.rpartition(b"\n")
        if not end:
            tail += piece
            _refuse_long(tail, number + len(held) + 1)
            continue
        lines = (tail + whole).split(b"\n")
        tail = rest
        _refuse_long(tail, number + len(held) + len(lines) + 1)
        for line in lines:
            if number < skip and not held:
                number += 1
                continue
            if held and (len(held) >= most or size + len(line) > MOST_BYTES):
                yield Batch(number + 1, len(held), b"\n".join(held))
                number += len(held)
                held, size = [], 0
            held.append(line)
            size += len(line)
    if tail and not (number < skip and not held):
        held.append(tail)
    if held:
        yield Batch(number + 1, len(held), b"\n".join(held))


async def unpacked(pieces: AsyncIterator[bytes], most: int) -> AsyncIterator[bytes]:
    """Yield the bytes of a file, unpacked where it is gzip, whatever its name and headers say.

    Args:
        pieces: Its bytes.
        most: Bytes that it may have unpacked.

    Raises:
        BadRequest: The gzip data is damaged or cut off.
        TooLarge: It has more, or grows to more than 200 times its size.
    """
    member, taken, given = None, 0, 0
    async for piece in pieces:
        if not taken and piece[:2] == MAGIC:
            member = zlib.decompressobj(GZIP)
        taken += len(piece)
        if member is None:
            given += len(piece)
            _refuse_much(taken, given, most)
            yield piece
            continue
        rest = piece
        while rest:
            if member.eof:
                member = zlib.decompressobj(GZIP)
            try:
                part = member.decompress(rest, PIECE)
            except zlib.error:
                raise BadRequest("The file is not valid gzip. Compress it again, or send it as it is.") from None
            rest = member.unconsumed_tail or member.unused_data
            given += len(part)
            _refuse_much(taken, given, most)
            if part:
                yield part
    if member is not None and not member.eof:
        raise BadRequest("The gzip file is cut off. Send it whole.")


def _refuse_long(line: bytes, number: int) -> None:
    if len(line) > LONGEST:
        raise TooLarge(
            f"Line {number} is longer than {LONGEST:,} bytes, more than any resource that can be stored. Is this NDJSON, one resource "
            "on each line?"
        )


def _refuse_much(taken: int, given: int, most: int) -> None:
    if given > most:
        raise TooLarge(f"The file has more than {most:,} bytes, the most that is imported as one. Split it.")
    if given > max(FREE, MOST_RATIO * taken):
        raise TooLarge(f"The gzip file grows to more than {MOST_RATIO} times its size. Send it uncompressed.")
