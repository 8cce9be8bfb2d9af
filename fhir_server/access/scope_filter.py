"""What a caller may see and change, as one expression for each resource type and letter (SMART App Launch 2.2, scopes).

Open mode knows one scope: everything. The compiled scopes of tokens take the same seat when authentication is on, so
nothing below this floor ever learns whether a caller is restricted.
"""

from typing import Literal, Protocol

from fhir_server.access.principal import SERVER, Principal
from fhir_server.access.standing import FREE, Standing
from fhir_server.model.errors import Forbidden
from fhir_server.model.query import ANYTHING, NOTHING, Where
from fhir_server.search.expression import Anything, Expression

Letter = Literal["c", "r", "u", "d", "s"]

Key = tuple[str, str]
"""Type and id of an instance."""


class ScopeFilter(Protocol):
    """Answers one question: which resources of a type may be reached by an interaction of this letter?"""

    @property
    def principal(self) -> Principal:
        """Who asks."""
        ...

    @property
    def standing(self) -> Standing:
        """What the house has to say about who asks."""
        ...

    def expression(self, resource_type: str, letter: Letter) -> Expression:
        """Return the restriction: `Anything`, `Nothing`, or a search expression."""
        ...

    def where(self, resource_type: str, letter: Letter) -> Where:
        """Return the restriction as a filter over stored documents, current and superseded."""
        ...

    def shown(self, resource_type: str) -> Where:
        """Return the filter for what may be shown where something else leads to it: what can be read or searched."""
        ...

    def wanted(self, resource_type: str, letter: Letter) -> str:
        """Return a scope that would give the letter for the type or for `*`, empty where none does for this caller."""
        ...

    @property
    def governs(self) -> bool:
        """Whether the caller may change how the server works for everybody."""
        ...

    def covers(self, letter: Letter) -> bool:
        """Return whether the grant gives the letter for everything there is."""
        ...

    def whole(self, letter: Letter) -> str:
        """Return a scope that would give the letter for everything, empty where none does for this caller."""
        ...

    def has_duty(self, duty: str) -> bool:
        """Return whether the role that the caller works in has a duty beyond letters (`access.privileges`)."""
        ...

    def withdrawn(self, resource_type: str) -> Where:
        """Return the filter for what the caller could see and may read only that it is withdrawn (`access.withdrawal`)."""
        ...

    @property
    def told(self) -> frozenset[Key]:
        """Instances that the caller knows of from the launch, so that resources may refer to them."""
        ...

    @property
    def fingerprint(self) -> str:
        """What tells this caller and grant from every other; paging links are bound to it."""
        ...

    @property
    def facility(self) -> str:
        """Organization id that becomes the custodian of what this caller creates; empty for the deployment's root."""
        ...


class Unrestricted:
    """Open mode and the server's own work: every resource, for the reason that is given when it is made."""

    __slots__ = ("_facility", "reason")

    def __init__(self, reason: str, facility: str = "") -> None:
        self.reason = reason
        self._facility = facility

    @property
    def principal(self) -> Principal:
        """This program."""
        return SERVER

    @property
    def standing(self) -> Standing:
        """Nothing restricts."""
        return FREE

    def expression(self, resource_type: str, letter: Letter) -> Expression:
        """Return `Anything`."""
        return Anything()

    def where(self, resource_type: str, letter: Letter) -> Where:
        """Return `ANYTHING`."""
        return ANYTHING

    def shown(self, resource_type: str) -> Where:
        """Return `ANYTHING`."""
        return ANYTHING

    def withdrawn(self, resource_type: str) -> Where:
        """Return `NOTHING`: what is withdrawn is there as it is."""
        return NOTHING

    def wanted(self, resource_type: str, letter: Letter) -> str:
        """Return nothing: nothing is wanting."""
        return ""

    @property
    def governs(self) -> bool:
        """Always: nobody else is there to do it."""
        return True

    def covers(self, letter: Letter) -> bool:
        """Return that it does."""
        return True

    def whole(self, letter: Letter) -> str:
        """Return nothing: nothing is wanting."""
        return ""

    def has_duty(self, duty: str) -> bool:
        """Return that it has."""
        return True

    @property
    def told(self) -> frozenset[Key]:
        """Nothing: everything can be referred to anyway."""
        return frozenset()

    @property
    def fingerprint(self) -> str:
        """The reason: in open mode all callers are one."""
        return self.reason

    @property
    def facility(self) -> str:
        """The custodian of what is created."""
        return self._facility


def insufficient(text: str, *scopes: str) -> Forbidden:
    """Return the refusal of what the scopes do not cover, with the challenge that names those that would (RFC 6750 3.1).

    Args:
        text: What is not covered.
        scopes: Scopes that would cover it; the empty ones are passed over.
    """
    named = " ".join(dict.fromkeys(scope for scope in scopes if scope))
    what_to_do = f" Ask for {named} when access is granted." if named else " No scope of this caller covers it."
    challenge = 'Bearer error="insufficient_scope"' + (f', scope="{named}"' if named else "")
    return Forbidden(text + what_to_do, headers={"WWW-Authenticate": challenge})
