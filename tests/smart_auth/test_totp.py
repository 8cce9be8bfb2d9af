"""The second factor."""

from datetime import UTC, datetime, timedelta

import pytest

from smart_auth import totp

SECRET = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"  # RFC 6238, Appendix B


@pytest.mark.parametrize(
    ("seconds", "digits"), [(59, "287082"), (1111111109, "081804"), (1234567890, "005924"), (2000000000, "279037")]
)
def test_the_vectors_of_the_rfc(seconds: int, digits: str) -> None:
    assert totp.accepted(SECRET, digits, datetime.fromtimestamp(seconds, UTC)) == seconds // 30


def test_a_clock_that_is_half_a_minute_wrong_still_works_and_two_minutes_do_not() -> None:
    then = datetime.fromtimestamp(1111111109, UTC)
    assert totp.accepted(SECRET, "081 804", then + timedelta(seconds=30))
    assert not totp.accepted(SECRET, "081804", then + timedelta(seconds=120))


def test_digits_that_were_looked_at_cannot_be_used_again() -> None:
    now = datetime.fromtimestamp(59, UTC)
    counter = totp.accepted(SECRET, "287082", now)
    assert totp.accepted(SECRET, "287082", now, after=counter) == 0


@pytest.mark.parametrize("digits", ["", "28708", "287082 1", "٢٨٧٠٨٢", "\ud800", "9" * 100_000])
def test_whatever_else_is_typed_is_wrong(digits: str) -> None:
    assert totp.accepted(SECRET, digits, datetime.fromtimestamp(59, UTC)) == 0


def test_the_enrolment_uri_names_issuer_and_login() -> None:
    uri = totp.enrolment(SECRET, login="a@example.org", issuer="Clinic")
    assert uri.startswith("otpauth://totp/Clinic:a%40example.org?")
    assert SECRET in uri
