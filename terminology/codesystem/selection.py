"""Filters of a stored code system (R4 ValueSet.compose.include.filter): one function for each operator, in a table.

They mean what those of `filters` mean, and look into indexes where those look at every concept.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from pyroaring import BitMap

from terminology import store, words
from terminology.codesystem.filters import CODES, PLACES, STATES, TEXTS, Pattern, listing, pattern, unknown, yes
from terminology.codesystem.postings import LAST, bitmap
from terminology.codesystem.provider import Filter, InvalidFilter
from terminology.codesystem.statements import STANDARD

if TYPE_CHECKING:
    from terminology.codesystem.stored import Stored

FLAGS = {"inactive": store.INACTIVE, "notSelectable": store.ABSTRACT}
"""What a release says of every concept, though it may have no property for it."""

OTHER_WAY = {"parent": (store.CHILDREN, store.PARENTS), "child": (store.PARENTS, store.CHILDREN)}
"""By place: the edges that lead from a named concept to those that have it there, and those that lead back."""


async def select(stored: "Stored", rule: Filter) -> BitMap:
    """Return the concepts of a stored code system that a filter selects.

    Raises:
        InvalidFilter: The operator is none, does not go with the property, or the value is none that it takes.
    """
    if rule.property in CODES:
        by_code = ON_CODES.get(rule.op)
        if by_code is None:
            raise unknown(stored.head, rule, ON_CODES)
        return await by_code(stored, rule.value)
    by_value = ON_VALUES.get(rule.op)
    if by_value is None:
        raise unknown(stored.head, rule, ON_VALUES)
    return await by_value(stored, await _property(stored, rule), rule.value)


async def _is_a(stored: "Stored", value: str) -> BitMap:
    ordinal = await _known(stored, value)
    return BitMap() if ordinal is None else await stored.descendants(ordinal) | BitMap([ordinal])


async def _descendent_of(stored: "Stored", value: str) -> BitMap:
    ordinal = await _known(stored, value)
    return BitMap() if ordinal is None else await stored.descendants(ordinal)


async def _is_not_a(stored: "Stored", value: str) -> BitMap:
    return await stored.everything() - await _is_a(stored, value)


async def _generalizes(stored: "Stored", value: str) -> BitMap:
    ordinal = await _known(stored, value)
    return BitMap() if ordinal is None else await stored.ancestors(ordinal) | BitMap([ordinal])


async def _child_of(stored: "Stored", value: str) -> BitMap:
    ordinal = await _known(stored, value)
    return BitMap() if ordinal is None else BitMap(await stored.children(ordinal))


async def _descendent_leaf(stored: "Stored", value: str) -> BitMap:
    return await _descendent_of(stored, value) & (await stored.pieces.edges(store.CHILDREN)).without()


async def _code_is(stored: "Stored", value: str) -> BitMap:
    return BitMap((await stored.ordinals([value])).values())


async def _code_in(stored: "Stored", value: str) -> BitMap:
    return BitMap((await stored.ordinals(listing(value))).values())


async def _code_not_in(stored: "Stored", value: str) -> BitMap:
    return await stored.everything() - await _code_in(stored, value)


async def _code_like(stored: "Stored", value: str) -> BitMap:
    return await _coded(stored, pattern(value))


async def _code_exists(stored: "Stored", value: str) -> BitMap:
    return await stored.everything() if yes(value) else BitMap()


async def _known(stored: "Stored", value: str) -> int | None:
    """Return the ordinal of the code that a filter is about; a list that is not whole may lack it."""
    code = value.strip()
    found = (await stored.ordinals([code])).get(code)
    if found is None and stored.head.content == "complete":
        raise InvalidFilter(
            f"The code '{value[:80]}' of the filter is not in the code system {stored.head.canonical}. "
            "Name a concept of it."
        )
    return found


async def _coded(stored: "Stored", wanted: Pattern) -> BitMap:
    """Return the concepts whose code matches an expression, block by block."""
    found = BitMap()
    for begin in range(0, stored.head.count, store.BLOCK):
        block = range(begin, min(begin + store.BLOCK, stored.head.count))
        codes = await stored.codes(block)
        found.update(one for one, code in zip(block, codes, strict=True) if wanted.fullmatch(code))
    return found


ON_CODES: Mapping[str, Callable[["Stored", str], Awaitable[BitMap]]] = {
    "=": _code_is,
    "is-a": _is_a,
    "descendent-of": _descendent_of,
    "is-not-a": _is_not_a,
    "regex": _code_like,
    "in": _code_in,
    "not-in": _code_not_in,
    "generalizes": _generalizes,
    "child-of": _child_of,
    "descendent-leaf": _descendent_leaf,
    "exists": _code_exists,
}


async def _property(stored: "Stored", rule: Filter) -> str:
    """Return the name under which what a filter asks for is stated."""
    name = rule.property
    declared = stored.head.properties
    if name in declared or name in TEXTS | PLACES:
        return name
    for code, one in declared.items():
        if one.uri == STANDARD + name:
            return code
    if name in STATES or await _stated(stored, name):
        return name
    known = sorted({*CODES, *TEXTS, *PLACES, *declared})
    raise InvalidFilter(
        f"The code system {stored.head.canonical} has no property '{name[:80]}' to filter by. It has: {', '.join(known)}."
    )


async def _is(stored: "Stored", name: str, value: str) -> BitMap:
    return await _one_of(stored, name, [value])


async def _in(stored: "Stored", name: str, value: str) -> BitMap:
    return await _one_of(stored, name, listing(value))


async def _not_in(stored: "Stored", name: str, value: str) -> BitMap:
    return await stored.everything() - await _in(stored, name, value)


async def _one_of(stored: "Stored", name: str, sought: Sequence[str]) -> BitMap:
    if name in TEXTS:
        return await _worded(stored, name, frozenset(sought))
    if name in PLACES:
        edges = await stored.pieces.edges(OTHER_WAY[name][0])
        return bitmap(edges.next(one) for one in (await stored.ordinals(sought)).values())
    found = BitMap()
    flags = await _flags(stored, name)
    for one in sought:
        forms = {one, one.lower()} if one.lower() in {"true", "false"} else {one}
        for form in forms:
            key = f"{name}{store.VALUE}{form}"
            found |= (
                flags.get(form, BitMap()) if flags else await stored.pieces.between(store.PROPERTIES, key, f"{key}\x00")
            )
    return found


async def _worded(stored: "Stored", name: str, sought: frozenset[str]) -> BitMap:
    """Return the concepts that have one of these texts: among those with all its words, where it has words."""
    if name == "display" and all(words.split(one) for one in sought):
        found = BitMap()
        for text in sought:
            likely = await stored.matching(text, await stored.everything())
            for concept in await stored.concepts(likely):
                if concept.display == text:
                    found.add(concept.ordinal)
        return found
    return BitMap([ordinal async for ordinal, text in stored.shelf.texts(name) if text in sought])


async def _like(stored: "Stored", name: str, value: str) -> BitMap:
    wanted = pattern(value)
    if name in TEXTS:
        return BitMap([ordinal async for ordinal, text in stored.shelf.texts(name) if wanted.fullmatch(text)])
    if name in PLACES:
        edges = await stored.pieces.edges(OTHER_WAY[name][0])
        return bitmap(edges.next(one) for one in await _coded(stored, wanted))
    flags = await _flags(stored, name)
    if flags:
        return BitMap().union(*(found for form, found in flags.items() if wanted.fullmatch(form)))
    begin = f"{name}{store.VALUE}"
    rows = await stored.pieces.rows(store.PROPERTIES, begin, begin + LAST)
    return bitmap(found for key, found in rows if wanted.fullmatch(key[len(begin) :]))


async def _exists(stored: "Stored", name: str, value: str) -> BitMap:
    found = await _stated(stored, name)
    return found if yes(value) else await stored.everything() - found


async def _stated(stored: "Stored", name: str) -> BitMap:
    """Return the concepts of which something is stated under a name."""
    if name in PLACES:
        edges = await stored.pieces.edges(OTHER_WAY[name][1])
        return await stored.everything() - edges.without()
    key = f"{name}{store.STATED}"
    return await stored.pieces.between(store.PROPERTIES, key, f"{key}\x00")


async def _flags(stored: "Stored", name: str) -> Mapping[str, BitMap]:
    """Return the concepts for which a flag is set, and those for which it is not, where no property says the same."""
    if name not in FLAGS or await _stated(stored, name):
        return {}
    found = await stored.pieces.set(FLAGS[name])
    return {"true": found, "false": await stored.everything() - found}


ON_VALUES: Mapping[str, Callable[["Stored", str, str], Awaitable[BitMap]]] = {
    "=": _is,
    "in": _in,
    "not-in": _not_in,
    "regex": _like,
    "exists": _exists,
}
