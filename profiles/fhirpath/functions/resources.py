"""What FHIR adds (R4 2.9.1.7): extensions, references, value sets, profiles, narrative; and the utilities (FHIRPath N1, 5.9)."""

from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from profiles.fhirpath.errors import FhirPathError, shown
from profiles.fhirpath.functions.row import EMPTY, Function, boolean, for_each, text
from profiles.fhirpath.moments import Moment
from profiles.fhirpath.references import resolved
from profiles.fhirpath.scope import Run, Scope, single
from profiles.fhirpath.steps import taken
from profiles.fhirpath.values import Item, Items, Node, outside, system, type_of
from profiles.issue import Issue
from profiles.validate import narrative
from profiles.validate.walk import Walk, place

STRUCTURE = "http://hl7.org/fhir/StructureDefinition/"


def _extensions(items: Items, scope: Scope, url: Items) -> Items:
    wanted = text(url, "The argument of extension()")
    found: Items = []
    for item in items:
        if type(item) is Node:
            holder = item.sibling if item.type.primitive else item.value
            if type(holder) is dict and "extension" in holder:
                found.extend(
                    one
                    for one in taken(item, "extension", scope)
                    if type(one) is Node and type(one.value) is dict and one.value.get("url") == wanted
                )
    scope.spend(len(items))
    return found


def _has_extension(items: Items, scope: Scope, url: Items) -> Items:
    return boolean(bool(_extensions(items, scope, url)))


def _has_value(items: Items, scope: Scope) -> Items:
    return boolean(len(items) == 1 and _value(items[0]) is not None)


def _get_value(items: Items, scope: Scope) -> Items:
    item = single(items, "getValue()")
    value = None if item is None else _value(item)
    return EMPTY if value is None else [value]


def _value(item: Item) -> Item | None:
    if type(item) is Node and not item.type.primitive:
        return None
    return system(item)


def _resolve(items: Items, scope: Scope) -> Items:
    found: Items = []
    for item in items:
        node = resolved(item, scope)
        if node is not None:
            found.append(node)
    scope.spend(len(items) * 5)
    return found


def _member_of(items: Items, scope: Scope, value_set: Items) -> Items:
    item, url = single(items, "memberOf()"), text(value_set, "The argument of memberOf()")
    if item is None or url is None:
        return EMPTY
    ask = scope.services.member_of
    answer = ask(outside(item), url) if ask is not None else None
    return boolean(_in_required(outside(item), url, scope) if answer is None else answer)


def _in_required(value: Any, url: str, scope: Scope) -> bool | None:
    """Return whether a code is in a value set that the definitions list; `None` where they do not."""
    known = scope.model.definitions.required_codes(url)
    if known is None:
        return None
    if isinstance(value, str):
        return value in known.codes
    codings = value.get("coding") if isinstance(value, dict) and "coding" in value else [value]
    if not isinstance(codings, list):
        return None
    return any(isinstance(one, dict) and (one.get("system"), one.get("code")) in known.pairs for one in codings)


def _conforms_to(items: Items, scope: Scope, profile: Items) -> Items:
    item, url = single(items, "conformsTo()"), text(profile, "The argument of conformsTo()")
    if item is None or url is None:
        return EMPTY
    ask = scope.services.conforms
    answer = ask(outside(item), url) if ask is not None else None
    if answer is None:
        name = url.partition("|")[0].removeprefix(STRUCTURE)
        if not url.startswith(STRUCTURE) or name not in scope.model.definitions.types:
            raise FhirPathError(
                "execution", f"The profile '{shown(url, 120)}' is not known, so conformsTo() has no answer."
            )
        answer = type(item) is Node and name in item.type.lineage
    return boolean(answer)


def _subsumes(items: Items, scope: Scope, other: Items) -> Items:
    one, two = single(items, "subsumes()"), single(other, "The argument of subsumes()")
    if one is None or two is None:
        return EMPTY
    first, second = outside(one), outside(two)
    answer = scope.services.subsumes(first, second) if scope.services.subsumes is not None else None
    return boolean(True if answer is None and _coded(first) == _coded(second) else answer)


def _subsumed_by(items: Items, scope: Scope, other: Items) -> Items:
    return _subsumes(other, scope, items)


def _coded(value: Any) -> Any:
    return (value.get("system"), value.get("code")) if isinstance(value, dict) else value


def _html_checks(items: Items, scope: Scope) -> Items:
    issues: list[Issue] = []
    for item in items:
        value = system(item)
        if isinstance(value, str):
            scope.spend(len(value) >> 4)
            narrative.check(value, place("div"), Walk({}, issues, []))
    return boolean(not issues)


def _check_modifiers(items: Items, scope: Scope, *urls: Items) -> Items:
    known = {text(url, "The argument of checkModifiers()") for url in urls}
    for item in items:
        if type(item) is Node:
            for one in taken(item, "modifierExtension", scope):
                url = one.value.get("url") if type(one) is Node and type(one.value) is dict else None
                if url not in known:
                    raise FhirPathError(
                        "execution", f"The modifier extension '{shown(url, 120)}' is not one that the expression knows."
                    )
    return items


def _trace(items: Items, scope: Scope, name: Run, projection: Run | None = None) -> Items:
    said = text(name(scope), "The name of trace()") or ""
    if scope.services.trace is not None:
        traced = items if projection is None else [one for found in for_each(items, scope, projection) for one in found]
        scope.services.trace(said, [outside(one) for one in traced])
    return items


def _clock(scope: Scope) -> datetime:
    """Return the moment of the evaluation: the same however often it is asked for."""
    now = scope.now = scope.now or scope.services.now or datetime.now(UTC)
    return now


def _zone(now: datetime) -> int:
    offset = now.utcoffset()
    return 0 if offset is None else int(offset.total_seconds() // 60)


def _second(now: datetime) -> Decimal:
    return Decimal(now.second * 1000 + now.microsecond // 1000).scaleb(-3)


def _now(items: Items, scope: Scope) -> Items:
    now = _clock(scope)
    return [Moment("DateTime", (now.year, now.month, now.day, now.hour, now.minute, _second(now)), _zone(now))]


def _today(items: Items, scope: Scope) -> Items:
    now = _clock(scope)
    return [Moment("Date", (now.year, now.month, now.day))]


def _time_of_day(items: Items, scope: Scope) -> Items:
    now = _clock(scope)
    return [Moment("Time", (now.hour, now.minute, _second(now)))]


def _type(items: Items, scope: Scope) -> Items:
    return [type_of(item) for item in items]


ROWS: Mapping[str, Function] = {
    "extension": Function(_extensions, 1, 1),
    "hasExtension": Function(_has_extension, 1, 1, gives="Boolean"),
    "hasValue": Function(_has_value, gives="Boolean"),
    "getValue": Function(_get_value),
    "resolve": Function(_resolve),
    "memberOf": Function(_member_of, 1, 1, gives="Boolean"),
    "conformsTo": Function(_conforms_to, 1, 1, gives="Boolean"),
    "subsumes": Function(_subsumes, 1, 1, gives="Boolean"),
    "subsumedBy": Function(_subsumed_by, 1, 1, gives="Boolean"),
    "htmlChecks": Function(_html_checks, gives="Boolean"),
    "checkModifiers": Function(_check_modifiers, 1, 99, gives="input"),
    "trace": Function(_trace, 1, 2, lazy=True, gives="input"),
    "now": Function(_now, gives="DateTime"),
    "today": Function(_today, gives="Date"),
    "timeOfDay": Function(_time_of_day, gives="Time"),
    "type": Function(_type),
}
