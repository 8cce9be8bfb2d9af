"""A code system whose codes are made by a grammar: there is no end of them, so each is judged by itself."""

from abc import abstractmethod
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import cached_property

from pyroaring import BitMap

from terminology.codesystem.filters import listing, pattern
from terminology.codesystem.provider import CodeSystemProvider, Filter, InvalidFilter, NotEnumerable
from terminology.concept import Concept, Head
from terminology.words import split

Test = Callable[[Concept], bool]


class Grammar(CodeSystemProvider):
    """One version of a code system with a grammar. It is flat; its well-known codes have ordinals, all others none.

    Args:
        head: What is said of the code system as a whole.
        known: Makes the well-known codes, at the first use.
    """

    def __init__(self, head: Head, known: Callable[[], Iterable[str]]) -> None:
        super().__init__(head)
        self._codes = known

    @abstractmethod
    def read(self, code: str) -> Concept | None:
        """Return what a code means, without an ordinal; `None` where the grammar does not make it."""

    @abstractmethod
    def test(self, rule: Filter) -> Test | None:
        """Return how a filter of the code system is told of a concept, `None` where there is no such filter.

        Raises:
            InvalidFilter: The value is none that the filter takes.
        """

    @property
    @abstractmethod
    def filters(self) -> str:
        """The filters beside those on codes, in words for users."""

    def prepare(self) -> None:
        """Read the tables that are otherwise read at the first use."""
        _ = self._ordinals, self._texts

    async def find(self, code: str) -> Concept | None:
        """Return the concept of a code."""
        concept = self.read(code)
        if concept is None:
            return None
        ordinal = self._ordinals.get(concept.code)
        return concept if ordinal is None else self._concepts[ordinal]

    async def concepts(self, ordinals: Sequence[int]) -> Sequence[Concept]:
        """Return the well-known concepts of ordinals."""
        return [self._concepts[one] for one in ordinals]

    async def everything(self) -> BitMap:
        """Raise `NotEnumerable`: there is no end."""
        raise NotEnumerable(
            f"The code system {self.head.url} has a grammar, and so no end of codes. Ask for some of them by a filter "
            "text, or list the codes that are meant in the value set."
        )

    async def common(self) -> BitMap:
        """Return the well-known concepts."""
        return BitMap(range(len(self._concepts)))

    async def select(self, rule: Filter) -> BitMap:
        """Raise: `NotEnumerable` for a filter that there is, `InvalidFilter` for any other. Lists of codes are selected."""
        if rule.property in {"code", "concept"} and rule.op in {"=", "in"}:
            wanted = [rule.value] if rule.op == "=" else listing(rule.value)
            found = [await self.find(one) for one in wanted]
            if all(one is None or one.ordinal >= 0 for one in found):
                return BitMap(one.ordinal for one in found if one is not None)
        self._test(rule)
        return await self.everything()

    async def holds(self, rule: Filter, concept: Concept) -> bool:
        """Return whether a filter selects a concept."""
        return self._test(rule)(concept)

    async def descendants(self, ordinal: int) -> BitMap:
        """Return nothing: the code system is flat."""
        return BitMap()

    async def ancestors(self, ordinal: int) -> BitMap:
        """Return nothing: the code system is flat."""
        return BitMap()

    async def children(self, ordinal: int) -> Sequence[int]:
        """Return nothing: the code system is flat."""
        return ()

    async def roots(self) -> Sequence[int]:
        """Return the well-known concepts."""
        return range(len(self._concepts))

    async def inactive(self) -> BitMap:
        """Return the well-known concepts that are not to be used any more."""
        return BitMap(one.ordinal for one in self._concepts if one.inactive)

    async def abstract(self) -> BitMap:
        """Return nothing: every code that a grammar makes can be used."""
        return BitMap()

    async def matching(self, text: str, within: BitMap) -> Sequence[int]:
        """Return the well-known concepts whose code or words begin with each word of a text."""
        sought = [f" {word}" for word in split(text)]
        literal = text.strip().casefold()
        found = [
            one
            for one in within
            if (sought and all(word in self._texts[one] for word in sought))
            or (literal and self._concepts[one].code.casefold().startswith(literal))
        ]
        return sorted(found, key=lambda one: (len(self._concepts[one].display), self._concepts[one].display))

    async def subsumes(self, one: Concept, other: Concept) -> bool:
        """Return whether two concepts are the same."""
        return one.code == other.code

    @cached_property
    def _concepts(self) -> tuple[Concept, ...]:
        found: dict[str, Concept] = {}
        for code in self._codes():
            concept = self.read(code)
            if concept is not None and concept.code not in found:
                found[concept.code] = replace(concept, ordinal=len(found))
        return tuple(found.values())

    @cached_property
    def _ordinals(self) -> dict[str, int]:
        return {one.code: one.ordinal for one in self._concepts}

    @cached_property
    def _texts(self) -> tuple[str, ...]:
        return tuple(
            "".join(
                f" {word}"
                for text in (one.display, one.code, *(name.value for name in one.designations))
                for word in split(text)
            )
            for one in self._concepts
        )

    def _test(self, rule: Filter) -> Test:
        if rule.property in {"code", "concept"}:
            on_codes = _on_codes(self, rule)
            if on_codes is not None:
                return on_codes
        found = self.test(rule)
        if found is None:
            raise InvalidFilter(
                f"The code system {self.head.canonical} has no filter '{rule.property[:80]} {rule.op[:40]}'. "
                f"It has: code with =, in, not-in, regex; {self.filters}."
            )
        return found


def choice(rule: Filter, said: Callable[[Concept], str | None]) -> Test | None:
    """Return the test of a filter on something that is said once of a concept: =, in, not-in, regex or exists.

    Args:
        rule: The filter.
        said: Returns what is said, `None` where it is nothing.

    Raises:
        InvalidFilter: The value is none that the operator takes.
    """
    match rule.op:
        case "=":
            return lambda concept: said(concept) == rule.value
        case "in" | "not-in":
            values, wanted = frozenset(listing(rule.value)), rule.op == "in"
            return lambda concept: (said(concept) in values) == wanted
        case "regex":
            like = pattern(rule.value)
            return lambda concept: like.fullmatch(said(concept) or "") is not None
        case "exists":
            if rule.value not in {"true", "false"}:
                raise InvalidFilter(f"'{rule.value[:80]}' does not say whether it has to exist. Give true or false.")
            needed = rule.value == "true"
            return lambda concept: (said(concept) is not None) == needed
        case _:
            return None


def _on_codes(grammar: Grammar, rule: Filter) -> Test | None:
    if rule.op in {"=", "in", "not-in"}:
        spelled = [rule.value] if rule.op == "=" else listing(rule.value)
        read = (grammar.read(one) for one in spelled)
        codes, wanted = frozenset(one.code for one in read if one is not None), rule.op != "not-in"
        return lambda concept: (concept.code in codes) == wanted
    return choice(rule, lambda concept: concept.code)
