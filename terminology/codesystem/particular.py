"""`Particular`: a code system with filters and expressions of its own, over one that knows its concepts."""

from collections.abc import Mapping, Sequence

from pyroaring import BitMap

from terminology.codesystem.provider import CodeSystemProvider, Filter
from terminology.concept import NOT_ENUMERATED, Concept


class Particular(CodeSystemProvider):
    """A code system that answers as another does, as long as nothing else is said.

    Args:
        base: Knows the concepts.
    """

    def __init__(self, base: CodeSystemProvider) -> None:
        super().__init__(base.head)
        self.base = base

    async def find(self, code: str) -> Concept | None:
        """Return the concept of a code."""
        return await self.base.find(code)

    def reason(self, code: str) -> str:
        """Return why a code is none."""
        return self.base.reason(code)

    async def concepts(self, ordinals: Sequence[int]) -> Sequence[Concept]:
        """Return the concepts of ordinals, in the same order."""
        return await self.base.concepts(ordinals)

    async def ordinals(self, codes: Sequence[str]) -> Mapping[str, int]:
        """Return the ordinals of codes, by code as given."""
        return await self.base.ordinals(codes)

    async def codes(self, ordinals: Sequence[int]) -> Sequence[str]:
        """Return the codes of ordinals, in the same order."""
        return await self.base.codes(ordinals)

    async def stated(self, name: str) -> Mapping[str, BitMap]:
        """Return the concepts by what is stated of them under a property."""
        return await self.base.stated(name)

    async def everything(self) -> BitMap:
        """Return all concepts."""
        return await self.base.everything()

    async def common(self) -> BitMap:
        """Return the concepts that are worth showing."""
        return await self.base.common()

    async def select(self, rule: Filter) -> BitMap:
        """Return the concepts that a filter selects."""
        return await self.base.select(rule)

    async def holds(self, rule: Filter, concept: Concept) -> bool:
        """Return whether a filter selects a concept."""
        if concept.ordinal == NOT_ENUMERATED:
            return await self.base.holds(rule, concept)
        return concept.ordinal in await self.select(rule)

    async def descendants(self, ordinal: int) -> BitMap:
        """Return all concepts below one, without itself."""
        return await self.base.descendants(ordinal)

    async def ancestors(self, ordinal: int) -> BitMap:
        """Return all concepts above one, without itself."""
        return await self.base.ancestors(ordinal)

    async def children(self, ordinal: int) -> Sequence[int]:
        """Return the ordinals right below a concept."""
        return await self.base.children(ordinal)

    async def parents(self, ordinals: BitMap) -> BitMap:
        """Return the concepts right above one of several."""
        return await self.base.parents(ordinals)

    async def roots(self) -> Sequence[int]:
        """Return the ordinals of the concepts with nothing above them."""
        return await self.base.roots()

    async def inactive(self) -> BitMap:
        """Return the concepts that are not to be used any more."""
        return await self.base.inactive()

    async def abstract(self) -> BitMap:
        """Return the concepts that only group others."""
        return await self.base.abstract()

    async def matching(self, text: str, within: BitMap) -> Sequence[int]:
        """Return the concepts whose words begin with each word of a text."""
        return await self.base.matching(text, within)

    async def subsumes(self, one: Concept, other: Concept) -> bool:
        """Return whether a concept is another one or above it."""
        return await self.base.subsumes(one, other)
