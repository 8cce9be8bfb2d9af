"""Bytes that hold several documents, cut into documents by the length that each begins with (BSON 1.1, `document`)."""

from collections.abc import Iterator
from struct import Struct

_LENGTH = Struct("<i").unpack_from
SHORTEST = 5


def split(piece: bytes) -> Iterator[bytes]:
    """Yield the documents.

    Raises:
        ValueError: The lengths do not fit.
    """
    at, end = 0, len(piece)
    while at < end:
        (length,) = _LENGTH(piece, at)
        if length < SHORTEST or at + length > end:
            raise ValueError("the lengths of the documents do not fit")
        yield piece[at : at + length]
        at += length
