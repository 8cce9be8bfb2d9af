"""Paging links: where the next page starts, as an opaque token that clients cannot forge or carry to another search.

A token is version, time of issue, fingerprint of the search and the values of the sort keys, then a seal (HMAC-SHA256 of
all that), in URL-safe base64. Nothing is kept on the server.
"""

import hashlib
import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

import msgspec

from fhir_server.model.errors import Gone, InvalidParameter
from fhir_server.model.request import Pairs
from fhir_server.search.results import CURSOR

VERSION = b"\x01"
SEAL = 16
PRINT = 12
HEAD = len(VERSION) + 4 + PRINT

# What shapes the answer but not which resources match in which order may change from page to page.
SHAPING = frozenset(
    {"_count", "_total", "_summary", "_elements", "_include", "_revinclude", "_format", "_pretty"}
)  # fmt: skip


class Paged(Protocol):
    """What is paged: a search, or a history."""

    @property
    def place(self) -> str:
        """What is searched: the URL path below the service base."""
        ...

    @property
    def applied(self) -> Pairs:
        """Its parameters."""
        ...

    @property
    def cursor(self) -> str:
        """The token that it carries, empty for none."""
        ...


@dataclass(frozen=True, slots=True)
class Cursor:
    """The values of the sort keys in the last entry of a page."""

    values: tuple[Any, ...]


def encode(cursor: Cursor, request: Paged, key: bytes, now: datetime | None = None) -> str:
    """Return the token for a cursor of this search."""
    issued = int((now or datetime.now(UTC)).timestamp())
    values = msgspec.msgpack.encode([_plain(value) for value in cursor.values])
    body = VERSION + issued.to_bytes(4, "big") + _fingerprint(request) + values
    return urlsafe_b64encode(body + _seal(body, key)).decode().rstrip("=")


def decode(request: Paged, key: bytes, hours: int, now: datetime | None = None) -> Cursor | None:
    """Return the cursor that a search carries, `None` where it carries none.

    Args:
        request: The search.
        key: The key that tokens are sealed with.
        hours: How long a token stays usable.
        now: The present; by default that of the clock.

    Raises:
        InvalidParameter: The token was changed, or belongs to another search.
        Gone: It has expired.
    """
    if not request.cursor:
        return None
    try:
        data = urlsafe_b64decode(request.cursor.encode("ascii") + b"=" * (-len(request.cursor) % 4))
    except (Error, ValueError):
        raise _invalid() from None
    body, seal = data[:-SEAL], data[-SEAL:]
    if len(body) <= HEAD or not hmac.compare_digest(seal, _seal(body, key)):
        raise _invalid()
    if body[5:HEAD] != _fingerprint(request):
        raise InvalidParameter(
            f"The {CURSOR} belongs to another search. Follow the links of a search as they are, or begin without {CURSOR}.",
            expression=f"http.{CURSOR}",
        )
    issued = datetime.fromtimestamp(int.from_bytes(body[1:5], "big"), UTC)
    if (now or datetime.now(UTC)) - issued > timedelta(hours=hours):
        raise Gone(f"The {CURSOR} is older than {hours} hours. Begin the search again.", expression=f"http.{CURSOR}")
    return Cursor(tuple(msgspec.msgpack.decode(body[HEAD:])))


def _plain(value: Any) -> Any:
    """Return the value without a database's own subclass of `int`, and an instant with the zone that it is in."""
    if isinstance(value, datetime):
        return value.replace(tzinfo=UTC)
    return int(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _fingerprint(request: Paged) -> bytes:
    """Return a digest of what is searched and how it is sorted."""
    kept = [(name, value) for name, value in request.applied if name.partition(":")[0] not in SHAPING]
    pairs = sorted(kept, key=lambda pair: pair[0])
    return hashlib.sha256(msgspec.msgpack.encode((request.place, pairs))).digest()[:PRINT]


def _seal(body: bytes, key: bytes) -> bytes:
    return hmac.digest(key, body, "sha256")[:SEAL]


def _invalid() -> InvalidParameter:
    return InvalidParameter(
        f"The {CURSOR} is not one of this server's. Follow the links of a search as they are, or begin without {CURSOR}.",
        expression=f"http.{CURSOR}",
    )
