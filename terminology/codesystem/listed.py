"""A code system that stands in a CodeSystem resource, in memory."""

from collections.abc import Mapping, Sequence
from typing import Any

from pyroaring import BitMap

from terminology.codesystem import filters, statements
from terminology.codesystem.provider import CodeSystemProvider, Filter
from terminology.concept import Concept
from terminology.words import split

Json = dict[str, Any]

MOST_SELECTIONS = 256
"""Filters whose concepts are remembered; value sets ask for the same ones again and again."""


class Listed(CodeSystemProvider):
    """One version of a code system, as its resource lists it (content complete, fragment or example).

    Args:
        resource: A CodeSystem of R4 or R5, which nobody changes from here on. What is not as it should be is left out.
    """

    def __init__(self, resource: Json) -> None:
        hierarchy = statements.hierarchy(resource)
        super().__init__(statements.head(resource, hierarchy))
        self._rows, self._index = hierarchy.rows, hierarchy.index
        self._parents, self._children = hierarchy.parents, hierarchy.children
        self._any_case: dict[str, int] = {}
        if not self.head.case_sensitive:
            for code, ordinal in self._index.items():
                self._any_case.setdefault(code.casefold(), ordinal)
        self._meaning = statements.Meaning(self.head.properties)
        self._inactive, self._abstract = BitMap(), BitMap()
        for ordinal, row in enumerate(self._rows):
            if "property" in row or "extension" in row:
                inactive, abstract, _ = self._meaning.state(row)
                if inactive:
                    self._inactive.add(ordinal)
                if abstract:
                    self._abstract.add(ordinal)
        self._selections: dict[Filter, BitMap] = {}
        self._values: dict[str, dict[str, BitMap]] = {}
        self._texts: Sequence[str] = ()

    def ordinal(self, code: str) -> int | None:
        """Return the ordinal of a code, `None` where there is none."""
        found = self._index.get(code)
        return self._any_case.get(code.casefold()) if found is None else found

    async def find(self, code: str) -> Concept | None:
        """Return the concept of a code."""
        ordinal = self.ordinal(code)
        return None if ordinal is None else self._concept(ordinal)

    async def concepts(self, ordinals: Sequence[int]) -> Sequence[Concept]:
        """Return the concepts of ordinals, in the same order."""
        return [self._concept(one) for one in ordinals]

    async def ordinals(self, codes: Sequence[str]) -> Mapping[str, int]:
        """Return the ordinals of codes, by code as given."""
        found = ((code, self.ordinal(code)) for code in codes)
        return {code: ordinal for code, ordinal in found if ordinal is not None}

    async def stated(self, name: str) -> Mapping[str, BitMap]:
        """Return the concepts by what is stated of them under a property."""
        return self.values(name)

    async def everything(self) -> BitMap:
        """Return all concepts."""
        return self.all()

    async def select(self, rule: Filter) -> BitMap:
        """Return the concepts that a filter selects."""
        found = self._selections.get(rule)
        if found is None:
            found = filters.select(self, rule)
            if len(self._selections) >= MOST_SELECTIONS:
                self._selections.clear()
            self._selections[rule] = found
        return found.copy()

    async def holds(self, rule: Filter, concept: Concept) -> bool:
        """Return whether a filter selects a concept."""
        if rule not in self._selections:
            await self.select(rule)
        return concept.ordinal in self._selections[rule]

    async def descendants(self, ordinal: int) -> BitMap:
        """Return all concepts below one, without itself."""
        return self.below(ordinal)

    async def ancestors(self, ordinal: int) -> BitMap:
        """Return all concepts above one, without itself."""
        return self.above(ordinal)

    async def children(self, ordinal: int) -> Sequence[int]:
        """Return the ordinals right below a concept."""
        return self._children[ordinal]

    async def parents(self, ordinals: BitMap) -> BitMap:
        """Return the concepts right above one of several."""
        return BitMap([above for one in ordinals for above in self._parents[one]])

    async def roots(self) -> Sequence[int]:
        """Return the ordinals of the concepts with nothing above them."""
        return [ordinal for ordinal, above in enumerate(self._parents) if not above]

    async def inactive(self) -> BitMap:
        """Return the concepts that are not to be used any more."""
        return self._inactive.copy()

    async def abstract(self) -> BitMap:
        """Return the concepts that only group others."""
        return self._abstract.copy()

    async def matching(self, text: str, within: BitMap) -> Sequence[int]:
        """Return the concepts whose words begin with each word of a text."""
        sought = [f" {word}" for word in split(text)]
        if not sought:
            return list(within)
        texts = self._searchable()
        found = [one for one in within if all(word in texts[one] for word in sought)]
        return sorted(found, key=self._rank)

    def all(self) -> BitMap:
        """Return all concepts."""
        return BitMap(range(len(self._rows)))

    def below(self, ordinal: int) -> BitMap:
        """Return all concepts below one, without itself, even where it stands below itself."""
        return _reached(self._children, ordinal)

    def above(self, ordinal: int) -> BitMap:
        """Return all concepts above one, without itself."""
        return _reached(self._parents, ordinal)

    def leaves(self) -> BitMap:
        """Return the concepts with nothing below them."""
        return BitMap(ordinal for ordinal, below in enumerate(self._children) if not below)

    def values(self, name: str) -> dict[str, BitMap]:
        """Return the concepts by what is stated of them, as filters write it.

        Args:
            name: `display`, `definition`, `parent`, `child`, or the code of a property.
        """
        found = self._values.get(name)
        if found is None:
            found = self._values[name] = self._read(name)
        return found

    def code(self, ordinal: int) -> str:
        """Return the code of a concept."""
        code: str = self._rows[ordinal]["code"]
        return code

    def _read(self, name: str) -> dict[str, BitMap]:
        found: dict[str, BitMap] = {}
        near = {"parent": self._parents, "child": self._children}.get(name)
        for ordinal, row in enumerate(self._rows):
            if near is not None:
                said = [self.code(one) for one in near[ordinal]]
            elif name in {"display", "definition"}:
                said = [row[name]] if isinstance(row.get(name), str) else []
            else:
                said = [form for code, _, value in statements.stated(row) if code == name for form in _forms(value)]
            for value in said:
                found.setdefault(value, BitMap()).add(ordinal)
        return found

    def _searchable(self) -> Sequence[str]:
        if not self._texts:
            self._texts = [
                " " + " ".join(split(" ".join((row["code"], statements.text(row.get("display")), *_more(row)))))
                for row in self._rows
            ]
        return self._texts

    def _rank(self, ordinal: int) -> tuple[int, str, int]:
        display = statements.text(self._rows[ordinal].get("display"))
        return len(display), display.casefold(), ordinal

    def _concept(self, ordinal: int) -> Concept:
        return self._meaning.concept(self._rows[ordinal], ordinal, self._parents[ordinal])


def _reached(edges: Sequence[tuple[int, ...]], start: int) -> BitMap:
    seen: set[int] = set()
    stack = list(edges[start])
    while stack:
        one = stack.pop()
        if one not in seen:
            seen.add(one)
            stack.extend(edges[one])
    seen.discard(start)
    return BitMap(seen)


def _more(row: Json) -> Sequence[str]:
    return [one.value for one in statements.designations(row)]


def _forms(value: object) -> Sequence[str]:
    """Return how a filter may write a value of a property."""
    if isinstance(value, bool):
        return ["true" if value else "false"]
    if isinstance(value, dict):
        code, system = value.get("code"), value.get("system")
        return [form for form in (code, f"{system}|{code}" if system else None) if isinstance(form, str)]
    return [str(value)]
