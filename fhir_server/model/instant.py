"""Instants as the server writes them: UTC, whole milliseconds (R4 2.24.0.1)."""

from datetime import UTC, datetime
from functools import lru_cache

# One moment is written several times: in the resource, in headers, and for all resources of a bundle.


@lru_cache(maxsize=256)
def text(moment: datetime) -> str:
    """Return `2026-11-21T08:15:30.123Z`."""
    return f"{moment.astimezone(UTC).isoformat(timespec='milliseconds')[:-6]}Z"


@lru_cache(maxsize=256)
def http_date(moment: datetime) -> str:
    """Return the form of the Last-Modified header (RFC 9110 5.6.7)."""
    utc = moment.astimezone(UTC)
    day = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")[utc.weekday()]
    months = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
    time = f"{utc.hour:02d}:{utc.minute:02d}:{utc.second:02d}"
    return f"{day}, {utc.day:02d} {months[utc.month - 1]} {utc.year:04d} {time} GMT"
