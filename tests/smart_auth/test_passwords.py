"""Passwords, and the attacks on them."""

from time import process_time

import pytest

from smart_auth.passwords import Passwords, weakness

QUICK = Passwords(memory_kib=1024, passes=1)


def test_a_password_is_right_and_another_is_not() -> None:
    kept = QUICK.hash("correct horse battery")
    assert kept.startswith("$argon2id$")
    assert QUICK.check(kept, "correct horse battery")
    assert not QUICK.check(kept, "correct horse batterz")


def test_the_same_password_typed_on_another_keyboard_is_right() -> None:
    assert QUICK.check(QUICK.hash("blåbærsyltetøy123"), "blåbærsyltetøy123")


def test_user_enumeration_by_time_finds_no_difference() -> None:
    slow = Passwords(memory_kib=16 * 1024, passes=2)
    kept = slow.hash("correct horse battery")

    def duration(known: str) -> float:
        started = process_time()
        assert not slow.check(known, "wrong password")
        return process_time() - started

    rounds = [(duration(kept), duration("")) for _ in range(5)]
    known, unknown = min(one for one, _ in rounds), min(other for _, other in rounds)
    assert 0.4 < known / unknown < 2.5


def test_an_oversized_password_is_wrong_without_being_hashed() -> None:
    assert not QUICK.check(QUICK.hash("x" * 256), "x" * 10_000_000)


@pytest.mark.parametrize("kept", ["", "plain", "$argon2id$broken", "$2b$12$notargon"])
def test_what_is_no_hash_is_never_right(kept: str) -> None:
    assert not QUICK.check(kept, "")
    assert not QUICK.check(kept, "plain")


def test_a_hash_of_weaker_parameters_is_outdated() -> None:
    assert Passwords(memory_kib=2048, passes=1).outdated(QUICK.hash("x"))
    assert not QUICK.outdated(QUICK.hash("x"))


@pytest.mark.parametrize(
    ("password", "says"),
    [
        ("short", "12 or more"),
        ("x" * 257, "shorter"),
        ("aaaaaaaaaaaaaaa", "first that anybody"),
        ("Password123!!", "first that anybody"),
        ("amrita-in-the-rain", "name or login"),
    ],
)
def test_a_weak_password_is_refused_with_a_reason(password: str, says: str) -> None:
    assert says in weakness(password, login="amrita@example.org", name="Amrita Rao")


def test_four_words_will_do() -> None:
    assert weakness("lantern gravel otter nine", login="amrita", name="Amrita Rao") == ""
