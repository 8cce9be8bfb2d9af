"""Logical ids (R4 2.26.3.1: 1 to 64 of letters, digits, hyphen and dot)."""

import re
import secrets
import time

ID = re.compile(r"[A-Za-z0-9\-.]{1,64}", re.ASCII)


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
