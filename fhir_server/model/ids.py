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


def new() -> str:
    """Return a new id: a UUIDv7, so that ids made together lie together in the index (RFC 9562)."""
    value = (time.time_ns() // 1_000_000 << 80) | secrets.randbits(80)
    value = value & ~(0xF << 76) | (0x7 << 76)
    value = value & ~(0x3 << 62) | (0x2 << 62)
    text = f"{value:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def moment(text: str) -> datetime:
    """Return when an id of `new` was made."""
    return datetime.fromtimestamp(int(text[:13].replace("-", ""), 16) / 1000, UTC)


def least(moment: datetime) -> str:
    """Return what no id that is made from a moment on comes before, by the clock of whoever makes it."""
    text = f"{max(int(moment.timestamp() * 1000), 0):012x}"
    return f"{text[:8]}-{text[8:]}"
