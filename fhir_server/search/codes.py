"""Sets of codes that searches name instead of listing them: value sets, and what stands below or above a concept.

`CodeSets` is the port; whoever serves terminology binds it. `DefinedCodes` serves the value sets and code systems that FHIR's
own definitions list completely.
"""

import asyncio
from collections.abc import Iterable
from typing import Protocol

from fhir_server.model.errors import InvalidParameter, TooCostly
from fhir_server.search.escapes import nearest, shown
from profiles.definitions.codes import Enumerator, NotEnumerable
from profiles.definitions.registry import Definitions

Codes = frozenset[tuple[str, str]]
"""(system, code) pairs."""

MOST_CODES = 10_000
"""In one set: the database is asked for each of them."""

POSSIBLE = (
    "Possible are value sets and hierarchies of code systems that FHIR R4 itself lists completely; or write the codes."
)


class CodeSets(Protocol):
    """Where the codes come from. Every method raises `InvalidParameter` for what it does not know or cannot list."""

    async def members(self, value_set: str) -> Codes:
        """Return the codes of a value set, by canonical URL with or without version."""
        ...

    async def below(self, system: str, code: str) -> Codes:
        """Return the concept and all that it subsumes."""
        ...

    async def above(self, system: str, code: str) -> Codes:
        """Return the concept and all that subsume it."""
        ...


class DefinedCodes:
    """The code sets of the FHIR definitions, worked out when they are first asked for.

    Args:
        definitions: The FHIR definitions.
    """

    def __init__(self, definitions: Definitions) -> None:
        self._definitions = definitions
        self._enumerator: Enumerator | None = None

    async def members(self, value_set: str) -> Codes:
        """Return the codes of a value set.

        Raises:
            InvalidParameter: The value set is not known, or its codes cannot be listed.
            TooCostly: It has too many.
        """
        enumerator = await self._read()
        known = self._definitions.terminology.value_sets
        url, _, version = value_set.partition("|")
        if url not in known:
            raise _refusal(f"The value set '{shown(value_set)}' is not known here.{nearest(url, known)} {POSSIBLE}")
        stated = known[url].get("version", "")
        if version and version != stated:
            raise _refusal(f"The value set '{shown(url)}' is known in version {stated}, not in '{shown(version)}'.")
        found = await asyncio.to_thread(enumerator.pairs, url)
        if found is None:
            raise _refusal(
                f"The codes of the value set '{shown(url)}' cannot be listed: it rests on a code system of which only the name "
                f"is here, such as SNOMED CT or LOINC. {POSSIBLE}"
            )
        return _few(f"The value set '{shown(url)}'", found)

    async def below(self, system: str, code: str) -> Codes:
        """Return the concept and all that it subsumes.

        Raises:
            InvalidParameter: The concept is not known, or the code system has no hierarchy of meaning.
            TooCostly: There are too many.
        """
        return await self._related(system, code, below=True)

    async def above(self, system: str, code: str) -> Codes:
        """Return the concept and all that subsume it.

        Raises:
            InvalidParameter: The concept is not known, or the code system has no hierarchy of meaning.
            TooCostly: There are too many.
        """
        return await self._related(system, code, below=False)

    async def _related(self, system: str, code: str, *, below: bool) -> Codes:
        enumerator = await self._read()
        known = self._definitions.terminology.code_systems
        url = system.partition("|")[0]
        if url not in known:
            raise _refusal(f"The code system '{shown(system)}' is not known here.{nearest(url, known)} {POSSIBLE}")
        meaning = known[url].get("hierarchyMeaning", "is-a")
        if meaning != "is-a":
            raise _refusal(
                f"The hierarchy of the code system '{shown(url)}' is {meaning}, so no concept of it subsumes another. {POSSIBLE}"
            )
        try:
            found = await asyncio.to_thread(enumerator.subsumed if below else enumerator.subsuming, url, code)
        except NotEnumerable:
            raise _refusal(
                f"The concepts of the code system '{shown(url)}' are not all here, so what is above or below one is not known. "
                f"{POSSIBLE}"
            ) from None
        if not found:
            raise _refusal(f"The code system '{shown(url)}' has no code '{shown(code)}'. Codes are case sensitive.")
        return _few(f"'{shown(code)}' of '{shown(url)}'", frozenset((url, one) for one in found))

    async def _read(self) -> Enumerator:
        """Return what lists the codes; the terminology is read from disk once, which takes a sixth of a second."""
        if self._enumerator is None:
            terminology = await asyncio.to_thread(lambda: self._definitions.terminology)
            self._enumerator = Enumerator(terminology.value_sets, terminology.code_systems)
        return self._enumerator


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
        raise TooCostly(
            f"{what} has {len(found):,} codes; a search takes at most {MOST_CODES:,}. Name a smaller set.",
            expression="http.query",
        )
    return found


def _refusal(text: str) -> InvalidParameter:
    return InvalidParameter(text, expression="http.query")
