"""What the rows of the trail answer to each search parameter of AuditEvent: a table, one line for each.

What follows from the kind of a row (type, subtype, roles) is looked up in the vocabulary: the criterion is tried on every kind
there is, and becomes a filter for those that fulfil it. What rows do not hold and nobody could find (names) is refused, never
passed over.

The ids of rows are ordered by time, and every index ends with them; so a bound in time is one on the ids, too, as far as the
clock of a process may differ from that of the database.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import timedelta
from types import MappingProxyType
from typing import Any

from fhir_server.audit.codes import (
    ALERT,
    DENIED,
    ENTITY_ROLE,
    ENTITY_TYPE,
    GRANT_URN,
    OWN_SUBTYPE,
    POLICY_URN,
    REST,
    SHAPES,
    Coded,
    shape,
    subtypes_of,
)
from fhir_server.audit.render import Observer
from fhir_server.audit.where import Clause, all_of, any_of, clause, earliest_id, none_of, of_patients, union
from fhir_server.model.errors import InvalidParameter
from fhir_server.model.query import ANYTHING, NOTHING, Where
from fhir_server.search.types import conditions, ranges
from fhir_server.search.types.conditions import Condition, Is, Like, Starts
from fhir_server.search.types.string import entry as folded
from fhir_server.search.types.token import pair

OPERATIONS: Clause = {"k": {"$regex": r"^\$"}}
OPERATION = "$"
SLACK = timedelta(minutes=10)
"""By how much the clock of a process may differ from that of the database."""

PATIENT = "Patient/"
LOGICAL = "#"
ASKING = frozenset({"Query", "IHE.IUA.71"})
"""Profiles whose events always say what was asked."""


Answer = Callable[[Sequence[Any], Observer], Where]


def _by_id(values: Sequence[Condition], observer: Observer) -> Where:
    return clause(conditions.predicate("_id", values, array=False))


_WITHIN: Mapping[str, str] = {"$gte": "low", "$lte": "high"}

MOMENTS: Mapping[str, Sequence[Mapping[str, str]]] = MappingProxyType(
    {
        "eq": (_WITHIN,),
        "ap": (_WITHIN,),
        "ne": ({"$lt": "low"}, {"$gt": "high"}),
        "gt": ({"$gt": "high"},),
        "sa": ({"$gt": "high"},),
        "ge": ({"$gte": "low"},),
        "lt": ({"$lt": "low"},),
        "eb": ({"$lt": "low"},),
        "le": ({"$lte": "high"},),
        "co": ({"$gte": "high", "$lte": "low"},),
    }
)
"""What each prefix, and `co` of a filter, asks of one moment: alternatives, each of bounds by an end of the search value."""


def _by_time(values: Sequence[ranges.Within], observer: Observer) -> Where:
    """Return the filter for the moment of a row."""
    clauses: list[Clause] = []
    for value in values:
        for comparisons in MOMENTS[value.prefix]:
            bounds = {comparison: getattr(value, side) for comparison, side in comparisons.items()}
            clauses.append({"t": bounds, "_id": _ids(bounds)} if _ids(bounds) else {"t": bounds})
    return clause(union(clauses))


def _ids(bounds: Clause) -> dict[str, str]:
    """Return the bounds of ids that follow from those of a time."""
    found: dict[str, str] = {}
    for comparison, moment in bounds.items():
        try:
            if comparison in {"$gt", "$gte"}:
                found["$gte"] = earliest_id(moment - SLACK)
            else:
                found["$lt"] = earliest_id(moment + SLACK)
        except OverflowError:
            continue
    return found


def _by_patient(values: Sequence[Condition], observer: Observer) -> Where:
    if not all(isinstance(value, Is) and not value.text.startswith(LOGICAL) for value in values):
        raise _refused("patient:identifier", "the id of the patient: the trail holds no identifiers")
    return _of_patient_texts(values)


def _by_agent(values: Sequence[Condition], observer: Observer) -> Where:
    """Return the filter for who took part: the role that a person works in, the facility, ids of people and apps."""
    found: list[Where] = []
    for value in values:
        match value:
            case Is(text) if text.startswith(LOGICAL):
                found.append(_identified(text[1:], observer))
            case Is(text):
                kind, _, one = text.partition("/")
                found.append(clause({"w": text}))
                found += [clause({"f": one})] if kind == "Organization" else []
            case Starts(text) if text.startswith(LOGICAL):
                code = _plain(text[1:].removesuffix("|"))
                own = [ANYTHING] if code == observer.base else []
                found += [*own, clause({"u": code}), clause({"c": code})]
            case _:
                raise _refused("agent:identifier", "the identifier itself: value, or system|value")
    return any_of(found)


def _identified(text: str, observer: Observer) -> Where:
    """Return the filter for an agent by `value|system`."""
    if text == pair(observer.base, "urn:ietf:rfc:3986"):
        return ANYTHING
    code, _, system = text.rpartition("|")
    if system == observer.issuer:
        return clause({"u": _plain(code)})
    return clause({"c": _plain(code)}) if not system else NOTHING


def _by_entity(values: Sequence[Condition], observer: Observer) -> Where:
    """Return the filter for what was touched: any version of these instances; and whose record it is."""
    found: list[Where] = [_of_patient_texts(values)]
    for value in values:
        match value:
            case Is(text) if text.startswith(LOGICAL):
                code, _, system = text[1:].rpartition("|")
                found.append(clause({"rq": _plain(code)}) if not system else NOTHING)
            case Is(text):
                found.append(clause({"$or": [{"e": text}, {"e": conditions_of_versions(text)}]}))
                found += [clause({"x.consent": text})] if text.startswith("Consent/") else []
            case Starts(text) if text.startswith(LOGICAL):
                found.append(clause({"rq": _plain(text[1:].removesuffix("|"))}))
            case _:
                raise _refused("entity:identifier", "the X-Request-Id itself")
    return any_of(found)


def conditions_of_versions(text: str) -> Clause:
    """Return the range of the references to versions of an instance, which one entry must lie in."""
    start = f"{text}/_history/"
    return {"$elemMatch": {"$gte": start, "$lt": conditions.successor(start)}}


def _by_policy(values: Sequence[Condition], observer: Observer) -> Where:
    found: list[Where] = []
    for value in values:
        match value:
            case Is(text):
                found += [
                    clause({name: text.removeprefix(urn)})
                    for name, urn in (("g", GRANT_URN), ("pol", POLICY_URN))
                    if text.startswith(urn)
                ]
            case _:
                raise _refused("policy", "the whole URI, such as urn:aquifer:grant:…, without a modifier")
    return any_of(found)


_PLACED: Clause = {"k": {"$nin": [name for name, one in SHAPES.items() if one.profile == "AuthZconsent"]}}
"""The rows whose event says where this server is."""


def _by_address(values: Sequence[Condition], observer: Observer) -> Where:
    """Return the filter for network addresses, whose letters are all small; that of this server is part of every event."""
    own = [clause(_PLACED)] if conditions.matches(values, [folded(observer.host)]) else []
    return any_of([*own, clause(conditions.predicate("ip", values, array=False))])


def _by_source(values: Sequence[Condition], observer: Observer) -> Where:
    own = LOGICAL + pair(observer.base, "urn:ietf:rfc:3986")
    return ANYTHING if conditions.matches(values, [own]) else NOTHING


def _by_site(values: Sequence[Condition], observer: Observer) -> Where:
    return ANYTHING if conditions.matches(values, [observer.host]) else NOTHING


def _by_type(values: Sequence[Condition], observer: Observer) -> Where:
    """Return the filter for types: of an interaction that was refused it is another one than its kind says."""
    rest, alert = (conditions.matches(values, [_entry(code)]) for code in (REST, ALERT))
    others = [
        name for name, one in SHAPES.items() if one.type != REST and conditions.matches(values, [_entry(one.type)])
    ]
    interactions = _is_rest()
    found: list[Where] = [clause({"k": {"$in": others}})] if others else []
    if rest:
        found.append(all_of([interactions, clause({"st": {"$nin": [*DENIED]}})]))
    if alert:
        found.append(all_of([interactions, clause({"st": {"$in": [*DENIED]}})]))
        found.append(none_of(any_of([clause({"k": {"$in": [*SHAPES]}}), clause(OPERATIONS)])))
    return any_of(found)


def _is_rest() -> Where:
    return any_of(
        [clause({"k": {"$in": [name for name, one in SHAPES.items() if one.type == REST]}}), clause(OPERATIONS)]
    )


def _by_subtype(values: Sequence[Condition], observer: Observer) -> Where:
    kinds = [name for name in SHAPES if conditions.matches(values, [_entry(one) for one in subtypes_of(name)])]
    found: list[Where] = [clause({"k": {"$in": kinds}})] if kinds else []
    if conditions.matches(values, [_entry(shape(OPERATION).subtype)]):
        found.append(clause(OPERATIONS))
    if any(
        isinstance(value, Like) and conditions.matches([value], [_entry((OWN_SUBTYPE, OPERATION))]) for value in values
    ):
        found.append(clause({"k": {"$nin": [*SHAPES]}}))
    for value in values:  # kinds that the vocabulary does not list, and operations, by their own names
        match value:
            case Is(text) | Starts(text):
                code, _, system = text.rpartition("|")
                if system in {"", OWN_SUBTYPE} and code:
                    found.append(clause({"k": _plain(code)}))
    return any_of(found)


def _by_action(values: Sequence[Condition], observer: Observer) -> Where:
    kinds = [name for name, one in SHAPES.items() if one.action and conditions.matches(values, [one.action])]
    fixed = [name for name, one in SHAPES.items() if one.action]
    stated = all_of([clause({"k": {"$nin": fixed}}), clause(conditions.predicate("a", values, array=False))])
    return any_of([*([clause({"k": {"$in": kinds}})] if kinds else []), stated])


def _by_outcome(values: Sequence[Condition], observer: Observer) -> Where:
    return clause(conditions.predicate("oc", values, array=False))


_EXISTS = {"$exists": True}
_PATIENT: Clause = {"$or": [{"p": _EXISTS}, {"ps": _EXISTS}]}
_ASKED: Clause = {
    "$or": [{"q": _EXISTS}, {"k": {"$in": [name for name, one in SHAPES.items() if one.profile in ASKING]}}]
}
_WHAT: Clause = {"$or": [{name: _EXISTS} for name in ("e", "p", "ps", "rq", "x.consent")]}

PARTS: Mapping[Coded, Where] = MappingProxyType(
    {
        (ENTITY_TYPE, "1"): clause(_PATIENT),
        (ENTITY_TYPE, "2"): clause({"$or": [{"e": _EXISTS}, _ASKED]}),
        (ENTITY_ROLE, "1"): clause(_PATIENT),
        (ENTITY_ROLE, "4"): clause({"e": _EXISTS}),
        (ENTITY_ROLE, "24"): clause(_ASKED),
    }
)
"""The rows whose event has an entity of a kind."""


def _by_part(values: Sequence[Condition], observer: Observer) -> Where:
    return any_of([where for code, where in PARTS.items() if conditions.matches(values, [_entry(code)])])


def _by_profile(values: Sequence[Condition], observer: Observer) -> Where:
    raise _refused("_profile", "type, subtype and action instead, which say the same")


def _by_name(values: Sequence[Any], observer: Observer) -> Where:
    raise InvalidParameter(
        "The audit trail holds no names, so it is not searched by them. Search by agent, with the id of the Practitioner, "
        "PractitionerRole or Organization.",
        expression="http.agent-name",
    )


def _by_nothing(values: Sequence[Any], observer: Observer) -> Where:
    """Return nothing: no event of this server has such an element."""
    return NOTHING


ANSWERS: Mapping[str, Answer] = MappingProxyType(
    {
        "_id": _by_id,
        "_lastUpdated": _by_time,
        "_profile": _by_profile,
        "_security": _by_nothing,
        "_source": _by_nothing,
        "_tag": _by_nothing,
        "action": _by_action,
        "address": _by_address,
        "agent": _by_agent,
        "agent-name": _by_name,
        "agent-role": _by_nothing,
        "altid": _by_nothing,
        "date": _by_time,
        "entity": _by_entity,
        "entity-name": _by_nothing,
        "entity-role": _by_part,
        "entity-type": _by_part,
        "outcome": _by_outcome,
        "patient": _by_patient,
        "policy": _by_policy,
        "site": _by_site,
        "source": _by_source,
        "subtype": _by_subtype,
        "type": _by_type,
    }
)
"""What answers each search parameter of AuditEvent."""

PRESENT: Mapping[str, Where] = MappingProxyType(
    {
        **dict.fromkeys(ANSWERS, ANYTHING),
        **dict.fromkeys((name for name, answer in ANSWERS.items() if answer is _by_nothing), NOTHING),
        "entity": clause(_WHAT),
        "patient": PARTS[ENTITY_TYPE, "1"],
        "policy": clause({"$or": [{"g": _EXISTS}, {"pol": _EXISTS}]}),
    }
)
"""The rows that have a value for a parameter."""


def answer_of(code: str) -> Answer:
    """Return what answers a search parameter.

    Raises:
        InvalidParameter: Rows cannot answer it.
    """
    if code not in ANSWERS:
        raise InvalidParameter(
            f"The audit trail cannot be searched by '{code}'. It can by {', '.join(sorted(ANSWERS))}.",
            expression=f"http.{code.partition(':')[0]}",
        )
    return ANSWERS[code]


def present(code: str) -> Where:
    """Return the filter for the rows that have a value for a search parameter.

    Raises:
        InvalidParameter: Rows cannot tell.
    """
    if ANSWERS.get(code) in {_by_name, _by_profile}:
        return answer_of(code)((), Observer("", ""))
    return PRESENT.get(code, NOTHING)


def _of_patient_texts(values: Iterable[Condition]) -> Where:
    texts = [
        value.text.removeprefix(PATIENT) for value in values if isinstance(value, Is) and value.text.startswith(PATIENT)
    ]
    return clause(of_patients(texts)) if texts else NOTHING


def _entry(code: Coded) -> str:
    return pair(code[1], code[0])


def _plain(code: str) -> str:
    return code.replace("\\|", "|").replace("\\\\", "\\")


def _refused(name: str, text: str) -> InvalidParameter:
    return InvalidParameter(
        f"The audit trail is not searched by {name} in this form. Use {text}.",
        expression=f"http.{name.partition(':')[0]}",
    )
