"""Regular expressions of users, by RE2: their time grows with the text, never with its square or worse."""

from collections.abc import Iterator
from typing import Protocol

import re2

from profiles.fhirpath.errors import FhirPathError, shown

MOST_CHARACTERS = 2_000
_MOST_MEMORY = 1 << 20


class Match(Protocol):
    """Where a pattern was found."""

    def span(self) -> tuple[int, int]:
        """Return the first character and the one after the last."""

    def groups(self, default: str = "") -> tuple[str, ...]:
        """Return the text of each group."""


class Pattern(Protocol):
    """A compiled regular expression."""

    def search(self, text: str) -> Match | None:
        """Return the first place where it is found."""

    def fullmatch(self, text: str) -> Match | None:
        """Return the place if it is the whole text."""

    def finditer(self, text: str) -> Iterator[Match]:
        """Yield all places from left to right."""


def compiled(pattern: str) -> Pattern:
    """Return a pattern, of which `.` matches line breaks too (FHIRPath N1, 5.6.9: single line mode).

    Raises:
        FhirPathError: It is no regular expression, too long, or takes what only backtracking can do.
    """
    if len(pattern) > MOST_CHARACTERS:
        raise FhirPathError(
            "limit", f"The regular expression has {len(pattern)} characters; {MOST_CHARACTERS} are the most."
        )
    options = re2.Options()
    options.dot_nl = True
    options.log_errors = False
    options.max_mem = _MOST_MEMORY
    try:
        found: Pattern = re2.compile(pattern, options=options)
    except (re2.error, UnicodeEncodeError) as error:
        reason = error.args[0] if isinstance(error, re2.error) and error.args else "it is no text of Unicode"
        reason = reason.decode() if isinstance(reason, bytes) else reason
        raise FhirPathError(
            "execution",
            f"'{shown(pattern)}' is no regular expression here ({reason}). Look-around and back references are not allowed.",
        ) from None
    return found
