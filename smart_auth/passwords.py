"""Passwords: argon2id, one path for known and unknown people, and rules that help (NIST SP 800-63B 5.1.1.2, RFC 9106).

Hashing takes tens of milliseconds and megabytes of memory on purpose; callers on an event loop run it in a thread.
"""

import unicodedata
from dataclasses import dataclass
from datetime import timedelta

from argon2 import PasswordHasher
from argon2.exceptions import Argon2Error, InvalidHashError
from argon2.low_level import Type

from smart_auth.language import Sentence

SHORTEST, LONGEST = 12, 256
INVITATION_LIFE = timedelta(days=1)

COMMON = frozenset(
    [
        "password",
        "passwort",
        "contrasena",
        "motdepasse",
        "welcome",
        "willkommen",
        "letmein",
        "qwerty",
        "qwertz",
        "azerty",
        "administrator",
        "hospital",
        "clinic",
        "patient",
        "doctor",
        "nurse",
        "iloveyou",
        "sunshine",
        "princess",
        "football",
        "baseball",
        "dragon",
        "monkey",
        "superman",
        "trustno1",
        "changeme",
        "secret",
        "default",
    ]
)
"""Words that do not count as a password, whatever digits and signs stand around them."""


@dataclass(frozen=True, slots=True)
class Passwords:
    """How passwords are hashed; the defaults are the second recommendation of RFC 9106, 64 MiB.

    Attributes:
        memory_kib: Memory of one hash in KiB.
        passes: Passes over that memory.
        lanes: Lanes of it.
    """

    memory_kib: int = 64 * 1024
    passes: int = 3
    lanes: int = 1

    def hash(self, password: str) -> str:
        """Return the hash to keep, with its salt and parameters in it."""
        return self._hasher().hash(_normal(password))

    def check(self, kept: str, password: str) -> bool:
        """Return whether this is the password. An empty `kept` costs the same time and is never right."""
        hasher = self._hasher()
        if len(password) > LONGEST:
            password, kept = "", ""
        try:
            if kept:
                return hasher.verify(kept, _normal(password))
            hasher.hash(_normal(password))
        except (Argon2Error, InvalidHashError):
            return False
        return False

    def outdated(self, kept: str) -> bool:
        """Return whether a hash has other parameters than these, and should be made anew at the next sign-in."""
        return self._hasher().check_needs_rehash(kept)

    def _hasher(self) -> PasswordHasher:
        return PasswordHasher(self.passes, self.memory_kib, self.lanes, type=Type.ID)


def weakness(password: str, *, login: str, name: str = "") -> str:
    """Return the sentence that says why a password cannot be chosen, empty where it can.

    Args:
        password: What the person wants.
        login: The name to sign in with.
        name: The person's name.
    """
    if len(password) < SHORTEST:
        return Sentence(
            "The password has {number} characters. Choose one of {least} or more; four words in a row will do.",
            number=len(password),
            least=SHORTEST,
        )
    if len(password) > LONGEST:
        return Sentence("The password is longer than {most} characters. Choose a shorter one.", most=LONGEST)
    folded = _normal(password).casefold()
    letters = "".join(char for char in folded if char.isalpha())
    if len(set(folded)) < 5 or letters in COMMON:
        return Sentence("This password is among the first that anybody would try. Choose other words.")
    if any(len(word) > 3 and word in folded for word in f"{login} {name}".casefold().replace("@", " ").split()):
        return Sentence("The password contains your name or login. Choose one that does not.")
    return ""


def _normal(password: str) -> str:
    """Return one form of what different keyboards send for the same password."""
    return unicodedata.normalize("NFKC", password)
