"""The hierarchy as one immutable value: who stands above and below whom, and who shares records with whom (docs/hierarchy.md).

Two relations, two meanings (IHE mCSD): `Organization.partOf` is the administrative parent; an OrganizationAffiliation is a
dated membership with a sharing agreement. Clinical documents know neither: they have a custodian, and that is all.
"""

from bisect import bisect_right
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType

from fhir_server.facilities.agreement import TREATMENT
from fhir_server.facilities.nodes import FOREVER, MEMBER, Affiliation, Organization
from fhir_server.search.types.date import EARLIEST

FACILITY = "facility"
NOBODY: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Sharing:
    """Whose records the staff of a facility reach by agreement, besides their own; ids of Organizations.

    Attributes:
        network: Those that every member of a common network may treat the patients of.
        related: Those whose patients they may treat with a relationship, and not without.
        emergency: Those that let them break the glass.
    """

    network: frozenset[str] = NOBODY
    related: frozenset[str] = NOBODY
    emergency: frozenset[str] = NOBODY


@dataclass(frozen=True, slots=True)
class Terms:
    """How openly somebody takes part in a network: rank in `TREATMENT`, and whether in emergencies."""

    access: int
    emergency: bool

    def stricter(self, other: "Terms") -> "Terms":
        """Return what both allow."""
        return Terms(min(self.access, other.access), self.emergency and other.emergency)

    def wider(self, other: "Terms") -> "Terms":
        """Return what either allows."""
        return Terms(max(self.access, other.access), self.emergency or other.emergency)


OPEN = Terms(len(TREATMENT) - 1, emergency=True)
CLOSED = Terms(0, emergency=False)


