"""What a caller may see and change, as one expression for each resource type and letter (SMART App Launch 2.2, scopes).

Open mode knows one scope: everything. The compiled scopes of tokens take the same seat when authentication is on, so
nothing below this floor ever learns whether a caller is restricted.
"""

from typing import Literal, Protocol

from fhir_server.search.expression import Anything, Expression

Letter = Literal["c", "r", "u", "d", "s"]


class ScopeFilter(Protocol):
    """Answers one question: which resources of a type may be reached by an interaction of this letter?"""

    def expression(self, resource_type: str, letter: Letter) -> Expression:
        """Return the restriction: `Anything`, `Nothing`, or a search expression."""
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

    def expression(self, resource_type: str, letter: Letter) -> Expression:
        """Return `Anything`."""
        return Anything()

    @property
    def fingerprint(self) -> str:
        """The reason: in open mode all callers are one."""
        return self.reason

    @property
    def facility(self) -> str:
        """The custodian of what is created."""
        return self._facility
