"""SearchParameter resources as search parameters of this server (R4 SearchParameter, 3.1.1.2).

An active SearchParameter is taken as it is or refused with every reason: what is taken works in searches, chains, sorts
and includes like one of FHIR's own. One that says what FHIR's own parameter of that code says anyway (implementation
guides repeat many) adds nothing and is no clash.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from fhir_server.search.fhirpath import Uncompilable
from fhir_server.search.params import KEYS, VALUE_TYPES, components, routes
from fhir_server.search.paths import COMPUTED, Selection, selections
from fhir_server.search.types import TYPES
from profiles.definitions.model import SearchComponent, SearchParameter
from profiles.definitions.registry import Definitions
from profiles.issue import Issue

RESOURCE_TYPE = "SearchParameter"
ACTIVE = "active"
MOST_OF_A_TYPE = 32
"""Each may have an index, a collection has at most 64, and FHIR's own parameters need up to 14."""

MOST_CODE = 64
MOST_EXPRESSION = 4000
CODE = re.compile(rf"[A-Za-z][A-Za-z0-9_\-]{{0,{MOST_CODE - 1}}}", re.ASCII)
SPECIAL = "special"
"""Each parameter of this type is a meaning of its own, which no expression states."""

STAMPED = ("meta.versionId", "meta.lastUpdated")
"""Elements that a version gets only when it is written, after its index entries were made."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What a SearchParameter resource comes to.

    Attributes:
        parameter: The parameter, on concrete resource types, those left out where FHIR's own says the same; `None` where
            nothing is left, or the resource is not active.
        issues: Why it is refused, empty where it is not.
    """

    parameter: SearchParameter | None
    issues: tuple[Issue, ...] = ()


def read(resource: Mapping[str, Any], definitions: Definitions, *, shared: bool = False) -> Reading:
    """Return what a valid SearchParameter resource comes to.

    Args:
        resource: The resource.
        definitions: With all search parameters that there are beside it.
        shared: Whether it adds nothing, either, where an added parameter says the same, as another version of its guide does.
    """
    if resource.get("status") != ACTIVE:
        return Reading(None)
    stated = _stated(resource)
    types = _types(stated.base, definitions)
    own = tuple(name for name in types if not _says_the_same(stated, name, definitions, shared=shared))
    if not own:
        return Reading(None)
    parameter = replace(stated, base=own)
    issues = [*_form(resource, parameter), *_components(parameter, definitions), *_clashes(parameter, definitions)]
    if not issues:
        issues = [issue for name in own for issue in _selection(parameter, name, definitions)]
    return Reading(None, tuple(issues)) if issues else Reading(parameter)


def _stated(resource: Mapping[str, Any]) -> SearchParameter:
    return SearchParameter(
        url=resource["url"],
        code=resource["code"],
        type=resource["type"],
        base=tuple(resource["base"]),
        expression=resource.get("expression", ""),
        targets=tuple(sorted(resource.get("target", ()))),
        components=tuple(
            SearchComponent(part.get("definition", ""), part.get("expression", ""))
            for part in resource.get("component", ())
        ),
        description=resource.get("description", ""),
    )


def _types(bases: Iterable[str], definitions: Definitions) -> list[str]:
    """Return the concrete resource types of the bases; `Resource` stands for all of them."""
    wanted = set(bases)

    def lineage(name: str) -> Iterable[str]:
        definition = definitions.type(name)
        while definition is not None:
            yield definition.name
            definition = definitions.type(definition.base)

    return sorted(name for name in definitions.resource_types if not wanted.isdisjoint(lineage(name)))


def _says_the_same(
    parameter: SearchParameter, resource_type: str, definitions: Definitions, *, shared: bool = False
) -> bool:
    """Whether FHIR's own parameter of that code, or where it is shared an added one, selects the same values."""
    there = definitions.search_parameters(resource_type).get(parameter.code)
    if there is None or (there in definitions.added and not shared) or there.type != parameter.type:
        return False
    if there.expression in COMPUTED or there.type == "composite":
        return (there.expression, there.components) == (parameter.expression, parameter.components)
    try:
        return _ends(routes(resource_type, parameter, definitions)) == _ends(routes(resource_type, there, definitions))
    except Uncompilable:
        return False


def _ends(found: Iterable[Selection]) -> set[Selection]:
    return set(found)


