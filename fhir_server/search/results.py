"""Search result parameters: sorting, page size, totals, includes, summaries (R4 3.1.1.5)."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import msgspec

from fhir_server.model.errors import InvalidParameter
from fhir_server.search.escapes import nearest, shown
from fhir_server.search.include import WILDCARD, Include
from fhir_server.search.params import Param, params
from fhir_server.search.sort import SortKey
from fhir_server.search.types import TYPES
from fhir_server.settings import Search
from profiles.definitions.registry import Definitions

CURSOR = "_cursor"
TOTALS = ("none", "estimate", "accurate")
SUMMARIES = ("true", "text", "data", "count", "false")
SORTABLE = TYPES.keys() - {"composite", "special"}
CONTAINED = ("false", "true", "both")
CONTAINED_TYPES = ("container", "contained")
FLAGS = ("true", "false")
ITERATE = frozenset({"iterate", "recurse"})
SHARED_ORDERS = ("_id", "_lastUpdated")
"""What a search of several types can be sorted by: what all of them have, stored in one way."""


@dataclass(slots=True)
class Results:
    """How the answer is shaped; the fields are those of `SearchRequest`."""

    count: int
    total: str = ""
    summary: str = ""
    cursor: str = ""
    explain: bool = False
    score: bool = False
    contained: str = "false"
    contained_type: str = "container"
    sort: list[SortKey] = field(default_factory=list)
    elements: list[str] = field(default_factory=list)
    includes: list[Include] = field(default_factory=list)
    revincludes: list[Include] = field(default_factory=list)
    applied: list[tuple[str, str]] = field(default_factory=list)


class Ground(msgspec.Struct, frozen=True):
    """What result parameters are read against: the types that may be found, and the parameters that all of them have."""

    types: tuple[str, ...]
    known: Mapping[str, Param]
    definitions: Definitions
    settings: Search
    contained: bool = False

    @property
    def name(self) -> str:
        """What messages call what is searched."""
        if self.contained:
            return "a search with _contained"
        return self.types[0] if len(self.types) == 1 else "a search of several types"


def read(
    types: tuple[str, ...], pairs: Sequence[tuple[str, str]], definitions: Definitions, settings: Search
) -> Results:
    """Return what the result parameters ask for.

    Args:
        types: The types that are searched, at least one.
        pairs: Names and values of result parameters.
        definitions: Parameters and elements of the types.
        settings: Limits.

    Raises:
        InvalidParameter: A value that is not valid, or a single-valued parameter given twice.
    """
    known = params(types[0], definitions)
    contained = any(name == "_contained" and value != "false" for name, value in pairs)
    shared = known if len(types) == 1 and not contained else {code: known[code] for code in SHARED_ORDERS}
    if contained and ("_containedType", "contained") not in pairs:
        types = tuple(sorted(definitions.resource_types))
    ground = Ground(types, shared, definitions, settings, contained)
    results = Results(count=min(settings.count, settings.max_count))
    seen: set[str] = set()
    for name, value in pairs:
        code, _, modifier = name.partition(":")
        repeats, reader = RESULTS[code]
        if modifier and not (code in INCLUDES and modifier in ITERATE):
            raise _refusal(name, f"The parameter '{code}' has no modifier '{shown(modifier)}'. Leave it out.")
        if code in seen and not repeats:
            raise _refusal(name, f"The parameter '{code}' is given more than once. Send it once.")
        seen.add(code)
        kept = reader(results, ground, name, value)
        if kept:
            results.applied.append((name, kept))
    if contained and results.contained_type == "contained" and (results.includes or results.revincludes):
        raise _refusal(
            "_include",
            "What contained resources refer to cannot be included. Leave _include and _revinclude out, or ask for the containers "
            "with _containedType=container.",
        )
    return results


Reader = Callable[[Results, Ground, str, str], str]
"""Sets what a parameter asks for, and returns the value as it is applied (for the self link), empty for none."""


def _count(results: Results, ground: Ground, name: str, value: str) -> str:
    if not (value.isascii() and value.isdigit()):
        raise _refusal(name, f"'{shown(value)}' is not a valid {name}. Write a whole number from 0, such as {name}=50.")
    # More than nine digits is above any maximum; int() of thousands of digits is refused by Python.
    results.count = min(
        int(value[-9:]) if len(value.lstrip("0")) < 10 else ground.settings.max_count, ground.settings.max_count
    )
    if results.count == 0:
        results.summary = "count"
    return str(results.count)


def _total(results: Results, ground: Ground, name: str, value: str) -> str:
    results.total = _one_of(name, value, TOTALS)
    return value


def _summary(results: Results, ground: Ground, name: str, value: str) -> str:
    results.summary = results.summary or _one_of(name, value, SUMMARIES)
    return value


def _elements(results: Results, ground: Ground, name: str, value: str) -> str:
    known = [element for each in ground.types for element in ground.definitions.types[each].elements.values()]
    names = {element.choice or element.name for element in known} | {element.name for element in known}
    for text in filter(None, (part.strip() for part in value.split(","))):
        of, dot, rest = text.partition(".")
        element = rest if dot and of in ground.types else text
        if element not in names:
            listed = f" Its elements are {', '.join(sorted(names))}." if len(ground.types) == 1 else ""
            raise _refusal(
                name, f"'{shown(text)}' is not a top-level element of {ground.name}.{nearest(element, names)}{listed}"
            )
        results.elements.append(element)
    return value


def _sort(results: Results, ground: Ground, name: str, value: str) -> str:
    for text in filter(None, (part.strip() for part in value.split(","))):
        code = text.removeprefix("-")
        param = ground.known.get(code)
        if param is None or param.type not in SORTABLE:
            sortable = [one.code for one in ground.known.values() if one.type in SORTABLE]
            raise _refusal(
                name,
                f"{ground.name} cannot be sorted by '{shown(code)}'.{nearest(code, sortable)} "
                f"{name} takes {', '.join(sortable)}, each with a minus sign before it for descending order.",
            )
        results.sort.append(SortKey(param, descending=text.startswith("-")))
    return value


def _include(results: Results, ground: Ground, name: str, value: str) -> str:
    found = _read_includes(ground, name, value)
    if found[0].source_type not in ground.types and not found[0].iterate:
        raise _refusal(
            name,
            f"'{shown(value)}' begins with {found[0].source_type}, but {ground.name} is searched. "
            f"Write _include:iterate={value} to follow references of included resources.",
        )
    results.includes += found
    return value


def _revinclude(results: Results, ground: Ground, name: str, value: str) -> str:
    results.revincludes += _read_includes(ground, name, value)
    return value


def _referring(ground: Ground) -> list[str]:
    """Return the types that have a reference parameter which may lead to one of those that are searched."""
    return [
        name
        for name in sorted(ground.definitions.resource_types)
        if any(
            row.type == "reference" and (not row.targets or {"Resource", *ground.types} & {*row.targets})
            for row in params(name, ground.definitions).values()
        )
    ]


def _read_includes(ground: Ground, name: str, value: str) -> list[Include]:
    """Return what an include asks for; `*` asks for that of each type searched, or that may refer to one of them."""
    source, _, rest = value.partition(":")
    if source == WILDCARD:
        _, _, target = rest.partition(":")
        forms = [
            f"{each}:{WILDCARD}:{target}"
            for each in (_referring(ground) if name.startswith("_revinclude") else ground.types)
        ]
        return [_read_include(ground, name, form) for form in forms]
    return [_read_include(ground, name, value)]


def _read_include(ground: Ground, name: str, value: str) -> Include:
    source, _, rest = value.partition(":")
    code, _, target = rest.partition(":")
    types = ground.definitions.resource_types
    if source not in types or (target and target not in types):
        wrong = source if source not in types else target
        raise _refusal(
            name,
            f"'{shown(wrong)}' in '{shown(value)}' is not a resource type.{nearest(wrong, types)} "
            f"Write {name.partition(':')[0]}=Type:parameter or Type:parameter:TargetType.",
        )
    references = {key: row for key, row in params(source, ground.definitions).items() if row.type == "reference"}
    if code not in references and code != WILDCARD:
        raise _refusal(
            name,
            f"{source} has no reference parameter '{shown(code)}'.{nearest(code, references)} "
            f"It has {', '.join(references) or 'none'}.",
        )
    if target and code != WILDCARD and references[code].targets and target not in references[code].targets:
        raise _refusal(
            name,
            f"The parameter '{code}' of {source} does not refer to {target}, but to {', '.join(references[code].targets)}.",
        )
    return Include(source, code, target, iterate=":" in name)


def _explain(results: Results, ground: Ground, name: str, value: str) -> str:
    if ground.settings.explain == "off":
        raise _refusal(name, f"This server does not explain searches. Leave {name} out, or set search.explain to on.")
    results.explain = _one_of(name, value, FLAGS) == "true"
    return value


def _score(results: Results, ground: Ground, name: str, value: str) -> str:
    results.score = _one_of(name, value, FLAGS) == "true"
    return value


def _contained(results: Results, ground: Ground, name: str, value: str) -> str:
    results.contained = _one_of(name, value, CONTAINED)
    return value


def _contained_type(results: Results, ground: Ground, name: str, value: str) -> str:
    results.contained_type = _one_of(name, value, CONTAINED_TYPES)
    return value


def _cursor(results: Results, ground: Ground, name: str, value: str) -> str:
    results.cursor = value
    return ""


def _kept(results: Results, ground: Ground, name: str, value: str) -> str:
    return value


def _one_of(name: str, value: str, allowed: tuple[str, ...]) -> str:
    if value not in allowed:
        raise _refusal(name, f"'{shown(value)}' is not a valid {name}. It takes {', '.join(allowed)}.")
    return value


def _refusal(name: str, text: str) -> InvalidParameter:
    return InvalidParameter(text, expression=f"http.{shown(name)}")


RESULTS: Mapping[str, tuple[bool, Reader]] = {
    "_contained": (False, _contained),
    "_containedType": (False, _contained_type),
    "_count": (False, _count),
    "_elements": (True, _elements),
    "_explain": (False, _explain),
    "_format": (True, _kept),
    "_include": (True, _include),
    "_pretty": (True, _kept),
    "_revinclude": (True, _revinclude),
    "_score": (False, _score),
    "_sort": (True, _sort),
    "_summary": (False, _summary),
    "_total": (False, _total),
    CURSOR: (False, _cursor),
}
"""Each result parameter: whether it may repeat, and what reads it. `_format` and `_pretty` are read at the door."""

INCLUDES = frozenset({"_include", "_revinclude"})
