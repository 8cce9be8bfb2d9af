"""A query string as a `SearchRequest` (R4 3.1.1.2 to 3.1.1.5).

Repeated parameters are joined by AND, comma-separated values by OR. Parameters without a value are ignored (R4). What is
unknown is refused, or with lenient handling passed over and reported; an unknown modifier or a malformed value is refused
either way, because passing over it would return what was not asked for.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from zoneinfo import ZoneInfo

import msgspec

from fhir_server.model.errors import InvalidParameter
from fhir_server.model.request import Pairs
from fhir_server.search import text as narrative
from fhir_server.search.chained import CHAINS, Chained, Read, is_chained
from fhir_server.search.compartment import Compartment, compartment
from fhir_server.search.escapes import nearest, shown, split
from fhir_server.search.expression import Anything, Expression, Not, all_of, any_of, missing
from fhir_server.search.filter import FILTER
from fhir_server.search.filtered import Filtered
from fhir_server.search.hierarchy import MODIFIERS as HIERARCHIC
from fhir_server.search.hierarchy import hierarchies
from fhir_server.search.include import Include
from fhir_server.search.params import Param, params
from fhir_server.search.reading import Reading
from fhir_server.search.results import CURSOR, RESULTS, Results, read
from fhir_server.search.sort import SortKey
from fhir_server.search.text import TEXTS
from fhir_server.search.types import TYPES, token
from fhir_server.search.unknown import UnknownParameter, unknown
from fhir_server.settings import Search
from profiles.definitions.registry import Definitions
from profiles.issue import Issue

__all__ = ["CURSOR", "SearchRequest", "parse"]

MOST_TEXT = 2000
MOST_VALUES = 5000
_UNPAIRED = re.compile("[\ud800-\udfff]")
FLAGS = {"true": True, "false": False}
ANYTHING = Anything()
UPDATED = "_lastUpdated"


class SearchRequest(msgspec.Struct, frozen=True):
    """A search of one type, as it will be carried out.

    Attributes:
        resource_type: The type.
        expression: What is searched; `Anything` where there is no criterion.
        sort: Keys of `_sort`, the most important first; empty for the server's own order.
        count: Entries of a page; 0 asks for the number of matches alone.
        total: `none`, `estimate` or `accurate`; empty where the client does not say.
        includes: `_include`.
        revincludes: `_revinclude`.
        summary: `true`, `text`, `data`, `count` or `false`; empty where the client does not say.
        elements: Names of `_elements`.
        cursor: The token of a paging link, or empty.
        explain: Whether to tell how it was carried out.
        score: Whether entries say how well they match.
        contained: Whether contained resources are searched instead (`true`), or too (`both`).
        contained_type: What of them is returned: the `container` or the `contained` resource itself.
        applied: The pairs that were applied, without the cursor: those of the self link.
        ignored: What lenient handling passed over.
        path: URL path below the service base, where that is not the type alone: that of a compartment.
    """

    resource_type: str
    expression: Expression = ANYTHING
    sort: tuple[SortKey, ...] = ()
    count: int = 50
    total: str = ""
    includes: tuple[Include, ...] = ()
    revincludes: tuple[Include, ...] = ()
    summary: str = ""
    elements: tuple[str, ...] = ()
    cursor: str = ""
    explain: bool = False
    score: bool = False
    contained: str = "false"
    contained_type: str = "container"
    applied: Pairs = ()
    ignored: tuple[Issue, ...] = ()
    path: str = ""

    @property
    def place(self) -> str:
        """URL path below the service base: what links lead to and paging links belong to."""
        return self.path or self.resource_type


def parse(
    resource_type: str,
    pairs: Pairs,
    definitions: Definitions,
    settings: Search,
    *,
    strict: bool,
    reading: Reading | None = None,
    within: Compartment | None = None,
) -> SearchRequest:
    """Return the search that the pairs of a query string ask for.

    Args:
        resource_type: The type that is searched.
        pairs: Decoded names and values, in order.
        definitions: Parameters of the type, and value sets.
        settings: Limits, and the time zone of dates without one.
        strict: Whether unknown parameters are refused; otherwise they are passed over and reported.
        reading: How values are read, the same as for the index; by default with nothing but definitions and time zone.
        within: The compartment that is searched, `None` for everything.

    Raises:
        InvalidParameter: An unknown parameter (strict), an unknown modifier, or a malformed value.
    """
    reading = reading or Reading(zone=ZoneInfo(settings.time_zone), definitions=definitions)
    criterion = reader(definitions, reading)
    criteria: list[Expression] = []
    applied: list[tuple[str, str]] = []
    shaping: list[tuple[str, str]] = []
    ignored: list[Issue] = []
    for name, value in pairs:
        if not value:
            continue
        refuse_unreadable(name, value)
        if name.partition(":")[0] in RESULTS:
            shaping.append((name, value))
            continue
        try:
            criteria.append(criterion(resource_type, name, value, 0))
            applied.append((name, value))
        except UnknownParameter as error:
            if strict:
                raise
            ignored += [replace(issue, severity="warning", code="not-supported") for issue in error.issues]
    results = read((resource_type,), shaping, definitions, settings)
    if within:
        criteria.append(compartment(within.code, within.id, resource_type, definitions))
    # Containers are of many types, which have no other order in common.
    unsorted = (
        () if results.contained == "false" else (SortKey(params(resource_type, definitions)[UPDATED], descending=True),)
    )
    return shaped(
        resource_type,
        results,
        applied,
        ignored,
        expression=all_of(criteria),
        order=unsorted,
        path=f"{within}/{resource_type}" if within else "",
    )


def shaped(
    resource_type: str,
    results: Results,
    applied: Iterable[tuple[str, str]],
    ignored: Iterable[Issue],
    *,
    expression: Expression = ANYTHING,
    order: tuple[SortKey, ...] = (),
    path: str = "",
) -> SearchRequest:
    """Return a search as its result parameters shape it.

    Args:
        resource_type: The type.
        results: The result parameters.
        applied: The pairs that became criteria.
        ignored: What was passed over.
        expression: The criteria.
        order: The order where `_sort` says none.
        path: Where below the service base it is asked, if not at the type.
    """
    return SearchRequest(
        resource_type=resource_type,
        expression=expression,
        sort=tuple(results.sort) or order,
        count=results.count,
        total=results.total,
        includes=tuple(results.includes),
        revincludes=tuple(results.revincludes),
        summary=results.summary,
        elements=tuple(results.elements),
        cursor=results.cursor,
        explain=results.explain,
        score=results.score,
        contained=results.contained,
        contained_type=results.contained_type,
        applied=(*applied, *results.applied),
        ignored=tuple(ignored),
        path=path,
    )


def reader(definitions: Definitions, reading: Reading) -> Read:
    """Return what reads the criteria of one search, each from (resource type, name, value, 0).

    It raises `UnknownParameter` for what the type cannot be searched by, and `InvalidParameter` for an unknown modifier or a
    malformed value.
    """
    return _Criteria(definitions, reading).read


@dataclass(slots=True)
class _Criteria:
    """The criteria of one search. Few searches have chains, so what reads them is made for the first one."""

    definitions: Definitions
    reading: Reading
    chained: Chained | None = None

    def read(self, resource_type: str, name: str, value: str, depth: int) -> Expression:
        """Return the expression of one criterion."""
        code, _, modifier = name.partition(":")
        if code == FILTER:
            return Filtered(self.definitions, self.reading, self._chains()).expression(
                resource_type, name, value, depth
            )
        if code in TEXTS:
            return narrative.expression(resource_type, name, value, self.definitions, stored=self.reading.texts)
        if is_chained(name):
            return self._chains().expression(resource_type, name, value, depth)
        known = params(resource_type, self.definitions)
        param = known.get(code)
        if param is None or param.type not in TYPES:
            raise _unknown(resource_type, name, known, RESULTS if depth == 0 else ())
        return _criterion(param, modifier, value, known, self.reading)

    def _chains(self) -> Chained:
        """Return what reads the chains of this search, of which it counts the ends."""
        self.chained = self.chained or Chained(self.definitions, self.read)
        return self.chained


def _criterion(param: Param, modifier: str, value: str, known: Mapping[str, Param], reading: Reading) -> Expression:
    """Return the expression for one parameter with its modifier and its alternatives."""
    parts = [known[code] for code in param.parts]
    if modifier == "missing":
        absent = all_of(map(missing, parts or [param]))
        return absent if _flag(param, value) else Not(absent)
    _refuse_modifier(param, modifier, reading)
    texts = [text for text in split(value, ",") if text]
    if not texts:
        return ANYTHING
    if len(texts) > MOST_VALUES:
        raise InvalidParameter(
            f"The parameter '{param.code}' has {len(texts)} values. At most {MOST_VALUES} are taken; send several searches.",
            expression=f"http.{param.code}",
        )
    if parts and modifier in {"not", "not-in"}:
        return all_of(_parsed(part, modifier, texts, known, reading) for part in parts)
    return any_of(_parsed(part, modifier, texts, known, reading) for part in parts or [param])


def _parsed(param: Param, modifier: str, texts: list[str], known: Mapping[str, Param], reading: Reading) -> Expression:
    """Return what the module of the type makes of the texts; `url|version` of a conformance resource is read as both."""
    kind = TYPES[param.type]
    version = known.get("version")
    if not (
        param.code == "url" and param.type == "uri" and not modifier and version and any("|" in text for text in texts)
    ):
        return kind.parse(param, modifier, texts, reading)
    found: list[Expression] = []
    for text in texts:
        url, _, wanted = text.partition("|")
        both = [kind.parse(param, "", [url], reading)]
        both += [TYPES[version.type].parse(version, "", [wanted], reading)] if wanted else []
        found.append(all_of(both))
    return any_of(found)


def _flag(param: Param, value: str) -> bool:
    if value not in FLAGS:
        raise InvalidParameter(
            f"'{shown(value)}' is not a valid value of '{param.code}:missing'. Write true or false.",
            expression=f"http.{param.code}:missing",
        )
    return FLAGS[value]


def _refuse_modifier(param: Param, modifier: str, reading: Reading) -> None:
    if not modifier:
        return
    allowed = {"missing", *(token.modifiers(param) if param.type == "token" else TYPES[param.type].MODIFIERS)}
    types = reading.definitions.resource_types if reading.definitions else frozenset[str]()
    targets = set(param.targets) - {"Resource"} or types
    if param.type == "reference" and not (reading.definitions and hierarchies(param.targets, reading.definitions)):
        allowed -= HIERARCHIC
    if modifier in allowed or (param.type == "reference" and modifier in targets):
        return
    if param.type == "reference":
        allowed |= targets if len(targets) < len(types) else {"[Type]"}
    raise InvalidParameter(
        f"The {param.type} parameter '{param.code}' has no modifier '{shown(modifier)}'.{nearest(modifier, allowed)} "
        f"It takes {', '.join(f':{name}' for name in sorted(allowed))}.",
        expression=f"http.{param.code}:{shown(modifier)}",
    )


def _unknown(resource_type: str, name: str, known: Mapping[str, Param], results: Iterable[str]) -> UnknownParameter:
    """Return the refusal of a parameter that cannot be searched by, with the ones that can."""
    code = name.partition(":")[0]
    offered = [*(row.code for row in known.values() if row.type in TYPES), *CHAINS, *results]
    text = ""
    if code in known and known[code].type not in TYPES:
        text = f"The parameter '{code}' of {resource_type} is of type {known[code].type}, which is not supported."
    return unknown(resource_type, name, (code for code in offered if code != CURSOR), text)


def refuse_unreadable(name: str, value: str) -> None:
    """Refuse what a database cannot be asked for: NUL and lone surrogates; and single texts that are too long."""
    for text in (name, value):
        if not (text.isascii() or _UNPAIRED.search(text) is None) or "\0" in text:
            raise InvalidParameter(
                "A search parameter holds a character that no FHIR text can hold (NUL or half of a surrogate pair). Remove it.",
                expression="http.query",
            )
    if len(value) > MOST_TEXT and not name.endswith(FILTER) and max(map(len, split(value, ","))) > MOST_TEXT:
        raise InvalidParameter(
            f"A value of '{shown(name)}' has more than {MOST_TEXT} characters. Search by a shorter one.",
            expression=f"http.{shown(name)}",
        )
