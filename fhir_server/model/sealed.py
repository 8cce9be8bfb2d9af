"""Sealed notes: the server gives one away and takes it back; nobody else can read it, alter it, or make one.

Authenticated encryption by ChaCha20-Poly1305 (RFC 8439), with a nonce drawn at random for each note and carried before it.
Random nonces of 96 bits may serve for some billions of notes under one key: more paging links than a record gives away.
"""

import secrets
from functools import lru_cache

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

NONCE, TAG = 12, 16
OVERHEAD = NONCE + TAG


def seal(note: bytes, key: bytes) -> bytes:
    """Return the note as only `unseal` with the same key of 32 bytes can read it; it is `OVERHEAD` bytes longer."""
    nonce = secrets.token_bytes(NONCE)
    return nonce + _cipher(key).encrypt(nonce, note, None)


def unseal(data: bytes, key: bytes) -> bytes | None:
    """Return the note, `None` where it was not sealed with this key or was altered."""
    if len(data) < OVERHEAD:
        return None
    try:
        return _cipher(key).decrypt(data[:NONCE], data[NONCE:], None)
    except InvalidTag:
        return None


@lru_cache(maxsize=16)
def _cipher(key: bytes) -> ChaCha20Poly1305:
    """Return the cipher of a key, of which a record has one; to prepare it takes as long as to use it."""
    return ChaCha20Poly1305(key)
