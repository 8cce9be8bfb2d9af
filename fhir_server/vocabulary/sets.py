"""Sets of codes for searches: value sets, and what is below and above a concept, from all that a caller may use."""

import asyncio
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from pyroaring import BitMap

from fhir_server.model.errors import InvalidParameter
from fhir_server.search.codes import MOST_CODES, Codes, TooMany, too_many
from fhir_server.search.escapes import nearest, shown
from fhir_server.vocabulary.vocabulary import Vocabulary
from profiles.definitions.registry import Definitions
from terminology import versions
from terminology.catalogue import Catalogue
from terminology.codesystem.provider import CodeSystemProvider
from terminology.concept import NOT_ENUMERATED, Concept
from terminology.issue import TxError
from terminology.valueset.block import Block
from terminology.valueset.compose import Composer
from terminology.valueset.definition import definition
from terminology.valueset.member import Code, Membership, Trail
from terminology.valueset.systems import Options, Systems

SUBSUMING = frozenset({"", "is-a", "classified-with"})
"""Meanings of a hierarchy in which what is above a concept says the same less exactly."""

WHOLE = frozenset({"complete"})
"""`CodeSystem.content` of which all concepts are here."""

ADVICE = "A value set or code system is known where it is stored, installed with a package, or loaded: fhir-server terminology load."


@dataclass(frozen=True, slots=True)
class Around:
    """A concept with what is below or above it.

    Attributes:
        provider: Its code system.
        concept: The concept.
        ordinals: Of the others.
    """

    provider: CodeSystemProvider
    concept: Concept
    ordinals: BitMap


