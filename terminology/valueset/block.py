"""Blocks: the concepts of one code system version in a value set, as a bitmap, in an order that is always the same.

A composition is a list of blocks. What value sets say (and, or, without) is set algebra on their bitmaps; only where two versions of a
code system meet, codes are compared.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from pyroaring import BitMap

from terminology.codesystem.provider import CodeSystemProvider
from terminology.concept import Concept

Json = dict[str, Any]
Key = int | str
"""A concept in a block: its ordinal, or its code where it has none."""

MOST_COMPARED = 50_000
"""Codes that are compared between two versions of a code system."""


class TooManyToCompare(Exception):
    """Two versions of a code system meet with too many concepts to compare their codes."""


@dataclass(frozen=True, slots=True)
class Block:
    """Some concepts of one version of a code system.

    Attributes:
        system: URI of the code system.
        version: Of the code system, empty where it has none.
        provider: The code system; `None` where it is not here and the value set lists the codes.
        members: Ordinals of its concepts.
        loose: Concepts without an ordinal, by code.
        keys: Their order where a value set lists them; `None` for that of the code system.
        listed: What the value set says of a concept itself (compose.include.concept), by code.
        whole: Whether it is told by the code system alone, so that it may be shown as a tree.
    """

    system: str
    version: str
    provider: CodeSystemProvider | None
    members: BitMap = field(default_factory=BitMap)
    loose: Mapping[str, Concept] = field(default_factory=dict)
    keys: Sequence[Key] | None = None
    listed: Mapping[str, Json] = field(default_factory=dict)
    whole: bool = False

    def __len__(self) -> int:
        return len(self.members) + len(self.loose)

    @property
    def order(self) -> Sequence[Key]:
        """Its concepts in order."""
        return [*self.members, *self.loose] if self.keys is None else self.keys

    def page(self, start: int, count: int) -> Sequence[Key]:
        """Return some of its concepts in order."""
        if self.keys is None and not self.loose:
            return list(self.members[start : start + count])
        return self.order[start : start + count]

    def kept(self, members: BitMap, loose: Iterable[str] = ()) -> "Block":
        """Return the block with only some of its members and loose codes."""
        left = self.members & members
        codes = {code: self.loose[code] for code in loose if code in self.loose}
        if len(left) == len(self.members) and len(codes) == len(self.loose):
            return self
        keys = (
            None
            if self.keys is None
            else tuple(one for one in self.keys if one in (left if isinstance(one, int) else codes))
        )
        return replace(self, members=left, loose=codes, keys=keys)

    def without(self, members: BitMap, loose: Iterable[str] = ()) -> "Block":
        """Return the block without some members and loose codes."""
        gone = set(loose)
        return self.kept(self.members - members, [code for code in self.loose if code not in gone])

    async def overlap(self, other: "Block") -> tuple[BitMap, list[str]]:
        """Return which of its members and loose codes another block of the same code system has too, whatever its version.

        Raises:
            TooManyToCompare: They are of two versions, and large.
        """
        codes = [code for code in self.loose if code in other.loose]
        if self.version == other.version and self.provider is not None and other.provider is not None:
            return self.members & other.members, codes
        if min(len(self), len(other)) > MOST_COMPARED:
            raise TooManyToCompare
        if len(self) <= len(other):
            theirs = await other.having(await self.codes())
            own = await self.having(theirs)
        else:
            own = await self.having(await other.codes())
        return BitMap(one for one in own.values() if isinstance(one, int)), [
            one for one in own.values() if isinstance(one, str)
        ]

    async def having(self, codes: Iterable[str]) -> dict[str, Key]:
        """Return those of some codes that are in it, with their keys."""
        sought = list(codes)
        ordinals = await self.provider.ordinals(sought) if self.provider is not None and self.members else {}
        found: dict[str, Key] = {code: one for code, one in ordinals.items() if one in self.members}
        return found | {code: code for code in sought if code in self.loose}

    async def codes(self) -> list[str]:
        """Return its codes."""
        listed = await self.provider.codes(list(self.members)) if self.provider is not None and self.members else ()
        return [*listed, *self.loose]

    async def concepts(self, keys: Sequence[Key]) -> list[Concept]:
        """Return the concepts of some keys, in the same order; those of the code system are asked for at once."""
        ordinals = [one for one in keys if isinstance(one, int)]
        found = iter(await self.provider.concepts(ordinals) if self.provider is not None and ordinals else ())
        return [next(found) if isinstance(one, int) else self.loose[one] for one in keys]


async def common(one: Sequence[Block], other: Sequence[Block]) -> list[Block]:
    """Return the concepts of some blocks that are in others too."""
    found = []
    rest = merged(other)
    for block in one:
        members, loose = BitMap(), []
        for counterpart in rest.get(block.system, ()):
            also, codes = await block.overlap(counterpart)
            members |= also
            loose += codes
        left = block.kept(members, dict.fromkeys(loose))
        if len(left):
            found.append(replace(left, whole=False))
    return found


async def without(one: Sequence[Block], other: Sequence[Block], *, across: bool) -> list[Block]:
    """Return the concepts of some blocks that are not in others.

    Args:
        one: These,
        other: without those.
        across: Whether a concept of another version of the code system is the same one.
    """
    found = []
    rest = merged(other)
    for block in one:
        left = block
        for counterpart in rest.get(block.system, ()):
            if across or counterpart.version == block.version:
                left = left.without(*await left.overlap(counterpart))
        if len(left):
            found.append(left)
    return found


async def joined(blocks: Sequence[Block], *, across: bool) -> list[Block]:
    """Return the concepts of all blocks, each once.

    Args:
        blocks: The first that has a concept keeps it.
        across: Whether a concept of another version of the code system is the same one.
    """
    found: list[Block] = []
    before: dict[str, list[Block]] = {}
    for block in blocks:
        left = block
        known = before.setdefault(block.system, [])
        for counterpart in known:
            if across or counterpart.version == block.version:
                left = left.without(*await left.overlap(counterpart))
        if len(left):
            found.append(left)
            before[block.system] = _with(known, left)
    return found


def merged(blocks: Sequence[Block]) -> dict[str, list[Block]]:
    """Return what blocks have together, by code system: one block of each version."""
    parts: dict[tuple[str, str, bool], list[Block]] = {}
    for one in blocks:
        parts.setdefault((one.system, one.version, one.provider is None), []).append(one)
    found: dict[str, list[Block]] = {}
    for (system, _, _), group in parts.items():
        found.setdefault(system, []).append(_together(group))
    return found


def _together(group: Sequence[Block]) -> Block:
    if len(group) == 1:
        return group[0]
    first = group[0]
    loose = {code: concept for one in group for code, concept in one.loose.items()}
    return Block(first.system, first.version, first.provider, BitMap().union(*(one.members for one in group)), loose)


def _with(known: Sequence[Block], block: Block) -> list[Block]:
    """Return what is known of a code system, one block of each version, with one more."""
    kind = (block.version, block.provider is None)
    same = [one for one in known if (one.version, one.provider is None) == kind]
    return [*(one for one in known if (one.version, one.provider is None) != kind), _together([*same, block])]
