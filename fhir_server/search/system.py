"""Searches of several types at once: of the whole record, or of a compartment (R4 3.1.1.1, `[base]?_type=…`, `Patient/1/*`).

A criterion must be one that all of the types have; without `_type` those are the parameters of every resource. The types are
searched as one: by last update (the newest first) or by id, with one cursor.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from zoneinfo import ZoneInfo

import msgspec

from fhir_server.model.errors import InvalidParameter
from fhir_server.model.request import Pairs
from fhir_server.search.chained import CHAINS, is_chained
from fhir_server.search.compartment import Compartment, compartment, members
from fhir_server.search.escapes import nearest, shown
from fhir_server.search.expression import Expression, all_of
from fhir_server.search.params import params
from fhir_server.search.parse import SearchRequest, reader, refuse_unreadable, shaped
from fhir_server.search.reading import Reading
from fhir_server.search.results import RESULTS, read
from fhir_server.search.sort import SortKey
from fhir_server.search.types import TYPES
from fhir_server.search.unknown import UnknownParameter, unknown
from fhir_server.settings import Search
from profiles.definitions.registry import Definitions
from profiles.issue import Issue

TYPE = "_type"
ALL = "A search of several types"


@dataclass(frozen=True, slots=True)
class SystemRequest:
    """A search of several types.

    Attributes:
        place: URL path below the service base; empty for the whole record.
        parts: The same search of each type, at least one, in the order of their names; they differ in type and
            expression only.
        types: All types that were asked for, those of which nothing is stored among them.
    """

    place: str
    parts: tuple[SearchRequest, ...]
    types: tuple[str, ...] = ()

    @property
    def shape(self) -> SearchRequest:
        """The part that stands for all in what does not depend on the type: order, page, includes, links."""
        return self.parts[0]

    @property
    def applied(self) -> Pairs:
        """The pairs that were applied."""
        return self.shape.applied

    @property
    def cursor(self) -> str:
        """The token of a paging link, or empty."""
        return self.shape.cursor


def parse_system(
    pairs: Pairs,
    definitions: Definitions,
    settings: Search,
    *,
    strict: bool,
    there: Collection[str],
    reading: Reading | None = None,
    within: Compartment | None = None,
) -> SystemRequest:
    """Return the search that the pairs of a query string ask for.

    Args:
        pairs: Decoded names and values, in order.
        definitions: Parameters of all types.
        settings: Limits, and the time zone of dates without one.
        strict: Whether unknown parameters are refused; otherwise they are passed over and reported.
        there: Types of which anything was ever stored; the others are not searched.
        reading: How values are read, the same as for the index; by default with nothing but definitions and time zone.
        within: The compartment that is searched, `None` for the whole record.

    Raises:
        InvalidParameter: A type that is none, a parameter that not all types have (strict), an unknown modifier, or a
            malformed value.
    """
    named = [(name, value) for name, value in pairs if name == TYPE and value]
    types = _types(named, within, definitions)
    # Of a type that never stood alone something may be contained.
    inside = any(name == "_contained" and value != "false" for name, value in pairs)
    searched = types if inside else tuple(name for name in types if name in there) or types[:1]
    criteria: dict[str, list[Expression]] = {name: [] for name in searched}
    reading = reading or Reading(zone=ZoneInfo(settings.time_zone), definitions=definitions)
    criterion = reader(definitions, reading)
    applied: list[tuple[str, str]] = [*named]
    shaping: list[tuple[str, str]] = []
    ignored: list[Issue] = []
    for name, value in pairs:
        if not value or name == TYPE:
            continue
        refuse_unreadable(name, value)
        if name.partition(":")[0] in RESULTS:
            shaping.append((name, value))
            continue
        try:
            _require_common(types, name, definitions)
            found = {each: criterion(each, name, value, 1) for each in (types if is_chained(name) else searched)}
        except UnknownParameter as error:
            if strict:
                raise
            ignored += [replace(issue, severity="warning", code="not-supported") for issue in error.issues]
            continue
        applied.append((name, value))
        for each in searched:
            criteria[each].append(found[each])
    if within:
        for each in searched:
            criteria[each].append(compartment(within.code, within.id, each, definitions))
    results = read(types, shaping, definitions, settings)
    by_update = SortKey(params(types[0], definitions)["_lastUpdated"], descending=True)
    shape = shaped(types[0], results, applied, ignored, order=(by_update,))
    parts = tuple(
        msgspec.structs.replace(shape, resource_type=each, expression=all_of(criteria[each])) for each in searched
    )
    return SystemRequest(f"{within}/*" if within else "", parts, types)


def _types(named: Sequence[tuple[str, str]], within: Compartment | None, definitions: Definitions) -> tuple[str, ...]:
    """Return the types that are searched, in the order of their names."""
    offered = members(within.code, definitions) if within else tuple(sorted(definitions.resource_types))
    if len(named) > 1:
        raise _refusal(f"The parameter '{TYPE}' is given more than once. Send it once, with commas between the types.")
    wanted = {text.strip() for _, value in named for text in value.split(",") if text.strip()}
    for name in sorted(wanted):
        if name not in definitions.resource_types:
            raise _refusal(f"'{shown(name)}' is not a resource type.{nearest(name, definitions.resource_types)}")
        if name not in offered:
            raise _refusal(
                f"{name} is not part of {within}. A {within.code if within else ''} compartment holds {', '.join(offered)}."
            )
    return tuple(name for name in offered if name in wanted) or offered


def _require_common(types: Sequence[str], name: str, definitions: Definitions) -> None:
    """Refuse a parameter that not all of the types have; of chains each type says so itself."""
    code = name.partition(":")[0]
    common = _common(types, definitions)
    if code not in common and not is_chained(name):
        raise unknown(ALL, name, [*common, *CHAINS, TYPE], _not_common(code, types, common))


def _common(types: Iterable[str], definitions: Definitions) -> list[str]:
    """Return the parameters that all of the types have."""
    found: set[str] | None = None
    for each in types:
        rows = definitions.search_parameters(each).values()
        own = {row.code for row in rows if row.expression and row.type in TYPES}
        found = own if found is None else found & own
    return sorted(found or ())


def _not_common(code: str, types: Sequence[str], common: Sequence[str]) -> str:
    which = ", ".join(types) if len(types) <= 5 else f"the {len(types)} types that are searched"
    return f"Not all of {which} have a search parameter '{shown(code)}'.{nearest(code, common)}"


def _refusal(text: str) -> InvalidParameter:
    return InvalidParameter(text, expression=f"http.{TYPE}")
