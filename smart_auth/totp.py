"""The second factor: six digits that change every 30 seconds (RFC 6238), each accepted once."""

import hmac
from datetime import datetime

import pyotp

STEP = 30
DRIFT = 1
"""Steps before and after the present one that are accepted, for clocks that are wrong (RFC 6238 5.2)."""


def new_secret() -> str:
    """Return a new shared secret, 160 bits in base 32."""
    return pyotp.random_base32()


def enrolment(secret: str, *, login: str, issuer: str) -> str:
    """Return the `otpauth:` URI that authenticator apps read, as text or as a QR code."""
    return pyotp.TOTP(secret).provisioning_uri(name=login, issuer_name=issuer)


def accepted(secret: str, digits: str, now: datetime, *, after: int = 0) -> int:
    """Return the counter of the step whose digits these are, 0 where they are not right.

    Args:
        secret: The shared secret.
        digits: What the person typed; spaces do not matter.
        now: Present time.
        after: Counter of the last step that was accepted. It and earlier ones are refused, so that digits that somebody
            has looked at cannot be used again.
    """
    typed = "".join(digits.split())[:16].encode("utf-8", "surrogatepass")
    generator = pyotp.TOTP(secret, interval=STEP)
    present = int(now.timestamp()) // STEP
    found = 0
    for counter in range(present - DRIFT, present + DRIFT + 1):
        right = hmac.compare_digest(generator.generate_otp(counter).encode("ascii"), typed)
        if right and counter > after:
            found = counter
    return found
