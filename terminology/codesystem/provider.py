"""`CodeSystemProvider`: what every code system can be asked, whether it is a list in memory, a release in a database or a grammar.

Sets of concepts are bitmaps of their ordinals (`Concept.ordinal`), so that what value sets, filters and expression languages say is
set algebra on integers, which costs microseconds for hundreds of thousands of concepts.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pyroaring import BitMap

from terminology.concept import NOT_ENUMERATED, Concept, Head


class NotEnumerable(Exception):
    """The codes cannot be listed: there are infinitely many, as a grammar makes them."""


class InvalidFilter(Exception):
    """A filter that the code system does not have, or a value that it cannot take; its text is a sentence for users."""


@dataclass(frozen=True, slots=True)
class Filter:
    """A condition on concepts (R4 ValueSet.compose.include.filter).

    Attributes:
        property: `concept`, `code`, `display`, `parent`, a property of the code system, or one of its own filters.
        op: A code of FilterOperator.
        value: As written.
    """

    property: str
    op: str
    value: str


class CodeSystemProvider(ABC):
    """One version of one code system. Instances are shared by all requests of a process; nobody changes them.

    Args:
        head: What is said of the code system as a whole.
    """

    def __init__(self, head: Head) -> None:
        self.head = head

    @abstractmethod
    async def find(self, code: str) -> Concept | None:
        """Return the concept of a code, `None` where there is none.

        Where case does not matter, the answer has the code as the code system spells it.
        """

    def reason(self, code: str) -> str:
        """Return why a code is none, in a sentence, where more can be told than that it is not there; else nothing."""
        return ""

    @abstractmethod
    async def concepts(self, ordinals: Sequence[int]) -> Sequence[Concept]:
        """Return the concepts of ordinals, in the same order."""

    async def ordinals(self, codes: Sequence[str]) -> Mapping[str, int]:
        """Return the ordinals of codes, by code as given, as far as there are such concepts in the list."""
        found = [(code, await self.find(code)) for code in codes]
        return {code: one.ordinal for code, one in found if one is not None and one.ordinal != NOT_ENUMERATED}

    async def stated(self, name: str) -> Mapping[str, BitMap]:
        """Return the concepts by what is stated of them under a property, as filters write it; nobody may change it.

        Args:
            name: Code of the property.

        Raises:
            NotEnumerable: They cannot be listed.
        """
        found: dict[str, BitMap] = {}
        for concept in await self.concepts(list(await self.everything())):
            for one in concept.properties:
                if one.code == name:
                    value = one.value.get("code", "") if isinstance(one.value, dict) else one.value
                    text = str(value).lower() if isinstance(value, bool) else str(value)
                    found.setdefault(text, BitMap()).add(concept.ordinal)
        return found

    async def codes(self, ordinals: Sequence[int]) -> Sequence[str]:
        """Return the codes of ordinals, in the same order; of many concepts faster than `concepts`."""
        return [one.code for one in await self.concepts(ordinals)]

    @abstractmethod
    async def everything(self) -> BitMap:
        """Return all concepts, the inactive and abstract ones too; the caller may change the bitmap.

        Raises:
            NotEnumerable: They cannot be listed.
        """

    async def common(self) -> BitMap:
        """Return the concepts that are worth showing where not all can be listed; the caller may change the bitmap.

        Of a grammar these are well-known codes, and an expansion of them is unclosed; of a list these are all.
        """
        return await self.everything()

    @abstractmethod
    async def select(self, rule: Filter) -> BitMap:
        """Return the concepts that a filter selects; the caller may change the bitmap.

        Raises:
            InvalidFilter: The code system does not have this filter, or its value is none.
            NotEnumerable: They cannot be listed.
        """

    async def holds(self, rule: Filter, concept: Concept) -> bool:
        """Return whether a filter selects a concept; grammars answer this without a list.

        Raises:
            InvalidFilter: The code system does not have this filter, or its value is none.
            NotEnumerable: It can be told from a list only, and there is none.
        """
        if concept.ordinal == NOT_ENUMERATED:
            raise NotEnumerable
        return concept.ordinal in await self.select(rule)

    @abstractmethod
    async def descendants(self, ordinal: int) -> BitMap:
        """Return all concepts below one, without itself."""

    @abstractmethod
    async def ancestors(self, ordinal: int) -> BitMap:
        """Return all concepts above one, without itself."""

    @abstractmethod
    async def children(self, ordinal: int) -> Sequence[int]:
        """Return the ordinals right below a concept, in the order of the definition."""

    async def parents(self, ordinals: BitMap) -> BitMap:
        """Return the concepts right above one of several."""
        found = BitMap()
        for concept in await self.concepts(list(ordinals)):
            found.update(concept.parents)
        return found

    @abstractmethod
    async def roots(self) -> Sequence[int]:
        """Return the ordinals of the concepts with nothing above them, in the order of the definition."""

    @abstractmethod
    async def inactive(self) -> BitMap:
        """Return the concepts that are not to be used any more."""

    @abstractmethod
    async def abstract(self) -> BitMap:
        """Return the concepts that only group others."""

    @abstractmethod
    async def matching(self, text: str, within: BitMap) -> Sequence[int]:
        """Return the concepts whose code, display or designations have words that begin with each word of a text.

        Best first: short displays before long ones, then in alphabetical order.

        Args:
            text: As a user types it; case and accents do not matter.
            within: Of these.
        """

    async def subsumes(self, one: Concept, other: Concept) -> bool:
        """Return whether a concept is another one or above it."""
        return one.code == other.code or one.ordinal in await self.ancestors(other.ordinal)
