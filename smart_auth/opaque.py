"""Opaque secrets: how they are made, and what is kept of them (RFC 9700 4.14, RFC 6749 10.10).

A code, a token, a session or a client's secret has 256 random bits, so an unsalted SHA-256 of it is as good as the secret
is long: nobody can try them out. The database holds only that hash; who reads it can use nothing of it.
"""

import hashlib
import hmac
import secrets
from base64 import urlsafe_b64encode

BYTES = 32
MOST = 512
"""Longest text that is looked up as a secret; whatever is longer is none of ours."""


def new(prefix: str = "") -> str:
    """Return a new secret, 43 URL-safe characters after the prefix.

    Args:
        prefix: A few letters that let secret scanners and people recognize the kind, such as `aqa_`.
    """
    return prefix + secrets.token_urlsafe(BYTES)


def digest(secret: str) -> str:
    """Return what is kept of a secret: the SHA-256 of it in hexadecimal."""
    return hashlib.sha256(secret[:MOST].encode("utf-8", "surrogatepass")).hexdigest()


def matches(secret: str, kept: str) -> bool:
    """Return whether this is the secret of which the digest was kept, in the same time either way."""
    return hmac.compare_digest(digest(secret), kept)


def derived(key: bytes, prefix: str, *parts: str) -> str:
    """Return a secret that only the holder of the key can make of these parts, always the same one.

    Refresh uses it: who asks twice with the same refresh token gets the same answer, though nobody has kept it.
    """
    text = "\0".join((prefix, *parts)).encode("utf-8", "surrogatepass")
    return prefix + urlsafe_b64encode(hmac.digest(key, text, "sha256")).rstrip(b"=").decode("ascii")
