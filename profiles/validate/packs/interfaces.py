"""SearchParameter, CapabilityStatement and OperationDefinition as wholes (R4 5.1, 5.7, 5.8): what they say can be done."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from profiles.definitions.model import SearchParameter
from profiles.definitions.registry import Definitions
from profiles.fhirpath.errors import FhirPathError
from profiles.fhirpath.shapes import SEARCH
from profiles.validate.messages import shown
from profiles.validate.packs.messages import report
from profiles.validate.rules.shape import inner, many
from profiles.validate.walk import Json, Place, Walk

if TYPE_CHECKING:
    from profiles.validate.structure import Checks

_ABSTRACT = frozenset({"Resource", "DomainResource"})
_HOME = "http://hl7.org/fhir/StructureDefinition/"
_MOST_BASES = 200


def search_parameter(node: Json, where: Place, walk: Walk, checks: "Checks") -> None:
    """Report an expression that selects nothing of a base, and what differs from the parameter that it is derived from."""
    bases = list(dict.fromkeys(one for one in many(node, "base") if type(one) is str))[:_MOST_BASES]
    expression = node.get("expression")
    if type(expression) is str and expression:
        for base in bases:
            _selects(expression, base, where, walk, checks)
    derived = node.get("derivedFrom")
    parent = checks.definitions.search_parameter(derived.partition("|")[0]) if type(derived) is str else None
    if parent is not None:
        _derived(node, parent, bases, where, walk)


def _selects(expression: str, base: str, where: Place, walk: Walk, checks: "Checks") -> None:
    here = (where, "expression", None)
    try:
        shape = checks.engine.compile(expression, base, SEARCH).shape
    except FhirPathError as error:
        report(walk, "search-expression", here, value=shown(expression), base=base, reason=str(error))
        return
    if shape.types is not None and not shape.types and base not in _ABSTRACT:
        report(walk, "search-selects-nothing", here, value=shown(expression), base=base)


def _derived(node: Json, parent: SearchParameter, bases: list[str], where: Place, walk: Walk) -> None:
    if node.get("type") != parent.type:
        report(
            walk,
            "derived-type",
            (where, "type", None),
            found=shown(node.get("type")),
            expected=parent.type,
            url=parent.url,
        )
    if _ABSTRACT.isdisjoint(parent.base):
        for base in bases:
            if base not in parent.base:
                report(
                    walk,
                    "derived-base",
                    (where, "base", None),
                    found=base,
                    allowed=", ".join(parent.base[:12]),
                    url=parent.url,
                )
    own, others = node.get("expression"), set(bases) | _ABSTRACT
    if type(own) is str and _paths(own, others) != _paths(parent.expression, others):
        places = {"value": shown(own), "expected": shown(parent.expression), "url": parent.url}
        report(walk, "derived-expression", (where, "expression", None), **places)


def _paths(expression: str, bases: set[str]) -> set[str]:
    """Return what an expression selects of these types, each path without its type."""
    paths = ("".join(one.split()).strip("()") for one in expression.split("|"))
    steps = (path.partition(".") for path in paths)
    return {rest for name, _, rest in steps if name in bases}


def capability_statement(node: Json, where: Place, walk: Walk, checks: "Checks") -> None:
    """Report search parameters that are defined otherwise, and profiles of another type than the resource."""
    definitions = checks.definitions
    for index, rest in enumerate(many(node, "rest")):
        at = (where, "rest", index)
        for row, resource in enumerate(many(rest, "resource")):
            here = (at, "resource", row)
            _searched(resource, here, walk, definitions)
            _profiled(resource, here, walk, definitions)
        _searched(rest, at, walk, definitions)


def _searched(node: Json, where: Place, walk: Walk, definitions: Definitions) -> None:
    for index, one in enumerate(many(node, "searchParam")):
        stated = one.get("definition")
        known = definitions.search_parameter(stated.partition("|")[0]) if type(stated) is str else None
        if known is None:
            continue
        here = (where, "searchParam", index)
        if one.get("type") != known.type:
            report(walk, "stated-type", here, url=shown(stated), expected=known.type, found=shown(one.get("type")))
        if one.get("name") != known.code:
            report(walk, "stated-name", here, url=shown(stated), expected=known.code, found=shown(one.get("name")))


def _profiled(resource: Json, where: Place, walk: Walk, definitions: Definitions) -> None:
    kind = resource.get("type")
    stated: list[tuple[str, int | None, object]] = [("profile", None, resource.get("profile"))]
    stated += [("supportedProfile", index, url) for index, url in enumerate(many(resource, "supportedProfile"))]
    for name, index, url in stated:
        known = definitions.structure(url.partition("|")[0]) if type(url) is str and url.startswith(_HOME) else None
        if known is not None and known.get("type") != kind:
            places = {"url": shown(url), "found": shown(known.get("type")), "expected": shown(kind)}
            report(walk, "stated-profile", (where, name, index), **places)


def operation_definition(node: Json, where: Place, walk: Walk, checks: "Checks") -> None:
    """Report parameters that contradict themselves or one another."""
    if not any(node.get(level) for level in ("system", "type", "instance")):
        report(walk, "operation-nowhere", where)
    if (node.get("type") or node.get("instance")) and not inner(node, "resource"):
        report(walk, "operation-resource", where)
    if node.get("kind") == "query" and not node.get("type") and not node.get("system"):
        report(walk, "operation-query", where)
    for parameters, place in _levels(node, where):
        seen: set[tuple[object, object]] = set()
        for index, one in enumerate(parameters):
            here = (place, "part" if place is not where else "parameter", index)
            key = (one.get("name"), one.get("use"))
            if key in seen:
                report(walk, "parameter-repeated", here, value=shown(one.get("name")), use=shown(one.get("use")))
            seen.add(key)
            _range(one, here, walk)


def _levels(node: Json, where: Place) -> Iterator[tuple[list[Json], Place]]:
    yield many(node, "parameter"), where
    waiting = [(one, (where, "parameter", index)) for index, one in enumerate(many(node, "parameter"))]
    while waiting:
        one, place = waiting.pop()
        parts = many(one, "part")
        if parts:
            yield parts, place
            waiting += [(part, (place, "part", index)) for index, part in enumerate(parts)]


def _range(one: Json, where: Place, walk: Walk) -> None:
    least, most = one.get("min"), one.get("max")
    if type(most) is not str or most == "*":
        return
    if not most.isdecimal():
        report(walk, "parameter-max", (where, "max", None), value=shown(most))
    elif type(least) is int and least > int(most[:10]):
        report(walk, "parameter-range", where, min=least, max=shown(most))
