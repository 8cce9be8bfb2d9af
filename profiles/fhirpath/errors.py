"""`FhirPathError`: the one way in which an expression fails, and when it does."""

from typing import Literal, Self

When = Literal["syntax", "semantic", "execution", "limit"]
"""While it is read, while it is checked against the types, while it runs, or because it asks for too much."""


class FhirPathError(ValueError):
    """An expression cannot be read, makes no sense for the type, or fails on the data that it met.

    Attributes:
        when: Which of them.
        reason: A sentence: what was found, and what to write instead.
        offset: Character in the expression, counted from 0; -1 until it is known.
        line: Line of that character, counted from 1; 0 until it is known.
        column: Column of that character, counted from 1; 0 until it is known.
    """

    def __init__(self, when: When, reason: str, offset: int = -1) -> None:
        super().__init__(reason)
        self.when: When = when
        self.reason = reason
        self.offset = offset
        self.line = 0
        self.column = 0

    def at(self, offset: int) -> Self:
        """Return the error at a place, unless it has one already: the innermost says most."""
        if self.offset < 0:
            self.offset = offset
        return self

    def of(self, text: str) -> Self:
        """Return the error with its line and column in the text of the expression."""
        before = text[: max(self.offset, 0)]
        self.line = before.count("\n") + 1
        self.column = len(before) - (before.rfind("\n") + 1) + 1
        return self

    def __str__(self) -> str:
        return f"{self.reason} (line {self.line}, column {self.column})" if self.line else self.reason


def shown(text: object, most: int = 40) -> str:
    """Return a text for a message, cut where it is long."""
    written = str(text)
    return written if len(written) <= most else f"{written[:most]}…"
