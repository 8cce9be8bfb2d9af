"""The rows of a cursor's reply as they lie in its bytes (BSON 1.1), without an object for each of them."""

from collections.abc import Iterator
from struct import Struct

from bson.raw_bson import RawBSONDocument

_INT32, _INT64 = Struct("<i").unpack_from, Struct("<q").unpack_from
_DOCUMENT, _ARRAY, _STRING = 0x03, 0x04, 0x02
_FIXED = {0x01: 8, 0x08: 1, 0x09: 8, 0x0A: 0, 0x10: 4, 0x11: 8, 0x12: 8}
"""Sizes of values by type."""

BATCHES = (b"firstBatch", b"nextBatch")


def batch(reply: RawBSONDocument) -> tuple[int, bytes]:
    """Return the id of the cursor, 0 where it is exhausted, and the elements of the array of its rows.

    Args:
        reply: Of a `find` or `getMore` that succeeded.
    """
    raw, cursor, rows = bytes(reply.raw), 0, b""
    (inside,) = [at for name, at, _ in _elements(raw, 4, len(raw) - 1) if name == b"cursor"]
    for name, at, end in _elements(raw, inside + 4, inside + _INT32(raw, inside)[0] - 1):
        if name == b"id":
            (cursor,) = _INT64(raw, at)
        elif name in BATCHES:
            rows = raw[at + 4 : end - 1]
    return cursor, rows


def _elements(raw: bytes, at: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    """Yield name, beginning and end of the value of each element of a document."""
    while at < end:
        kind, start = raw[at], raw.index(0, at + 1) + 1
        size = _INT32(raw, start)[0] if kind in {_DOCUMENT, _ARRAY} else _FIXED.get(kind)
        if kind == _STRING:
            size = 4 + _INT32(raw, start)[0]
        if size is None:
            raise ValueError(f"a reply has a value of type {kind:#x}")
        yield raw[at + 1 : start - 1], start, start + size
        at = start + size


def documents(rows: bytes) -> Iterator[bytes]:
    """Yield the documents among the elements of an array of rows, in their order."""
    for _, at, end in _elements(rows, 0, len(rows)):
        yield rows[at:end]
