"""How far one caller reaches: what may be searched or read of each type, within which unit of work, from which place."""

from collections.abc import Callable, Iterable
from typing import Any

import msgspec

from fhir_server.access.scope_filter import ScopeFilter
from fhir_server.model.query import Where
from fhir_server.repository.trace import Trace
from fhir_server.search.codes import CodeSets
from fhir_server.search.page import Sealing

WhereOf = Callable[[str], Where]


class Reach(msgspec.Struct, frozen=True):
    """What a search is joined with, whatever it asks.

    Attributes:
        where_of: Resource type to what the caller may see of it.
        scope: The caller's, for what a filter over resources does not say.
        require: Refuses a search that needs one of these types, if the caller may search none of them.
        session: Of a unit of work, `None` outside of one.
        base: The service base URL that was called.
        fields: Envelope fields that are wanted of everything found.
        trace: What the search did.
        codes: Sets of codes that the caller may use; `None` for those that everybody may.
    """

    where_of: WhereOf
    scope: ScopeFilter
    require: Callable[[Iterable[str]], None]
    session: Any
    base: str = ""
    fields: tuple[str, ...] = ()
    trace: Trace = msgspec.field(default_factory=Trace)
    codes: CodeSets | None = None

    def shown(self, resource_type: str) -> Where:
        """Return the filter for what is included: what may be read counts, too."""
        return self.scope.shown(resource_type)

    def sealing(self, key: bytes, hours: int) -> Sealing:
        """Return how the paging links of this caller are sealed."""
        return Sealing(key, hours, self.scope.fingerprint, self.base)
