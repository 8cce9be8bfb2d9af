"""Sealed notes: the server gives one away and takes it back; nobody else can read it, alter it, or make one.

Authenticated encryption in the form of a synthetic initialization vector (the construction of RFC 5297): the tag is a keyed
hash of the note, and the key stream is drawn from the tag. Two notes share a key stream only where they are the same note,
so there is no nonce that could be used twice, neither by two processes nor after a restart. Of the two standard primitives
keyed BLAKE2b (RFC 7693) authenticates and SHAKE-256 (FIPS 202) yields the key stream, each under a key of its own.
"""

import hashlib
import hmac

TAG = 16


def seal(note: bytes, key: bytes) -> bytes:
    """Return the note as only `unseal` with the same key of 32 bytes can read it; it is 16 bytes longer."""
    tag = _tag(note, key)
    return tag + _crossed(note, key, tag)


def unseal(data: bytes, key: bytes) -> bytes | None:
    """Return the note, `None` where it was not sealed with this key or was altered."""
    tag = data[:TAG]
    note = _crossed(data[TAG:], key, tag)
    return note if hmac.compare_digest(tag, _tag(note, key)) else None


def _tag(note: bytes, key: bytes) -> bytes:
    return hashlib.blake2b(note, digest_size=TAG, key=key, person=b"authenticate").digest()


def _crossed(text: bytes, key: bytes, tag: bytes) -> bytes:
    """Return the text, each bit crossed with one of the key stream; twice gives the text again."""
    hiding = hashlib.blake2b(key=key, person=b"hide").digest()
    stream = hashlib.shake_256(hiding + tag).digest(len(text))
    return (int.from_bytes(text, "big") ^ int.from_bytes(stream, "big")).to_bytes(len(text), "big")