class Sets:
    """Sets of codes (`search.codes.CodeSets`).

    Args:
        vocabulary: Where they come from.
        definitions: FHIR definitions, for what was probably meant.
        caller: Repository of who uses them; `None` for this program itself, before anybody has asked.
    """

    def __init__(self, vocabulary: Vocabulary, definitions: Definitions, caller: Any = None) -> None:
        self._vocabulary, self._definitions, self._caller = vocabulary, definitions, caller
        self._known: Catalogue | None = None

    def seen_by(self, caller: Any) -> "Sets":
        """Return the sets that a caller may use."""
        return Sets(self._vocabulary, self._definitions, caller)

    async def members(self, value_set: str) -> Codes:
        """Return the codes of a value set.

        Raises:
            InvalidParameter: It is not known, or cannot be worked out.
            TooMany: It has too many, or they cannot be listed.
        """
        what = f"The value set '{shown(value_set)}'"
        blocks = await self._composed(value_set)
        count = sum(map(len, blocks))
        if count > MOST_CODES:
            raise too_many(what, count)
        return frozenset([(one.system, code) for one in blocks for code in await one.codes()])

    async def below(self, system: str, code: str) -> Codes:
        """Return the concept and all that it subsumes.

        Raises:
            InvalidParameter: The concept is not known, or the code system has no hierarchy of meaning.
            TooMany: There are too many.
        """
        return await self._codes(await self._around("below", system, code))

    async def above(self, system: str, code: str) -> Codes:
        """Return the concept and all that subsume it.

        Raises:
            InvalidParameter: The concept is not known, or the code system has no hierarchy of meaning.
            TooMany: There are too many.
        """
        return await self._codes(await self._around("above", system, code))

    async def among(
        self, relation: str, names: Iterable[tuple[str, str]], stored: Collection[tuple[str, str]]
    ) -> Codes:
        """Return which pairs are in any of several sets."""
        found: set[tuple[str, str]] = set()
        for first, second in names:
            if relation == "in":
                found |= await self._in(first, stored)
            else:
                around = await self._around(relation, first, second)
                system = around.provider.head.url
                codes = [code for one, code in stored if one == system]
                ordinals = await around.provider.ordinals(codes)
                found |= {(system, code) for code, ordinal in ordinals.items() if ordinal in around.ordinals}
                found.add((system, around.concept.code))
        return frozenset(found)

    async def _in(self, value_set: str, stored: Collection[tuple[str, str]]) -> set[tuple[str, str]]:
        composer, found = await self._work(value_set)
        if composer.used.endless:
            return await self._told(value_set, stored)
        systems: dict[str, list[str]] = {}
        for system, code in stored:
            systems.setdefault(system, []).append(code)
        return {(one.system, code) for one in found for code in await one.having(systems.get(one.system, ()))}

    async def _told(self, value_set: str, stored: Iterable[tuple[str, str]]) -> set[tuple[str, str]]:
        """Return which pairs are in a value set of a grammar's codes, of each by itself."""
        options = Options()
        systems = Systems(await self._catalogue(), options)
        membership = Membership(systems, options)
        definition = await systems.value_set(value_set)
        return {
            (system, code) for system, code in stored if await membership.holds(definition, Code(system, code), Trail())
        }

    async def _composed(self, value_set: str) -> Sequence[Block]:
        """Return the codes of a value set.

        Raises:
            InvalidParameter: It is not known, or cannot be worked out.
            TooMany: They cannot be listed.
        """
        composer, found = await self._work(value_set)
        if endless := sorted(composer.used.endless):
            raise TooMany(
                f"The value set '{shown(value_set)}' has codes without end, of '{shown(endless[0])}'.",
                expression="http.query",
            )
        return found

    async def _work(self, value_set: str) -> tuple[Composer, Sequence[Block]]:
        catalogue = await self._catalogue()
        url, wanted = versions.split(value_set)
        found = await catalogue.value_sets(url)
        resource = versions.newest(found, wanted, versions.of_resource)
        if resource is None:
            there = versions.enumerated(versions.ordered(str(one.get("version", "")) for one in found))
            hint = await asyncio.to_thread(lambda: nearest(url, self._definitions.terminology.value_sets))
            known = (
                f"known in version {there}, not in '{shown(wanted)}'." if there else f"not known here.{hint} {ADVICE}"
            )
            raise _refusal(f"The value set '{shown(url)}' is {known}")
        composer = Composer(catalogue)
        try:
            return composer, await composer.compose(definition(resource))
        except TxError as error:
            raise _refusal(f"The codes of the value set '{shown(url)}' cannot be told: {error}. {ADVICE}") from None

    async def _around(self, relation: str, system: str, code: str) -> Around:
        url, wanted = versions.split(system)
        provider = await versions.code_system(await self._catalogue(), url, wanted)
        if provider is None:
            hint = await asyncio.to_thread(lambda: nearest(url, self._definitions.terminology.code_systems))
            raise _refusal(f"The code system '{shown(system)}' is not known here.{hint} {ADVICE}")
        if provider.head.content not in WHOLE:
            raise _refusal(
                f"The concepts of the code system '{shown(url)}' are not all here, so what is above or below one is not known. "
                f"{ADVICE}"
            )
        if provider.head.hierarchy not in SUBSUMING:
            raise _refusal(
                f"The hierarchy of the code system '{shown(url)}' is {provider.head.hierarchy}, so no concept of it subsumes another. "
                "Write the codes, or make a value set of them."
            )
        concept = await provider.find(code)
        if concept is None:
            hint = " Codes are case sensitive." if provider.head.case_sensitive else ""
            raise _refusal(f"The code system '{shown(url)}' has no code '{shown(code)}'.{hint}")
        if concept.ordinal == NOT_ENUMERATED:
            return Around(provider, concept, BitMap())
        related = provider.descendants if relation == "below" else provider.ancestors
        return Around(provider, concept, await related(concept.ordinal))

    async def _codes(self, around: Around) -> Codes:
        provider, concept = around.provider, around.concept
        system, count = provider.head.url, len(around.ordinals) + 1
        if count > MOST_CODES:
            raise too_many(f"'{shown(concept.code)}' of '{shown(system)}', with what is below or above it,", count)
        codes = await provider.codes(list(around.ordinals)) if around.ordinals else ()
        return frozenset([(system, concept.code), *((system, one) for one in codes)])

    async def _catalogue(self) -> Catalogue:
        if self._known is None:
            self._known = await self._vocabulary.catalogue(self._caller)
        return self._known


def _refusal(text: str) -> InvalidParameter:
    return InvalidParameter(text, expression="http.query")
