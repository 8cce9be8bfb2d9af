"""Evaluation: which concepts of a code system satisfy an expression constraint, as a bitmap of their ordinals.

Any code system will do that has a hierarchy, and attributes as properties under the codes of their types. Memberships of reference
sets are the property `memberOf`; groups of attributes are told by `normalFormTerse`, and where there is none, the attributes of a
concept count as one group.
"""

from collections.abc import Mapping
from functools import reduce
from operator import and_, or_

from pyroaring import BitMap

from terminology.codesystem.provider import CodeSystemProvider
from terminology.ecl import about, descriptions, refinements
from terminology.ecl.hierarchy import RELATIONS
from terminology.ecl.nodes import (
    Anything,
    Constraint,
    Dotted,
    Filtered,
    Joined,
    Members,
    Reference,
    Refined,
    Related,
    WithHistory,
)
from terminology.ecl.parser import parse

MEMBER_OF = "memberOf"
ASSOCIATIONS = "900000000000522004"
_SAME, _REPLACED, _WAS, _PARTLY = "900000000000527005", "900000000000526001", "900000000000528000", "1186924009"
_POSSIBLY, _MOVED, _ALTERNATIVE = "900000000000523009", "900000000000524003", "900000000000530003"
HISTORY: Mapping[str, tuple[str, ...]] = {
    "MIN": (_SAME,),
    "MOD": (_SAME, _REPLACED, _WAS, _PARTLY),
    "MAX": (_SAME, _REPLACED, _WAS, _PARTLY, _POSSIBLY, _MOVED, _ALTERNATIVE, "900000000000525002", "1186921001"),
}
"""Associations of each history profile; of the widest also all that are below `ASSOCIATIONS`."""


async def select(text: str, provider: CodeSystemProvider) -> BitMap:
    """Return the concepts that satisfy an expression constraint; the caller may change the bitmap.

    Raises:
        InvalidConstraint: The text is no constraint, or asks for what cannot be told.
        NotEnumerable: The concepts of the code system cannot be listed.
    """
    return (await Evaluation(provider).of(parse(text))).copy()


class Evaluation:
    """One evaluation over a code system; what was found for a part is kept for where it comes again.

    Args:
        provider: The code system.
    """

    def __init__(self, provider: CodeSystemProvider) -> None:
        self.provider = provider
        self._found: dict[Constraint, BitMap] = {}
        self._stated: dict[str, Mapping[str, BitMap]] = {}

    async def of(self, constraint: Constraint) -> BitMap:
        """Return the concepts that satisfy a constraint; nobody may change the bitmap.

        Raises:
            InvalidConstraint: It asks for what cannot be told.
        """
        found = self._found.get(constraint)
        if found is None:
            found = self._found[constraint] = await self._satisfying(constraint)
        return found

    async def codes(self, constraint: Constraint) -> list[str]:
        """Return the codes of the concepts that satisfy a constraint; of one concept even where there is none."""
        if isinstance(constraint, Reference):
            return [constraint.code]
        return list(await self.provider.codes(list(await self.of(constraint))))

    async def stated(self, name: str) -> Mapping[str, BitMap]:
        """Return the concepts by what is stated of them under a property."""
        if name not in self._stated:
            self._stated[name] = await self.provider.stated(name)
        return self._stated[name]

    async def attributes(self, constraint: Constraint) -> list[str]:
        """Return the codes of the concepts that satisfy a constraint, as far as they are properties."""
        declared = self.provider.head.properties
        if isinstance(constraint, Reference):
            return [constraint.code]
        if isinstance(constraint, Anything):
            return [name for name in declared if name.isdigit()]
        return [name for name in await self.codes(constraint) if name in declared]

    async def stating(self, name: str, constraint: Constraint) -> BitMap:
        """Return the concepts that have one of the concepts of a constraint as the value of a property."""
        stated = await self.stated(name)
        if isinstance(constraint, Anything):
            return BitMap().union(*stated.values())
        if isinstance(constraint, Reference):
            return stated.get(constraint.code, BitMap())
        return BitMap().union(*(stated[code] for code in await self.codes(constraint) if code in stated))

    async def _satisfying(self, constraint: Constraint) -> BitMap:  # noqa: C901 - a case for each kind of node
        match constraint:
            case Anything():
                return await self.provider.everything()
            case Reference(code):
                return BitMap((await self.provider.ordinals([code])).values())
            case Related(operator, inner):
                return await RELATIONS[operator](self.provider, await self.of(inner), isinstance(inner, Anything))
            case Members(inner):
                return await self.stating(MEMBER_OF, inner)
            case Joined(operator, parts):
                sets = [await self.of(one) for one in parts]
                return sets[0] - sets[1] if operator == "MINUS" else reduce(and_ if operator == "AND" else or_, sets)
            case Refined(focus, refinement):
                return await refinements.satisfying(refinement, await self.of(focus), self)
            case Dotted(focus, attribute):
                return await self._values(await self.of(focus), await self.attributes(attribute))
            case Filtered(inner, on, conditions):
                found = await self.of(inner)
                if on == "D":
                    return await descriptions.satisfying(conditions, found, self)
                return await about.satisfying(conditions, found, self)
            case WithHistory(inner, profile, associations):
                return await self._with_history(await self.of(inner), profile, associations)

    async def _values(self, focus: BitMap, attributes: list[str]) -> BitMap:
        found: set[str] = set()
        for name in attributes:
            stated = await self.stated(name)
            found.update(code for code, having in stated.items() if having.intersect(focus))
        return BitMap((await self.provider.ordinals(list(found))).values())

    async def _with_history(self, found: BitMap, profile: str, associations: Constraint | None) -> BitMap:
        names = list(HISTORY.get(profile, ()))
        if associations is not None:
            names = await self.codes(associations)
        elif profile == "MAX":
            names += await self.codes(Related("<", Reference(ASSOCIATIONS)))
        result = BitMap(found)
        codes = await self.provider.codes(list(found))
        for name in dict.fromkeys(names):
            stated = await self.stated(name)
            result.update(*(stated[code] for code in codes if code in stated))
        return result
