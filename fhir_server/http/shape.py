"""The shape of a request: which interaction it looks like, for logs and metrics that hold no ids and no values."""

from collections.abc import Iterable

import msgspec

from fhir_server.capability.table import Interaction

TYPE, ID, VERSION, OPERATION, OTHER = "{type}", "{id}", "{vid}", "${operation}", "{other}"
MEMBER, ALL = "{member}", "*"
LITERALS = frozenset({"metadata", "_search", "_history"})
VARIABLES = (OTHER, ID, OTHER, VERSION)


class Shape(msgspec.Struct, frozen=True):
    """A request without its particulars.

    Attributes:
        interaction: Code of the interaction, `operation`, or `other` for a URL that is none.
        resource_type: A served type, or empty.
        route: The path with placeholders, e.g. `{type}/{id}/_history`.
    """

    interaction: str
    resource_type: str
    route: str


NO_SHAPE = Shape("other", "", OTHER)


class Shapes:
    """Recognizes shapes.

    Args:
        table: The interactions that are offered.
        types: Resource types that are served; a name outside them is not repeated.
    """

    def __init__(self, table: Iterable[Interaction], types: frozenset[str]) -> None:
        self._types = types
        self._codes: dict[tuple[str, str], str] = {}
        for row in table:
            shape = [TYPE if part == MEMBER else part for part in row.shape]
            self._codes.setdefault((row.method, "/".join(shape)), row.code)

    def of(self, method: str, path: tuple[str, ...]) -> Shape:
        """Return the shape of a request, whose HEAD was already read as GET."""
        if len(path) > len(VARIABLES):
            return NO_SHAPE
        kinds = [self._kind(place, segment) for place, segment in enumerate(path)]
        route = "/".join(kinds)
        resource_type = path[0] if kinds and kinds[0] == TYPE else ""
        if kinds and kinds[-1] == OPERATION:
            return Shape("operation", resource_type, route)
        return Shape(self._codes.get((method, route), "other"), resource_type, route)

    def _kind(self, place: int, segment: str) -> str:
        if segment in LITERALS:
            return segment
        if segment.startswith("$"):
            return OPERATION
        if place in {0, 2} and (segment in self._types or (place, segment) == (2, ALL)):
            return TYPE
        return VARIABLES[place]
