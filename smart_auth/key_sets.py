"""The public keys of clients: what may be registered, and which one key an assertion means (RFC 7517, smart.md 1.8).

A key set at a URL is fetched through a port and kept no longer than the client's own Cache-Control allows. A key id that is
not in it is looked for once more, not sooner than ten seconds after the last time. Who asks while a fetch is going on shares
it, so that assertions that others make up in a client's name call the client one at a time.
"""

import asyncio
import re
from base64 import urlsafe_b64decode
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Protocol

from joserfc.errors import JoseError
from joserfc.jwk import ECKey, RSAKey

SHAPES: Mapping[str, tuple[str, str]] = {
    "RS256": ("RSA", ""),
    "RS384": ("RSA", ""),
    "PS384": ("RSA", ""),
    "ES256": ("EC", "P-256"),
    "ES384": ("EC", "P-384"),
}
"""Algorithms that an assertion may be signed with, each with the key type and curve that it needs (RFC 7518 3.1)."""

PRIVATE = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k"})
SHORTEST_RSA = 2048
LONGEST_RSA = 8192
MOST_KEYS = 20
LONGEST_STAY = timedelta(hours=1)
RETRY = timedelta(seconds=10)

_MAX_AGE = re.compile(r"(?:^|[,\s])max-age\s*=\s*\"?(\d{1,9})", re.ASCII | re.IGNORECASE)


class Unfetched(Exception):
    """A key set could not be had. The text says why, for the developer of the client."""


@dataclass(frozen=True, slots=True)
class Document:
    """What was fetched.

    Attributes:
        value: The JSON.
        cache_control: The Cache-Control header, empty without one.
    """

    value: Any
    cache_control: str = ""


class Fetcher(Protocol):
    """Gets a JSON document of a client from a URL that the client has chosen (`fetch.Guarded`)."""

    def __call__(self, url: str, /) -> Awaitable[Document]:
        """Return the document.

        Raises:
            Unfetched: It cannot be had, or must not be.
        """
        ...


def fault(value: Any) -> str:
    """Return the sentence that says why a key set cannot be registered, empty where it can."""
    keys = value.get("keys") if isinstance(value, dict) else None
    if not isinstance(keys, list) or not keys:
        return "A key set is an object with a list 'keys' that is not empty."
    if len(keys) > MOST_KEYS:
        return f"The key set has {len(keys)} keys, more than {MOST_KEYS}. Leave out those that are not used."
    ids = [key.get("kid") if isinstance(key, dict) else None for key in keys]
    if not all(isinstance(kid, str) and kid for kid in ids):
        return "Every key needs a 'kid'."
    if len(set(ids)) < len(ids):
        return "Two keys of the set have the same 'kid'. Give each its own."
    return next((why for key in keys if (why := _key_fault(key))), "")


def candidates(value: Any, kid: str, algorithm: str) -> list[RSAKey | ECKey]:
    """Return the keys of a set that an assertion with this header can mean. Only one is safe to use.

    Keys of another type or curve, for another use or another algorithm do not count (RFC 8725 3.1), nor do broken ones.
    """
    kind, curve = SHAPES[algorithm]
    keys = value.get("keys") if isinstance(value, dict) else None
    found = []
    for key in keys if isinstance(keys, list) else []:
        if not isinstance(key, dict) or key.get("kid") != kid or _key_fault(key):
            continue
        if key["kty"] != kind or (curve and key.get("crv") != curve):
            continue
        if key.get("alg", algorithm) == algorithm and key.get("use", "sig") == "sig" and _verifies(key):
            found.append(_imported(key))
    return found


class KeySets:
    """Key sets at URLs, as fresh as their owners want.

    Args:
        fetch: Gets a document.
        clock: Present time.
        least: How long a key set stays even where its owner is silent; for owners whom the operator has chosen.
    """

    def __init__(self, fetch: Fetcher, clock: Callable[[], datetime], least: timedelta = timedelta()) -> None:
        self._fetch = fetch
        self._clock = clock
        self._least = least
        self._kept: dict[str, _Kept] = {}
        self._going: dict[str, asyncio.Future[Document]] = {}

    async def find(self, url: str, kid: str, algorithm: str) -> list[RSAKey | ECKey]:
        """Return the keys at a URL that an assertion with this header can mean.

        Raises:
            Unfetched: The key set cannot be had.
        """
        now = self._clock()
        kept = self._kept.get(url)
        if kept and now < kept.until and (found := candidates(kept.value, kid, algorithm)):
            return found
        if kept and now < kept.fetched + RETRY and now < kept.until:
            return []
        document = await self._fetched(url)
        self._keep(url, _Kept(document.value, now, now + max(stay(document.cache_control), self._least)), now)
        return candidates(document.value, kid, algorithm)

    async def _fetched(self, url: str) -> Document:
        """Return the document of a fetch that is going on, or of a new one; it goes on if this caller goes away."""
        going = self._going.get(url)
        if going is None:
            going = self._going[url] = asyncio.ensure_future(self._fetch(url))
            going.add_done_callback(lambda done: self._arrived(url, done))
        return await asyncio.shield(going)

    def _arrived(self, url: str, done: asyncio.Future[Document]) -> None:
        del self._going[url]
        if not done.cancelled():
            done.exception()  # looked at, even if nobody waits for it any more

    def _keep(self, url: str, kept: "_Kept", now: datetime) -> None:
        self._kept = {name: one for name, one in self._kept.items() if one.until > now}
        self._kept[url] = kept


def stay(cache_control: str) -> timedelta:
    """Return how long a key set may be kept: never longer than its owner says, and not at all where the owner is silent."""
    lowered = cache_control.lower()
    if "no-store" in lowered or "no-cache" in lowered:
        return timedelta()
    age = _MAX_AGE.search(cache_control)
    return min(timedelta(seconds=int(age[1])), LONGEST_STAY) if age else timedelta()


@dataclass(frozen=True, slots=True)
class _Kept:
    value: Any
    fetched: datetime
    until: datetime


def _key_fault(key: Mapping[str, Any]) -> str:
    if secret := PRIVATE & key.keys():
        return f"The key set has a private or symmetric member '{min(secret)}'. Register public keys only, and replace that key."
    try:
        size = _bits(key["n"]) if key["kty"] == "RSA" else 0
        if size and not SHORTEST_RSA <= size <= LONGEST_RSA:
            return f"The RSA key has {size} bits. Use {SHORTEST_RSA} to {LONGEST_RSA}."
        _imported(key)
    except (JoseError, ValueError, TypeError, KeyError):
        return f"The key '{str(key.get('kid'))[:60]}' is not a public RSA key or a key on P-256 or P-384."
    return ""


def _bits(number: str) -> int:
    return int.from_bytes(urlsafe_b64decode(number + "=" * (-len(number) % 4))).bit_length()


def _imported(key: Mapping[str, Any]) -> RSAKey | ECKey:
    if key["kty"] == "RSA":
        return RSAKey.import_key({name: key[name] for name in ("kty", "n", "e")})
    if key["kty"] == "EC" and key["crv"] in {"P-256", "P-384"}:
        return ECKey.import_key({name: key[name] for name in ("kty", "crv", "x", "y")})
    raise ValueError("neither RSA nor a curve that is used here")


def _verifies(key: Mapping[str, Any]) -> bool:
    operations = key.get("key_ops")
    return not isinstance(operations, Sequence) or "verify" in operations
