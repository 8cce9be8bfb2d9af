"""Sealed notes come back whole or not at all, and tell nothing on the way."""

from hypothesis import given
from hypothesis import strategies as st

from fhir_server.model.sealed import NONCE, OVERHEAD, seal, unseal

KEY, OTHER = b"k" * 32, b"o" * 32


@given(st.binary(max_size=300))
def test_what_is_sealed_comes_back(note: bytes) -> None:
    sealed = seal(note, KEY)
    assert len(sealed) == len(note) + OVERHEAD
    assert unseal(sealed, KEY) == note
    assert unseal(sealed, OTHER) is None


@given(st.binary(min_size=1, max_size=60), st.data())
def test_no_bit_can_be_changed(note: bytes, data: st.DataObject) -> None:
    sealed = bytearray(seal(note, KEY))
    sealed[data.draw(st.integers(0, len(sealed) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    assert unseal(bytes(sealed), KEY) is None


@given(st.binary(max_size=200))
def test_what_was_never_sealed_is_refused(data: bytes) -> None:
    assert unseal(data, KEY) is None


def test_one_note_is_sealed_differently_each_time_and_shows_nothing_of_itself() -> None:
    one, other = seal(b"a" * 200, KEY)[NONCE:], seal(b"a" * 200, KEY)[NONCE:]
    assert sum(x == y for x, y in zip(one, other, strict=True)) < 20
    assert b"aaaa" not in one
