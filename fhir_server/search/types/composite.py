"""Composite parameters: values that stand together in one element (R4 3.1.1.4.13).

A query value is one value for each component, with `$` between them; each is read, stored and compared as its own type
does. A stored entry is `{a: […], b: […]}`: the entries of each component of one element, so that the code of one component
never meets the value of another. The criterion also names the parameter of a code or a reference among the components, which
selects at least the same resources and has an index.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from fhir_server.model.errors import InvalidParameter
from fhir_server.search.escapes import shown, split
from fhir_server.search.expression import Criterion, Expression, Nothing, all_of, any_of
from fhir_server.search.params import Component, Param
from fhir_server.search.reading import PLAIN, Reading
from fhir_server.search.types import conditions, date, number, quantity, reference, string, token, uri
from fhir_server.search.types.search_type import SearchType

MODIFIERS: frozenset[str] = frozenset()
EXAMPLE = "the values of its parts with $ between them"
SEPARATOR = "$"

KINDS: Mapping[str, SearchType] = {
    "date": date,
    "number": number,
    "quantity": quantity,
    "reference": reference,
    "string": string,
    "token": token,
    "uri": uri,
}
"""Types that a component can have."""

NARROWING = frozenset({"reference", "token"})
"""Types of which the component's own parameter is asked for as well, because an index may hold it."""


def entries(values: Sequence[tuple[str, Any]], param: Param, reading: Reading = PLAIN) -> list[dict[str, Any]]:
    """Return one entry for each element that has something to search for every component.

    Args:
        values: FHIR type of each element, with the (FHIR type, JSON value) pairs of each component by its key.
        param: The parameter.
        reading: How values are read.
    """
    found: list[dict[str, Any]] = []
    for _, pairs in values:
        entry = {
            part.field: KINDS[part.type].entries(pairs[part.field], part, reading)
            for part in (component.param for component in param.components)
        }
        if all(entry.values()) and entry not in found:
            found.append(entry)
    return found


def parse(param: Param, modifier: str, texts: Sequence[str], reading: Reading = PLAIN) -> Expression:
    """Return the criterion "an element has all components of one of these"; of a joined parameter the conjunction.

    Raises:
        InvalidParameter: A text has not as many parts as there are components, or one of them is not valid.
    """
    alternatives = [_parts(param, text, reading) for text in texts]
    found = [parts for parts in alternatives if not any(isinstance(part, Nothing) for part in parts)]
    if not param.joined:
        return Criterion(param, tuple(found)) if found else Nothing()
    if len(found) == 1:
        return all_of(found[0])
    narrowing = _narrowing(param, found) if found else ()
    return all_of([*narrowing, any_of(all_of(parts) for parts in found)])


def predicate(criterion: Criterion) -> dict[str, Any]:
    """Return the filter over stored documents."""
    param, found = criterion.param, criterion.values
    alternatives = [_joined([_within(part) for part in parts]) for parts in found]
    together = alternatives[0] if len(alternatives) == 1 else {"$or": alternatives}
    narrowing = [KINDS[part.param.type].predicate(part) for part in _narrowing(param, found)]
    return _joined([*narrowing, {param.field: {"$elemMatch": together}}])


def matches(criterion: Criterion, entries: Sequence[dict[str, Any]]) -> bool:
    """Return whether an entry fulfils the criterion."""
    return any(
        all(KINDS[part.param.type].matches(part, entry[part.param.field]) for part in parts)
        for parts in criterion.values
        for entry in entries
    )


def _parts(param: Param, text: str, reading: Reading) -> tuple[Any, ...]:
    """Return the criterion on each component, `Nothing` where none can hold."""
    texts = split(text, SEPARATOR)
    components = param.components
    if len(texts) != len(components) or not all(texts):
        form = SEPARATOR.join(f"[{component.code}]" for component in components)
        raise InvalidParameter(
            f"'{shown(text)}' is not a valid value of the composite parameter '{param.code}'. Write {form}: one value for each "
            "part, with a dollar sign between them; a dollar sign inside of a value is written \\$.",
            expression=f"http.{param.code}",
        )
    return tuple(_part(param, component, one, reading) for component, one in zip(components, texts, strict=True))


def _part(param: Param, component: Component, text: str, reading: Reading) -> Expression:
    asked = component.own if param.joined and component.own else component.param
    try:
        return KINDS[asked.type].parse(asked, "", [text], reading)
    except InvalidParameter as error:
        raise InvalidParameter(f"In '{param.code}': {error}", expression=f"http.{param.code}") from None


def _narrowing(param: Param, found: Sequence[tuple[Criterion, ...]]) -> list[Criterion]:
    """Return the criteria "the own parameter of a component has one of the values that any alternative asks for"."""
    return [
        Criterion(own, tuple(dict.fromkeys(value for parts in found for value in parts[place].values)))
        for place, own in enumerate(component.own for component in param.components)
        if own is not None and own.type in NARROWING
    ]


def _within(part: Criterion) -> dict[str, Any]:
    """Return the filter over an entry; references are compared there, not looked up in `rf`."""
    if part.param.type == "reference":
        return conditions.predicate(part.param.field, part.values, array=True)
    return KINDS[part.param.type].predicate(part)


def _joined(clauses: Sequence[dict[str, Any]]) -> dict[str, Any]:
    merged: dict[str, Any] = {}
    for clause in clauses:
        if merged.keys() & clause.keys():
            return {"$and": list(clauses)}
        merged |= clause
    return merged
