"""Conditions on descriptions: one description of a concept satisfies all of them: `{{ term = "heart att", language = en }}`."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING

from pyroaring import BitMap

from terminology.concept import Concept, Designation
from terminology.ecl.nodes import Condition, Term
from terminology.ecl.tokens import InvalidConstraint
from terminology.load.dialects import tags
from terminology.words import fold, split

if TYPE_CHECKING:
    from terminology.ecl.evaluation import Evaluation

MOST_READ = 100_000
MOST_AT_ONCE = 1_000

KINDS = {"fsn": "900000000000003001", "syn": "900000000000013009", "def": "900000000000550004"}
"""Types of descriptions by their short names."""

Test = Callable[[Designation], bool]


async def satisfying(conditions: Sequence[Condition], within: BitMap, evaluation: "Evaluation") -> BitMap:
    """Return the concepts of a set with a description that satisfies all conditions.

    Raises:
        InvalidConstraint: Too many concepts would have to be read one by one.
    """
    provider = evaluation.provider
    tests = [await _test(one, evaluation) for one in conditions]
    for one in conditions:
        if one.name == "term" and one.operator == "=":
            within = within & await _likely(one, within, evaluation)
    if len(within) > MOST_READ:
        raise InvalidConstraint(
            f"The descriptions of {len(within):,} concepts would have to be looked at; {MOST_READ:,} are the most. "
            "Narrow the constraint before the filter, or give words of the term."
        )
    found = BitMap()
    ordinals = list(within)
    for begin in range(0, len(ordinals), MOST_AT_ONCE):
        for concept in await provider.concepts(ordinals[begin : begin + MOST_AT_ONCE]):
            if any(all(test(one) for test in tests) for one in _of(concept, provider.head.language)):
                found.add(concept.ordinal)
    return found


async def _likely(condition: Condition, within: BitMap, evaluation: "Evaluation") -> BitMap:
    """Return the concepts of a set that can satisfy a condition on terms, by the index of words."""
    found = BitMap()
    for one in condition.values:
        if not isinstance(one, Term) or one.wild:
            return within
        found.update(await evaluation.provider.matching(one.text, within))
    return found


def _of(concept: Concept, language: str) -> Sequence[Designation]:
    """Return the descriptions of a concept, the display among them."""
    known = concept.designations
    if any(one.value == concept.display for one in known):
        return known
    return (Designation(concept.display, language, {"code": KINDS["syn"]}), *known)


async def _test(condition: Condition, evaluation: "Evaluation") -> Test:
    tests = await _tests(condition, evaluation)
    if condition.operator == "!=":
        return lambda one: not any(test(one) for test in tests)
    return lambda one: any(test(one) for test in tests)


async def _tests(condition: Condition, evaluation: "Evaluation") -> list[Test]:
    """Return a test for each value of a condition."""
    values = [one for one in condition.values if isinstance(one, str)]
    codes = await evaluation.codes(condition.concepts) if condition.concepts is not None else []
    match condition.name:
        case "term":
            return [partial(_matches, one) for one in condition.values if isinstance(one, Term)]
        case "language":
            return [partial(_speaks, one) for one in values]
        case "dialect":
            return [partial(_accepted, one) for one in values]
        case "dialectId":
            return [partial(_accepted_in, one) for one in codes]
        case "active":
            return [partial(_is_active, one in {"1", "true"}) for one in values]
        case _:
            return [partial(_is_of, one) for one in (codes or [KINDS[one] for one in values])]


def _matches(term: Term, one: Designation) -> bool:
    if term.wild:
        return like(fold(one.value), fold(term.text))
    said = split(one.value)
    return all(any(word.startswith(sought) for word in said) for sought in split(term.text))


def like(text: str, pattern: str) -> bool:
    """Return whether a text matches a pattern in which `*` stands for any text."""
    first, *others = pattern.split("*")
    if not others:
        return text == pattern
    *middle, last = others
    if not text.startswith(first) or not text.endswith(last) or len(text) < len(first) + len(last):
        return False
    place, end = len(first), len(text) - len(last)
    for piece in middle:
        found = text.find(piece, place, end)
        if found < 0:
            return False
        place = found + len(piece)
    return True


def _speaks(language: str, one: Designation) -> bool:
    return one.language.lower().partition("-")[0] == language


def _accepted(dialect: str, one: Designation) -> bool:
    """Return whether a description is used in a dialect: one without a region is used in all of its language."""
    return one.language.lower() in {dialect, dialect.partition("-")[0]}


def _accepted_in(refset: str, one: Designation) -> bool:
    language = one.language.partition("-")[0]
    (tag,) = tags(language, [refset])
    return one.language == tag or (one.language == language and tag.partition("-")[0] == language)


def _is_active(wanted: bool, one: Designation) -> bool:  # noqa: FBT001 - bound by `partial`
    """Return whether a description is active: those that are not are not kept."""
    return wanted


def _is_of(kind: str, one: Designation) -> bool:
    return str((one.use or {}).get("code", KINDS["syn"])) == kind
