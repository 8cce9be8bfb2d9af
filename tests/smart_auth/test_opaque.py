"""Opaque secrets."""

import pytest

from smart_auth import opaque


def test_a_secret_has_256_bits_and_its_prefix() -> None:
    secrets = {opaque.new("aqa_") for _ in range(100)}
    assert len(secrets) == 100
    assert all(secret.startswith("aqa_") and len(secret) == 47 for secret in secrets)


def test_only_a_digest_is_kept_and_only_the_secret_matches_it() -> None:
    secret = opaque.new()
    kept = opaque.digest(secret)
    assert secret not in kept
    assert opaque.matches(secret, kept)
    assert not opaque.matches(secret + "x", kept)


@pytest.mark.parametrize("text", ["", "\ud800", "x" * 100_000, "ключ"])
def test_whatever_a_client_sends_has_a_digest(text: str) -> None:
    assert len(opaque.digest(text)) == 64


def test_a_derived_secret_is_the_same_again_and_only_for_the_same_key_and_parts() -> None:
    made = opaque.derived(b"k" * 32, "aqr_", "old", "scope")
    assert made == opaque.derived(b"k" * 32, "aqr_", "old", "scope")
    others = {opaque.derived(b"j" * 32, "aqr_", "old", "scope"), opaque.derived(b"k" * 32, "aqr_", "olds", "cope")}
    assert made not in others
