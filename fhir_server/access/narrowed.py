"""What somebody is shown, as far as another one may see it: staff look at what a patient is shown, and at nothing besides."""

from fhir_server.access.granted import Granted
from fhir_server.access.principal import Principal
from fhir_server.access.scope_filter import Key, Letter, ScopeFilter
from fhir_server.access.standing import Standing
from fhir_server.model.query import NOTHING, Where
from fhir_server.search.compile import compile as compiled
from fhir_server.search.expression import Expression, all_of, any_of


class Narrowed:
    """Implements `ScopeFilter` for who looks through the eyes of another.

    Args:
        shown: What the other one is shown.
        viewer: What the caller may reach.
    """

    __slots__ = ("_shown", "_viewer")

    def __init__(self, shown: Granted, viewer: ScopeFilter) -> None:
        self._shown = shown
        self._viewer = viewer

    @property
    def principal(self) -> Principal:
        """Whose eyes these are."""
        return self._shown.principal

    @property
    def standing(self) -> Standing:
        """The standing of the one whose eyes these are."""
        return self._shown.standing

    def expression(self, resource_type: str, letter: Letter) -> Expression:
        """Return what both reach; of the caller it is enough to read or to search."""
        seen = any_of([self._viewer.expression(resource_type, "r"), self._viewer.expression(resource_type, "s")])
        return all_of([self._shown.expression(resource_type, letter), seen])

    def where(self, resource_type: str, letter: Letter) -> Where:
        """Return the same as a filter."""
        return compiled(self.expression(resource_type, letter), resource_type, self._shown.definitions)

    def shown(self, resource_type: str) -> Where:
        """Return the filter for what can be read or searched."""
        both = any_of([self.expression(resource_type, "r"), self.expression(resource_type, "s")])
        return compiled(both, resource_type, self._shown.definitions)

    def withdrawn(self, resource_type: str) -> Where:
        """Return `NOTHING`: who looks through these eyes searches, and searches find nothing withdrawn."""
        return NOTHING

    def wanted(self, resource_type: str, letter: Letter) -> str:
        """Return a scope that would give the letter."""
        return self._shown.wanted(resource_type, letter)

    @property
    def governs(self) -> bool:
        """Never: this only looks."""
        return False

    def covers(self, letter: Letter) -> bool:
        """Return that nothing is covered whole."""
        return False

    def whole(self, letter: Letter) -> str:
        """Return nothing: there is no such scope."""
        return ""

    def has_duty(self, duty: str) -> bool:
        """Return that there is none: this only looks."""
        return False

    @property
    def told(self) -> frozenset[Key]:
        """What the other one was told."""
        return self._shown.told

    @property
    def fingerprint(self) -> str:
        """Both: a paging link is for this caller and these eyes."""
        return f"{self._shown.fingerprint}\n{self._viewer.fingerprint}"

    @property
    def facility(self) -> str:
        """The custodian of what is created; nothing is."""
        return self._shown.facility
