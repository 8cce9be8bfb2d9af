"""What a report of an Organization counts of those below it: whom, from when to when, and how much may be told (product.md 9)."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from fhir_server.facilities.agreement import Rollup
from fhir_server.facilities.nodes import FOREVER, MEMBER
from fhir_server.facilities.tree import Tree
from fhir_server.search.types.date import EARLIEST

SMALL = 5
"""Counts of people below this are told only where the agreement is for identified data."""

NETWORK = "network"


@dataclass(frozen=True, slots=True)
class Part:
    """One that is counted.

    Attributes:
        organization: It, with all that is part of it.
        begin: First moment that counts.
        end: First moment that counts no more.
        rollup: What may be told of it.
    """

    organization: str
    begin: datetime
    end: datetime
    rollup: Rollup

    def told(self, count: int) -> int | None:
        """Return what may be told of a count, `None` for nothing."""
        if self.rollup == "none" or (self.rollup != "identified" and 0 < count < SMALL):
            return None
        return count


def parts(tree: Tree, organization: str, begin: datetime, end: datetime) -> list[Part]:
    """Return what a report of a time counts: of a network its members, each while it was one; of others what is part of it."""
    if tree.level(organization) == NETWORK:
        return sorted(_members(tree, organization, begin, end), key=lambda one: (one.organization, one.begin))
    return [Part(one, begin, end, "aggregate") for one in tree.children(organization)]


def _members(tree: Tree, network: str, begin: datetime, end: datetime) -> Iterator[Part]:
    for one in tree.affiliations.values():
        # What was never accepted has no beginning; what has ended counts until then.
        was = one.active or (one.end < FOREVER and one.start > EARLIEST)
        if one.network == network and MEMBER in one.codes and was and one.start < end and begin < one.end:
            yield Part(one.member, max(begin, one.start), min(end, one.end), one.agreement.rollup)
