"""The server's own keys."""

import hmac
import json
from base64 import urlsafe_b64encode
from datetime import timedelta

import pytest
from joserfc import jwt
from joserfc.jwk import KeySet, RSAKey

from smart_auth import keys
from tests.smart_auth.clock import START

KEPT = timedelta(hours=2)


def test_a_new_server_signs_with_a_published_key_and_shows_the_next_one() -> None:
    ring = keys.founded(START)
    shown = keys.published(ring, START)["keys"]
    assert [key["kid"] for key in shown] == [ring[0].id, ring[1].id]
    assert all(key.keys() == {"kty", "n", "e", "kid", "use", "alg"} for key in shown)
    token = keys.sign(ring, {"sub": "u"})
    decoded = jwt.decode(token, KeySet.import_key_set({"keys": shown}), algorithms=["RS256"])
    assert decoded.header["kid"] == ring[0].id
    assert decoded.claims == {"sub": "u"}


def test_private_members_are_neither_published_nor_shown() -> None:
    ring = keys.founded(START)
    secret = ring[0].private["d"]
    assert secret not in json.dumps(keys.published(ring, START))
    assert secret not in repr(ring)


def test_rotation_signs_with_the_key_that_was_already_published() -> None:
    before = keys.founded(START)
    after = keys.rotated(before, START, KEPT)
    assert next(key.id for key in after if key.state == "signing") == before[1].id
    published = [key["kid"] for key in keys.published(after, START)["keys"]]
    assert before[0].id in published
    assert len(published) == 3


def test_what_a_retired_key_signed_can_be_checked_until_nothing_of_it_is_valid() -> None:
    before = keys.founded(START)
    token = keys.sign(before, {"sub": "u"})
    after = keys.rotated(before, START, KEPT)
    assert keys.read(after, token, START + KEPT - timedelta(seconds=1)) == {"sub": "u"}
    assert keys.read(after, token, START + KEPT) is None
    assert len(keys.rotated(after, START + KEPT, KEPT)) == 3


def test_algorithm_confusion_with_the_public_key_as_a_secret_is_refused() -> None:
    ring = keys.founded(START)
    signed = b".".join(urlsafe_b64encode(part).rstrip(b"=") for part in (b'{"alg":"HS256"}', b'{"sub":"u"}'))
    for secret in (RSAKey.import_key(dict(ring[0].private)).as_pem(private=False), b""):
        mac = urlsafe_b64encode(hmac.digest(secret, signed, "sha256")).rstrip(b"=")
        assert keys.read(ring, (signed + b"." + mac).decode(), START) is None


@pytest.mark.parametrize("token", ["", "a.b.c", "eyJhbGciOiJub25lIn0.e30.", "x" * 100_000, "\ud800"])
def test_what_is_no_token_has_no_claims(token: str) -> None:
    assert keys.read(keys.founded(START)[:1], token, START) is None


def test_without_a_signing_key_nothing_is_signed() -> None:
    with pytest.raises(ValueError, match="no signing key"):
        keys.sign((), {})