class Tree:
    """All Organizations and their affiliations.

    Args:
        organizations: Every Organization there is.
        affiliations: Every OrganizationAffiliation of two of them.
        root: Id of the deployment's root Organization.
    """

    __slots__ = ("_below", "_children", "_downward", "_moments", "_organizations", "_root", "_upward", "affiliations")

    def __init__(self, organizations: Iterable[Organization], affiliations: Iterable[Affiliation], root: str) -> None:
        self._organizations = {one.id: one for one in organizations}
        self.affiliations: Mapping[str, Affiliation] = MappingProxyType({one.id: one for one in affiliations})
        self._root = root
        self._children: dict[str, list[str]] = {}
        for one in self._organizations.values():
            if one.parent and one.parent != one.id:
                self._children.setdefault(one.parent, []).append(one.id)
        self._upward: dict[str, list[Affiliation]] = {}
        self._downward: dict[str, list[Affiliation]] = {}
        moments: set[datetime] = set()
        for each in self.affiliations.values():
            if each.active:
                self._upward.setdefault(each.member, []).append(each)
                self._downward.setdefault(each.network, []).append(each)
                moments |= {each.start, each.end}
        self._moments = sorted(moments - {EARLIEST, FOREVER})
        self._below: dict[str, frozenset[str]] = {}

    def __contains__(self, organization: str) -> bool:
        return organization in self._organizations

    def __len__(self) -> int:
        return len(self._organizations)

    def get(self, organization: str) -> Organization | None:
        """Return one Organization, `None` where there is none of this id."""
        return self._organizations.get(organization)

    @property
    def organizations(self) -> Collection[Organization]:
        """Every Organization there is."""
        return self._organizations.values()

    def level(self, organization: str) -> str:
        """Return the level of an Organization, a word of `nodes.LEVELS`; empty where it has none or is not there."""
        found = self._organizations.get(organization)
        return found.level if found else ""

    def below(self, organization: str) -> frozenset[str]:
        """Return an Organization and everything that is part of it, at any depth; of what is not there, itself only."""
        kept = self._below.get(organization)
        if kept is None:
            found = {organization}
            waiting = [organization]
            while waiting:
                for child in self._children.get(waiting.pop(), ()):
                    if child not in found:
                        found.add(child)
                        waiting.append(child)
            kept = self._below[organization] = frozenset(found)
        return kept

    def above(self, organization: str) -> tuple[str, ...]:
        """Return what an Organization is part of, the nearest first, without itself."""
        found: list[str] = []
        one = self._organizations.get(organization)
        while one and one.parent and one.parent not in found and one.parent != organization:
            found.append(one.parent)
            one = self._organizations.get(one.parent)
        return tuple(found)

    def zone(self, organization: str) -> str:
        """Return where the records of an Organization have to stay: its own word, or the nearest one above; empty for none."""
        line = (organization, *self.above(organization))
        return next((one.zone for each in line if (one := self.get(each)) and one.zone), "")

    @property
    def root(self) -> str:
        """Id of the deployment's root Organization."""
        return self._root

    @property
    def is_single(self) -> bool:
        """Whether this deployment is one facility: no Organization besides the root is one, so staff act for the root."""
        return not any(one.level == FACILITY and one.id != self._root for one in self._organizations.values())

    def children(self, organization: str, code: str = "", at: datetime | None = None) -> tuple[str, ...]:
        """Return what stands directly below an Organization in one hierarchy, sorted.

        Args:
            organization: Its id.
            code: Code of the affiliations that make the hierarchy, such as `member`; empty for the administrative one.
            at: Moment at which they hold; needed with a code.

        Raises:
            ValueError: A code without a moment.
        """
        if not code:
            return tuple(sorted(self._children.get(organization, ())))
        if at is None:
            raise ValueError("affiliations hold at a moment")
        below = self._downward.get(organization, ())
        return tuple(sorted({one.member for one in below if code in one.codes and one.holds(at)}))

    def memberships(self, organization: str, at: datetime) -> tuple[Affiliation, ...]:
        """Return the memberships that an Organization has at a moment, its own and those of what it is part of."""
        line = (organization, *self.above(organization))
        return tuple(
            one for each in line for one in self._upward.get(each, ()) if MEMBER in one.codes and one.holds(at)
        )

    def joined(self, organization: str, at: datetime) -> tuple[Affiliation, ...]:
        """Return the memberships in an Organization that hold at a moment."""
        return tuple(one for one in self._downward.get(organization, ()) if MEMBER in one.codes and one.holds(at))

    def sharing(self, facility: str, at: datetime) -> Sharing:
        """Return whose records staff of a facility reach at a moment by the agreements of common networks.

        What is part of a member takes part in what the member agreed to. The facility itself and what is part of it are left
        out: those are no matter of agreements.
        """
        found: dict[str, Terms] = {}
        for network, mine in self._networks(facility, at).items():
            for member, theirs in self._members(network, at).items():
                found[member] = found.get(member, CLOSED).wider(mine.stricter(theirs))
        return self._spread(found, self.below(facility))

    def changes_after(self, at: datetime) -> datetime | None:
        """Return the next moment when a membership begins or ends, `None` where none will: until then all stays as it is."""
        place = bisect_right(self._moments, at)
        return self._moments[place] if place < len(self._moments) else None

    def _spread(self, found: Mapping[str, Terms], own: frozenset[str]) -> Sharing:
        """Return the members with everything that is part of them, each where its widest terms put it."""
        terms: dict[str, Terms] = {}
        for member, between in found.items():
            for each in self.below(member) - own:
                terms[each] = terms.get(each, CLOSED).wider(between)
        by_access = [
            frozenset(each for each, one in terms.items() if one.access == rank) for rank in range(len(TREATMENT))
        ]
        return Sharing(by_access[2], by_access[1], frozenset(each for each, one in terms.items() if one.emergency))

    def _networks(self, organization: str, at: datetime) -> dict[str, Terms]:
        """Return the networks that an Organization takes part in, directly or through networks that are members of others."""
        return self._reached([(one, OPEN) for one in self.memberships(organization, at)], at, upward=True)

    def _members(self, network: str, at: datetime) -> dict[str, Terms]:
        """Return who takes part in a network, directly or as a member of a network that does."""
        below = self._downward.get(network, ())
        return self._reached([(one, OPEN) for one in below if MEMBER in one.codes and one.holds(at)], at, upward=False)

    def _reached(self, waiting: list[tuple[Affiliation, Terms]], at: datetime, *, upward: bool) -> dict[str, Terms]:
        """Return what memberships lead to, each by the strictest agreement on the way, and by the most open of several ways."""
        found: dict[str, Terms] = {}
        others = self._upward if upward else self._downward
        while waiting:
            one, so_far = waiting.pop()
            terms = so_far.stricter(_terms(one))
            reached = one.network if upward else one.member
            known = found.get(reached)
            if known is not None and known.wider(terms) == known:
                continue
            found[reached] = terms if known is None else known.wider(terms)
            nexts = others.get(reached, ())
            waiting += [(each, terms) for each in nexts if MEMBER in each.codes and each.holds(at)]
        return found


def _terms(one: Affiliation) -> Terms:
    return Terms(TREATMENT.index(one.agreement.treatment_access), one.agreement.emergency)
