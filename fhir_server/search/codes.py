"""Sets of codes that searches name instead of listing them: value sets, and what stands below or above a concept.

`CodeSets` is the port; `vocabulary.sets` binds it.

Few codes are asked for one by one. Of a set that is too large for that, or that cannot be listed, it is asked which of the codes
that the record has are in it (`among`): a record uses some thousands of them, however many there are.
"""

from collections.abc import Collection, Iterable
from typing import Any, Protocol

from fhir_server.model.errors import TooCostly

Codes = frozenset[tuple[str, str]]
"""(system, code) pairs."""

MOST_CODES = 10_000
"""In one set: the database is asked for each of them."""
MOST_STORED = 50_000
"""Codes of one parameter that the record has, of which it is asked whether they are in a larger set."""


class TooMany(TooCostly):
    """A set of more codes than the database is asked for one by one, or one that cannot be listed."""


class CodeSets(Protocol):
    """Where the codes come from.

    Every method raises `InvalidParameter` for what it does not know, and `TooMany` for what it does not list.
    """

    def seen_by(self, caller: Any) -> "CodeSets":
        """Return the sets that a caller may use.

        Args:
            caller: The caller's repository.
        """
        ...

    async def members(self, value_set: str) -> Codes:
        """Return the codes of a value set, by canonical URL with or without version."""
        ...

    async def below(self, system: str, code: str) -> Codes:
        """Return the concept and all that it subsumes."""
        ...

    async def above(self, system: str, code: str) -> Codes:
        """Return the concept and all that subsume it."""
        ...

    async def among(
        self, relation: str, names: Iterable[tuple[str, str]], stored: Collection[tuple[str, str]]
    ) -> Codes:
        """Return which (system, code) pairs are in any of several sets, which need not be listed for it.

        Args:
            relation: As of `gathered`.
            names: As of `gathered`.
            stored: The pairs.
        """
        ...


async def gathered(codes: CodeSets, relation: str, names: Iterable[tuple[str, str]]) -> Codes:
    """Return the codes of several sets together.

    Args:
        codes: Where they come from.
        relation: `in`, `below` or `above`.
        names: (system, code) of the concepts; with `in` (canonical URL, empty) of the value sets.
    """
    found: set[tuple[str, str]] = set()
    for first, second in names:
        match relation:
            case "in":
                found |= await codes.members(first)
            case "below":
                found |= await codes.below(first, second)
            case _:
                found |= await codes.above(first, second)
    return _few("What is named here together", frozenset(found))


def _few(what: str, found: Codes) -> Codes:
    if len(found) > MOST_CODES:
        raise too_many(what, len(found))
    return found


def too_many(what: str, count: int) -> TooMany:
    """Return the refusal of a set that is not listed."""
    return TooMany(
        f"{what} has {count:,} codes; a search takes at most {MOST_CODES:,}. Name a smaller set.",
        expression="http.query",
    )
