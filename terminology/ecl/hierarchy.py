"""The operators of constraints that go along the hierarchy."""

from collections.abc import Awaitable, Callable, Mapping

from pyroaring import BitMap

from terminology.codesystem.provider import CodeSystemProvider

Relation = Callable[[CodeSystemProvider, BitMap, bool], Awaitable[BitMap]]
"""Finds what stands to a set as an operator says; the boolean tells that the set is everything."""


async def _descendants(provider: CodeSystemProvider, of: BitMap, whole: bool) -> BitMap:  # noqa: FBT001 - a Relation
    if whole:
        return of - BitMap(await provider.roots())
    found = BitMap()
    for one in of:
        # What is below one that is below another was found with that.
        if one not in found:
            found |= await provider.descendants(one)
    return found


async def _ancestors(provider: CodeSystemProvider, of: BitMap, whole: bool) -> BitMap:  # noqa: FBT001 - a Relation
    found = BitMap()
    # Deep concepts tend to come late: what is above them holds what is above those before.
    for one in reversed(list(of)):
        if one not in found:
            found |= await provider.ancestors(one)
    return found


async def _children(provider: CodeSystemProvider, of: BitMap, whole: bool) -> BitMap:  # noqa: FBT001 - a Relation
    if whole:
        return await _descendants(provider, of, whole)
    found = BitMap()
    for one in of:
        found.update(await provider.children(one))
    return found


async def _parents(provider: CodeSystemProvider, of: BitMap, whole: bool) -> BitMap:  # noqa: FBT001 - a Relation
    return await provider.parents(of)


def _with_itself(relation: Relation) -> Relation:
    async def found(provider: CodeSystemProvider, of: BitMap, whole: bool) -> BitMap:  # noqa: FBT001 - a Relation
        return of if whole else of | await relation(provider, of, whole)

    return found


async def _tops(provider: CodeSystemProvider, of: BitMap, whole: bool) -> BitMap:  # noqa: FBT001 - a Relation
    return of - await _descendants(provider, of, whole)


async def _bottoms(provider: CodeSystemProvider, of: BitMap, whole: bool) -> BitMap:  # noqa: FBT001 - a Relation
    return of - await _ancestors(provider, of, whole)


RELATIONS: Mapping[str, Relation] = {
    "<": _descendants,
    "<<": _with_itself(_descendants),
    "<!": _children,
    "<<!": _with_itself(_children),
    ">": _ancestors,
    ">>": _with_itself(_ancestors),
    ">!": _parents,
    ">>!": _with_itself(_parents),
    "!!>": _tops,
    "!!<": _bottoms,
}
"""What finds the concepts of each operator."""
