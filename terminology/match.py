"""Concepts by what is stated of them (R4 CodeSystem/$find-matches)."""

from collections.abc import Sequence
from dataclasses import dataclass

from pyroaring import BitMap

from terminology.codesystem.provider import CodeSystemProvider, Filter
from terminology.concept import Concept

WORDS = frozenset({"display", "designation"})
"""Properties whose value is words, of which people may give the beginnings."""


@dataclass(frozen=True, slots=True)
class Stated:
    """Something that is stated of the concept sought.

    Attributes:
        property: Code of the property.
        value: As filters write it.
    """

    property: str
    value: str


@dataclass(frozen=True, slots=True)
class Match:
    """A concept that fits.

    Attributes:
        concept: Which.
        unmatched: What is not stated of it.
    """

    concept: Concept
    unmatched: tuple[Stated, ...] = ()


async def matches(
    provider: CodeSystemProvider, stated: Sequence[Stated], *, exact: bool, most: int
) -> tuple[Sequence[Match], int]:
    """Return the concepts of which all is stated; where there are none and parts count too, those of which most is.

    Args:
        provider: Their code system.
        stated: What is sought; at least one.
        exact: Whether all has to be stated, and words in full.
        most: Matches that are returned.

    Returns:
        Matches in the order of the code system, and how many there are in all.

    Raises:
        InvalidFilter: The code system has no such property.
        NotEnumerable: Its concepts cannot be listed.
    """
    found = [await _selected(provider, one, exact=exact) for one in stated]
    # Concepts of which at least so many are stated.
    levels = [await provider.everything(), *(BitMap() for _ in stated)]
    for selected in found:
        for level in range(len(stated), 0, -1):
            levels[level] |= levels[level - 1] & selected
    best = len(stated) if exact else max((at for at, one in enumerate(levels) if at and one), default=len(stated))
    chosen = list(levels[best][:most])
    concepts = await provider.concepts(chosen)
    rows = [
        Match(
            concept, tuple(one for one, selected in zip(stated, found, strict=True) if concept.ordinal not in selected)
        )
        for concept in concepts
    ]
    return rows, len(levels[best])


async def _selected(provider: CodeSystemProvider, one: Stated, *, exact: bool) -> BitMap:
    if one.property in WORDS and not exact:
        return BitMap(await provider.matching(one.value, await provider.everything()))
    return await provider.select(Filter(one.property, "=", one.value))
