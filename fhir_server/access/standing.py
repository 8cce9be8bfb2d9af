"""What a principal's place comes to now: the facility, the role, agreements, relationships, consents (product.md 2.1, 2.2, 9).

A token says who asks and what was granted; the standing says what the house has to say about it at this moment, and is found
anew whenever anything of it has changed: every write that changes a standing raises the epoch that the gate asks for at each
request. So access follows configuration, from the next request on, and no record is rewritten.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from fhir_server.access.care import Place
from fhir_server.access.privileges import EVERYTHING, Privileges
from fhir_server.search.expression import Anything, Expression, OwnedBy


@dataclass(frozen=True, slots=True)
class Standing:
    """What holds for a principal until something changes.

    Attributes:
        facility: Organization that the person acts for, and that keeps what is created; empty for the configured one.
        privileges: What the role allows.
        custody: What is in the custody of the facility and those below it, as an expression; of systems, of those that they are
            registered for.
        network: Facilities whose records are reached by an agreement of a network, except restricted ones.
        related: Facilities whose records are reached of patients with a relationship.
        patients: Patients of other facilities with a relationship to this one.
        objecting: Patients who deny that their records are shared in networks.
        glass: Patients for whom the glass was broken, each with the end of it.
        reveals: Whether staff are told of a patient whom breaking the glass would open (`access.reveal`).
        where: What relationships are asked for at each request, where there are agreements; `None` otherwise.
        records: Of a patient or proxy: further patients that are the same person, by a link that somebody has confirmed.
        keepers: Of a patient or proxy: facility that keeps the record of each patient, and what the patient adds to it.
        until: When this may no longer be relied upon without looking; `None` for as long as the epoch is the same.
    """

    facility: str = ""
    privileges: Privileges = EVERYTHING
    custody: Expression = field(default_factory=Anything)
    network: frozenset[str] = frozenset()
    related: frozenset[str] = frozenset()
    patients: frozenset[str] = frozenset()
    objecting: frozenset[str] = frozenset()
    glass: Mapping[str, datetime] = field(default_factory=dict)
    reveals: bool = False
    where: Place | None = None
    records: Mapping[str, frozenset[str]] = field(default_factory=dict)
    keepers: Mapping[str, str] = field(default_factory=dict)
    until: datetime | None = None

    @property
    def is_free(self) -> bool:
        """Whether nothing restricts but the scopes."""
        return self.privileges.unbounded and isinstance(self.custody, Anything)

    def keeps(self, facility: str) -> bool:
        """Return whether what a facility keeps is in custody here."""
        match self.custody:
            case Anything():
                return True
            case OwnedBy(facilities):
                return facility in facilities
        return False

    def same(self, patients: frozenset[str]) -> frozenset[str]:
        """Return the patients with those that are the same persons."""
        return patients.union(*(self.records.get(one, ()) for one in patients))


FREE = Standing()
"""Nothing restricts but the scopes: systems without a registered policy, and a practice in which nobody has roles."""
