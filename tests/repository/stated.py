"""Grants that are stated in tests as expressions, without tokens."""

from functools import cached_property

from fhir_server.access.scope_filter import Letter, Unrestricted
from fhir_server.model.query import Where
from fhir_server.search.compile import compile as compiled
from profiles.definitions.registry import Definitions, load


class Stated(Unrestricted):
    """A grant whose subclass says what it is for in `expression`."""

    @cached_property
    def _definitions(self) -> Definitions:
        return load()

    def where(self, resource_type: str, letter: Letter) -> Where:
        """Return the same as a filter."""
        return compiled(self.expression(resource_type, letter), resource_type, self._definitions)

    def shown(self, resource_type: str) -> Where:
        """Return the filter of what can be read."""
        return self.where(resource_type, "r")
