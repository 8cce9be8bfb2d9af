"""Paging links: where the next page starts, as an opaque token that clients can neither read nor forge nor carry elsewhere.

A token holds the time of issue, fingerprints of the caller and of the search, and the place in the order, sealed with the
record's key (`model.sealed`), in URL-safe base64. Nothing is kept on the server. The place is given by the values of the sort
keys, so what is written meanwhile moves no page.
"""

import hashlib
from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

import msgspec

from fhir_server.model.errors import Gone, InvalidParameter
from fhir_server.model.request import Pairs
from fhir_server.model.sealed import seal, unseal
from fhir_server.search.results import CURSOR

VERSION = b"\x03"
PRINT = 12

INCLUDES = frozenset({"_include", "_revinclude"})
# What shapes the answer but not which resources match in which order may change from page to page.
SHAPING = INCLUDES | {
    "_count", "_elements", "_explain", "_format", "_pretty", "_score", "_summary", "_total",
}  # fmt: skip


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


class Sealing(msgspec.Struct, frozen=True):
    """Whose tokens these are, and how they are sealed.

    Attributes:
        key: The record's key.
        hours: How long a token stays usable.
        caller: What tells the caller and the grant from others.
        base: The service base URL.
    """

    key: bytes
    hours: int
    caller: str = ""
    base: str = ""


class Inside(msgspec.Struct, frozen=True):
    """A place among the included resources of a page, whose matches were all shown.

    Attributes:
        until: The values of the sort keys in the last match of the page.
        more: Whether matches follow after it.
        resource_type: Type of the last included resource that was shown.
        id: Its id.
    """

    until: tuple[Any, ...]
    more: bool
    resource_type: str
    id: str


class Cursor(msgspec.Struct, frozen=True):
    """Where a page starts.

    Attributes:
        values: The values of the sort keys in the last entry of the page before; empty for the beginning.
        inside: Set where the page goes on with what the page of these values includes.
        since: The moment whose order is kept, where updates move resources in the order; `None` elsewhere.
        shown: Type and id of what was shown at a place that it only got after that moment.
    """

    values: tuple[Any, ...]
    inside: Inside | None = None
    since: datetime | None = None
    shown: tuple[str, ...] = ()


class _Token(msgspec.Struct, array_like=True):
    issued: int
    caller: bytes
    search: bytes
    values: list[Any]
    inside: tuple[list[Any], bool, str, str] | None
    since: datetime | None
    shown: tuple[str, ...]


_DECODER = msgspec.msgpack.Decoder(_Token)


def encode(cursor: Cursor, request: Paged, sealing: Sealing, now: datetime | None = None) -> str:
    """Return the token for a cursor of this search."""
    inside = cursor.inside
    token = _Token(
        int((now or datetime.now(UTC)).timestamp()),
        _digest(sealing.caller),
        _fingerprint(request, sealing.base, inside=inside is not None),
        [*plain(cursor.values)],
        ([*plain(inside.until)], inside.more, inside.resource_type, inside.id) if inside else None,
        cursor.since,
        cursor.shown,
    )
    sealed = seal(msgspec.msgpack.encode(token), sealing.key)
    return urlsafe_b64encode(VERSION + sealed).decode().rstrip("=")


def decode(request: Paged, sealing: Sealing, now: datetime | None = None) -> Cursor | None:
    """Return the cursor that a search carries, `None` where it carries none.

    Args:
        request: The search.
        sealing: Who asks, and how tokens are sealed.
        now: The present; by default that of the clock.

    Raises:
        InvalidParameter: The token was changed, or belongs to another search or caller.
        Gone: It has expired.
    """
    if not request.cursor:
        return None
    token = _opened(request.cursor, sealing.key)
    if token.caller != _digest(sealing.caller):
        raise _foreign("was given to another caller. Begin the search again")
    if token.search != _fingerprint(request, sealing.base, inside=token.inside is not None):
        raise _foreign("belongs to another search. Follow the links of a search as they are, or begin")
    if (now or datetime.now(UTC)) - datetime.fromtimestamp(token.issued, UTC) > timedelta(hours=sealing.hours):
        raise Gone(
            f"The {CURSOR} is older than {sealing.hours} hours. Begin the search again.", expression=f"http.{CURSOR}"
        )
    inside = None
    if token.inside is not None:
        until, more, resource_type, resource_id = token.inside
        inside = Inside(tuple(until), more, resource_type, resource_id)
    return Cursor(tuple(token.values), inside, token.since, token.shown)


def _opened(text: str, key: bytes) -> _Token:
    try:
        data = urlsafe_b64decode(text.encode("ascii") + b"=" * (-len(text) % 4))
    except (Error, ValueError):
        raise _invalid() from None
    note = unseal(data[len(VERSION) :], key) if data.startswith(VERSION) else None
    if note is None:
        raise _invalid()
    return _DECODER.decode(note)


def plain(values: Iterable[Any]) -> tuple[Any, ...]:
    """Return values of a document as those of a cursor are."""
    return tuple(_plain(value) for value in values)


def _plain(value: Any) -> Any:
    """Return the value without a database's own subclass of `int`, and an instant with the zone that it is in."""
    if isinstance(value, datetime):
        return value.replace(tzinfo=UTC)
    return int(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _fingerprint(request: Paged, base: str, *, inside: bool) -> bytes:
    """Return a digest of what is searched where and how it is sorted; among includes, also of what is included."""
    passed = SHAPING - INCLUDES if inside else SHAPING
    kept = [(name, value) for name, value in request.applied if name.partition(":")[0] not in passed]
    return _digest((base, request.place, sorted(kept, key=lambda pair: pair[0])))


def _digest(value: Any) -> bytes:
    return hashlib.sha256(msgspec.msgpack.encode(value)).digest()[:PRINT]


def _invalid() -> InvalidParameter:
    return _foreign("is not one of this server's. Follow the links of a search as they are, or begin")


def _foreign(what: str) -> InvalidParameter:
    return InvalidParameter(f"The {CURSOR} {what} without {CURSOR}.", expression=f"http.{CURSOR}")
