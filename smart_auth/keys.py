"""The server's own signing keys: made, published, used and rotated (RFC 7517, OIDC Core 10.1.1).

Three states follow one another: a key is *next* (published, so that clients know it before it is used), then *signing*, then
*retired* (published until nothing that it signed is valid any more). Rotation moves each one on.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import RSAKey
from joserfc.jws import JWSRegistry

from smart_auth.records import Key

ALGORITHM = "RS256"
"""What id tokens are signed with: the one algorithm that every OpenID Connect client knows (OIDC Core 15.1)."""

BITS = 2048
_PUBLIC = ("kty", "n", "e")


def new(now: datetime, state: str = "next") -> Key:
    """Return a new key; making it takes about 100 ms."""
    key = RSAKey.generate_key(BITS, auto_kid=True)
    return Key(
        key.thumbprint(), ALGORITHM, dict(key.as_dict(private=True)), "signing" if state == "signing" else "next", now
    )


def founded(now: datetime) -> tuple[Key, ...]:
    """Return the keys of a new server: one that signs and the one after it."""
    return new(now, "signing"), new(now)


def rotated(keys: Sequence[Key], now: datetime, kept: timedelta) -> tuple[Key, ...]:
    """Return the keys after a rotation.

    Args:
        keys: The keys before.
        now: Present time.
        kept: How long a retired key stays published: no shorter than the longest life of what it has signed.
    """
    until = now + kept
    moved = [
        replace(key, state="retired", until=until) if key.state == "signing" else replace(key, state="signing")
        for key in keys
        if key.state != "retired"
    ]
    still = [key for key in keys if key.state == "retired" and key.until is not None and key.until > now]
    first = () if any(key.state == "signing" for key in moved) else (new(now, "signing"),)
    return (*first, *moved, new(now), *still)


def published(keys: Sequence[Key], now: datetime) -> dict[str, Any]:
    """Return the JWKS document: public members only, the signing key first."""
    order = {"signing": 0, "next": 1, "retired": 2}
    shown = [key for key in keys if key.until is None or key.until > now]
    return {"keys": [_public(key) for key in sorted(shown, key=lambda key: order[key.state])]}


def sign(keys: Sequence[Key], claims: Mapping[str, Any]) -> str:
    """Return a JWT that the signing key has signed.

    Raises:
        ValueError: There is no signing key.
    """
    key = max((key for key in keys if key.state == "signing"), key=lambda key: key.created, default=None)
    if key is None:
        raise ValueError("The server has no signing key.")
    header = {"alg": key.algorithm, "kid": key.id}
    return jwt.encode(header, dict(claims), _imported(tuple(sorted(key.private.items()))), registry=_registry())


def read(keys: Sequence[Key], token: str, now: datetime) -> dict[str, Any] | None:
    """Return the claims of a JWT that a published key has signed, or `None`. Times are not looked at.

    It serves `id_token_hint`, which may have expired (OIDC RP-Initiated Logout 2).
    """
    for key in keys:
        if key.until is None or key.until > now:
            try:
                return dict(jwt.decode(token, RSAKey.import_key(_public(key)), registry=_registry()).claims)
            except (JoseError, ValueError, TypeError):
                continue
    return None


@lru_cache(maxsize=4)
def _imported(private: tuple[tuple[str, Any], ...]) -> RSAKey:
    """Return a private key ready to sign; making it ready is checked arithmetic of 40 ms, signing takes 1."""
    return RSAKey.import_key(dict(private))


def _public(key: Key) -> dict[str, Any]:
    bare = {name: key.private[name] for name in _PUBLIC}
    return {**bare, "kid": key.id, "use": "sig", "alg": key.algorithm}


def _registry() -> JWSRegistry:
    return JWSRegistry(algorithms=[ALGORITHM])