def _form(resource: Mapping[str, Any], parameter: SearchParameter) -> Iterable[Issue]:
    """Yield what is wrong with it whatever the types."""
    if not CODE.fullmatch(parameter.code):
        yield _issue(
            "code",
            f"The code '{parameter.code[:80]}' cannot be the name of a search parameter here. Use a letter, then up to "
            f"{MOST_CODE - 1} letters, digits, '-' or '_'; names that begin with '_' are FHIR's.",
        )
    possible = sorted(TYPES.keys() - {SPECIAL})
    if parameter.type not in possible:
        yield _issue(
            "type", f"Search parameters of type '{parameter.type}' cannot be added. Possible are {', '.join(possible)}."
        )
    elif not parameter.expression:
        yield _issue(
            "expression", "It has no expression, so it selects nothing. State the FHIRPath of what it searches."
        )
    if len(parameter.expression) > MOST_EXPRESSION:
        yield _issue("expression", f"The expression is longer than {MOST_EXPRESSION} characters. Shorten it.")
    usage = resource.get("xpathUsage", "normal")
    if usage != "normal":
        yield _issue(
            "xpathUsage", f"The usage '{usage}' is not supported: values are compared as they are. State 'normal'."
        )


def _components(parameter: SearchParameter, definitions: Definitions) -> Iterable[Issue]:
    for index, component in enumerate(parameter.components):
        defined = definitions.search_parameter(component.definition.partition("|")[0])
        if defined is None:
            yield _issue(
                f"component[{index}].definition",
                f"There is no search parameter {component.definition[:200]}. Name one of FHIR's, or add this one first.",
            )
        elif defined.type not in VALUE_TYPES:
            yield _issue(
                f"component[{index}].definition",
                f"{component.definition[:200]} is of type '{defined.type}'. A component is one of {', '.join(sorted(VALUE_TYPES))}.",
            )
    if parameter.type == "composite" and not 2 <= len(parameter.components) <= len(KEYS):
        yield _issue("component", f"A composite parameter has from two to {len(KEYS)} components. State them.")


def _clashes(parameter: SearchParameter, definitions: Definitions) -> Iterable[Issue]:
    taken: dict[str, list[str]] = {}
    full: list[str] = []
    for name in parameter.base:
        there = definitions.search_parameters(name).get(parameter.code)
        if there is not None:
            taken.setdefault(there.url, []).append(name)
        elif len(definitions.added_codes(name)) >= MOST_OF_A_TYPE:
            full.append(name)
    for url, names in taken.items():
        yield _issue(
            "code",
            f"{_listed(names)} has a search parameter '{parameter.code}' already, {url}, which selects something else. "
            "Choose another code.",
        )
    if full:
        yield _issue(
            "base", f"{_listed(full)} has {MOST_OF_A_TYPE} added search parameters already. Retire one of them first."
        )


def _selection(parameter: SearchParameter, resource_type: str, definitions: Definitions) -> Iterable[Issue]:
    """Yield why a parameter cannot be read from a resource type."""
    try:
        found = selections(resource_type, parameter, definitions)
        read = routes(resource_type, parameter, definitions)
    except Uncompilable as reason:
        yield _issue("expression", f"The expression cannot be compiled for {resource_type}: {reason}.")
        return
    stamped = [one.element for one in found if one.element.endswith(STAMPED) and one.element.count(".") == 2]
    if stamped:
        yield _issue("expression", f"{stamped[0]} is set by the server at each write. Search by _lastUpdated instead.")
    elif not found:
        yield _issue(
            "base",
            f"The expression selects nothing of a {resource_type}. Leave {resource_type} out of base, or add its path.",
        )
    elif not read:
        types = sorted({one.type for one in found})
        yield _issue(
            "type",
            f"Of a {resource_type} the expression selects {_listed(types)}, which a {parameter.type} parameter cannot search. "
            f"It reads {', '.join(sorted(VALUE_TYPES[parameter.type]))}. Change the type or the expression.",
        )
    if parameter.type == "composite":
        yield from _parts(parameter, resource_type, definitions)


def _parts(parameter: SearchParameter, resource_type: str, definitions: Definitions) -> Iterable[Issue]:
    """Yield why the components of a composite cannot be read from a resource type."""
    try:
        found = components(resource_type, parameter, definitions)
    except Uncompilable as reason:
        yield _issue("component", f"A component cannot be compiled for {resource_type}: {reason}.")
        return
    for index, component in enumerate(found):
        if not (component.place.inside or component.place.outside):
            yield _issue(
                f"component[{index}].expression",
                f"Of a {resource_type} it selects nothing that a {component.param.type} parameter can search.",
            )


def _listed(names: list[str]) -> str:
    return ", ".join(names) if len(names) <= 5 else f"{', '.join(names[:5])} and {len(names) - 5} more"


def _issue(element: str, text: str) -> Issue:
    return Issue("error", "not-supported", text, f"{RESOURCE_TYPE}.{element}")
