"""What the module of a search parameter type offers."""

from collections.abc import Sequence
from typing import Any, Protocol

from fhir_server.search.expression import Criterion, Expression
from fhir_server.search.params import Param
from fhir_server.search.reading import PLAIN, Reading


class SearchType(Protocol):
    """What a module of this folder offers.

    Attributes:
        MODIFIERS: Modifiers besides `:missing` (and, for references, the names of types).
        EXAMPLE: The form of a value, for messages.
    """

    MODIFIERS: frozenset[str]
    EXAMPLE: str

    def entries(self, values: Sequence[tuple[str, Any]], param: Param, reading: Reading = PLAIN) -> list[Any]:
        """Return what is stored for the (FHIR type, JSON value) pairs that the parameter selects in a resource."""
        ...

    def parse(self, param: Param, modifier: str, texts: Sequence[str], reading: Reading = PLAIN) -> Expression:
        """Return the expression for the alternatives of a query value (with their escapes); raise `InvalidParameter`."""
        ...

    def predicate(self, criterion: Criterion) -> dict[str, Any]:
        """Return the MongoDB filter."""
        ...

    def matches(self, criterion: Criterion, entries: Sequence[Any]) -> bool:
        """Return what the filter says of a document with these entries."""
        ...
