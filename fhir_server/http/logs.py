"""Structured logs: one JSON object a line, without patient data.

What is logged are shapes, types, statuses, times and request ids. Exceptions are logged by their types and places, never by
their texts, because the text of a database or JSON error may hold what somebody stored.
"""

import logging
import sys
import traceback
from collections.abc import MutableMapping
from typing import Any, BinaryIO

import structlog

from fhir_server.model import json

Event = MutableMapping[str, Any]

LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}
# At debug level the driver would log commands, which hold resources.
MUTED = ("pymongo", "asyncio", "uvicorn")
FRAMES = 12


def configure(level: str, stream: BinaryIO | None = None) -> None:
    """Send structlog and the standard library's logging, of this whole process, to one stream.

    Args:
        level: Least severe level written: debug, info, warning or error.
        stream: Where to; standard error by default. A terminal gets short lines for people, anything else JSON.
    """
    out = stream or sys.stderr.buffer
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            strip_exception,
            as_line if out.isatty() else as_json,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(LEVELS[level]),
        logger_factory=structlog.BytesLoggerFactory(out),
        cache_logger_on_first_use=True,
    )
    root = logging.getLogger()
    root.handlers[:] = [Bridge()]
    root.setLevel(LEVELS[level])
    for name in MUTED:
        logging.getLogger(name).setLevel(max(LEVELS[level], logging.WARNING))


class Bridge(logging.Handler):
    """Hands records of the standard library (uvicorn, asyncio, the driver) to structlog."""

    def emit(self, record: logging.LogRecord) -> None:
        """Log a record."""
        log = structlog.get_logger(record.name)
        try:
            text = record.getMessage()
        except (TypeError, ValueError):
            text = str(record.msg)
        log.log(record.levelno, text.strip(), logger=record.name, exc_info=record.exc_info)


def strip_exception(_: Any, __: str, event: Event) -> Event:
    """Replace exception information by types and places of the exception and its causes."""
    info = event.pop("exc_info", None)
    if not info:
        return event
    error = info if isinstance(info, BaseException) else (info[1] if isinstance(info, tuple) else sys.exc_info()[1])
    if error is not None:
        event["exception"] = places(error)
    return event


def places(error: BaseException) -> list[str]:
    """Return what was raised and where, innermost frame last, causes after their effects; no texts, no values."""
    lines: list[str] = []
    seen: set[int] = set()
    current: BaseException | None = error
    while current is not None and id(current) not in seen:
        seen.add(id(current))
        kind = type(current)
        lines.append(f"{kind.__module__}.{kind.__qualname__}")
        frames = traceback.extract_tb(current.__traceback__)[-FRAMES:]
        lines += [f"  {frame.filename}:{frame.lineno} {frame.name}" for frame in frames]
        current = current.__cause__ or (None if current.__suppress_context__ else current.__context__)
    return lines


def as_json(_: Any, __: str, event: Event) -> bytes:
    """Return an event as one line of JSON."""
    try:
        return json.encode(event)
    except TypeError:
        return json.encode({name: str(value) for name, value in event.items()})


def as_line(_: Any, __: str, event: Event) -> bytes:
    """Return an event as a short line for people."""
    stamp = str(event.pop("timestamp", ""))[11:23]
    level, name = event.pop("level", "info"), event.pop("event", "")
    exception = event.pop("exception", [])
    details = " ".join(f"{key}={value}" for key, value in event.items() if value != "")
    return "\n".join([f"{stamp} {level:<7} {name} {details}".rstrip(), *exception]).encode("utf-8", "replace")
