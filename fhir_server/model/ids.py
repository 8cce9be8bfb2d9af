"""Logical ids (R4 2.26.3.1: 1 to 64 of letters, digits, hyphen and dot)."""

import re
import secrets
import time
from datetime import UTC, datetime

# R4 also allows "." and "..", but no URL could lead to them: clients take such segments out of a path (RFC 3986 5.2.4).
ID = re.compile(r"(?!\.{1,2}\Z)[A-Za-z0-9\-.]{1,64}", re.ASCII)
RULE = "it must be 1 to 64 letters, digits, '-' or '.', and more than one or two dots"


def valid(text: str) -> bool:
    """Return whether the text is a logical id."""
    return ID.fullmatch(text) is not None


class _Sequence:
    """UUIDv7 whose random part grows by a random step within a millisecond (RFC 9562 6.2, method 2)."""

    __slots__ = ("_millisecond", "_tail")

    def __init__(self) -> None:
        self._millisecond = self._tail = 0

    def next(self) -> str:
        millisecond = time.time_ns() // 1_000_000
        # 73 of 74 bits leave room for more steps than there is time for.
        again = millisecond == self._millisecond
        tail = self._tail + 1 + secrets.randbits(32) if again else secrets.randbits(73)
        self._millisecond, self._tail = millisecond, tail
        text = f"{millisecond << 80 | 0x7 << 76 | tail >> 62 << 64 | 0x2 << 62 | tail & _LOW:032x}"
        return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


_LOW = (1 << 62) - 1
_sequence = _Sequence()


def new() -> str:
    """Return a new id: a UUIDv7, after those that this process made before, and together with them in the index (RFC 9562)."""
    return _sequence.next()


def moment(text: str) -> datetime:
    """Return when an id of `new` was made."""
    return datetime.fromtimestamp(int(text[:13].replace("-", ""), 16) / 1000, UTC)


def least(moment: datetime) -> str:
    """Return what no id that is made from a moment on comes before, by the clock of whoever makes it."""
    text = f"{max(int(moment.timestamp() * 1000), 0):012x}"
    return f"{text[:8]}-{text[8:]}"
