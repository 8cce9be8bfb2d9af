"""LOINC (https://hl7.org/fhir/R4/loinc.html): filters on parts by their names too, on answers, and along the hierarchy.

Filters of its own:

* `COMPONENT`, `PROPERTY`, `TIME_ASPCT`, `SYSTEM`, `SCALE_TYP`, `METHOD_TYP`, `CLASS`: parts by code or by name.
* `LIST`: answers of an answer list; `answers-for`: answers of a term, or of an answer list.
* `ancestor` `=`: what is below a part; `CLASSTYPE` by number or name.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence

from pyroaring import BitMap

from terminology.codesystem.filters import listing, pattern
from terminology.codesystem.particular import Particular
from terminology.codesystem.provider import Filter, InvalidFilter
from terminology.concept import Concept

URL = "http://loinc.org"
AXES = frozenset({"COMPONENT", "PROPERTY", "TIME_ASPCT", "SYSTEM", "SCALE_TYP", "METHOD_TYP", "CLASS"})
CLASS_TYPES: Mapping[str, str] = {
    "laboratory class": "1",
    "clinical class": "2",
    "claims attachments": "3",
    "surveys": "4",
}
MOST_AT_ONCE = 1_000


class Loinc(Particular):
    """One version of LOINC."""

    async def select(self, rule: Filter) -> BitMap:
        """Return the concepts that a filter selects."""
        if rule.property in AXES and rule.op in {"=", "in", "not-in", "regex"}:
            found = await self._by_part(rule)
            return await self.everything() - found if rule.op == "not-in" else found
        if rule.property == "answers-for" and rule.op in {"=", "in"}:
            return await self._answers(_values(rule))
        if rule.property == "ancestor":
            if rule.op != "=":
                raise InvalidFilter(f"The filter 'ancestor' of LOINC goes with =, and not with '{rule.op[:40]}'.")
            return await self.base.select(Filter("concept", "descendent-of", rule.value))
        if rule.property == "CLASSTYPE" and rule.op == "=":
            number = CLASS_TYPES.get(rule.value.strip().lower(), rule.value)
            return await self.base.select(Filter("CLASSTYPE", "=", number))
        return await self.base.select(rule)

    async def _by_part(self, rule: Filter) -> BitMap:
        """Return the terms with a part that has one of several codes or names."""
        stated = await self.stated(rule.property)
        fits = _fits(rule)
        chosen = {one for one in stated if fits(one)}
        others = [one for one in stated if one not in chosen]
        ordinals = await self.ordinals(others)
        parts = {ordinal: code for code, ordinal in ordinals.items()}
        numbers = sorted(parts)
        for begin in range(0, len(numbers), MOST_AT_ONCE):
            for concept in await self.concepts(numbers[begin : begin + MOST_AT_ONCE]):
                if any(fits(name) for name in _names(concept)):
                    chosen.add(parts[concept.ordinal])
        return BitMap().union(*(stated[one] for one in chosen))

    async def _answers(self, codes: Sequence[str]) -> BitMap:
        """Return the answers of answer lists, and of the answer lists of terms."""
        of_terms = await self.stated("answer-list")
        terms = BitMap((await self.ordinals(codes)).values())
        lists = {*codes, *(name for name, having in of_terms.items() if having.intersect(terms))}
        answers = await self.stated("LIST")
        return BitMap().union(*(answers[one] for one in lists if one in answers))


def _values(rule: Filter) -> list[str]:
    return [rule.value] if rule.op == "=" else listing(rule.value)


def _fits(rule: Filter) -> Callable[[str], bool]:
    if rule.op == "regex":
        like = pattern(rule.value)
        return lambda text: like.fullmatch(text) is not None
    wanted = {one.casefold() for one in _values(rule)}
    return lambda text: text.casefold() in wanted


def _names(concept: Concept) -> Iterable[str]:
    return (concept.display, *(one.value for one in concept.designations))
