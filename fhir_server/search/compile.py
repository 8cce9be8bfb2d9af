"""Expressions and searches as MongoDB queries, stated as plain data (nothing here knows the database).

`compile` turns an expression into a filter over the stored document. Each parameter type states its own part
(`types.TYPES[…].predicate`); here they are joined, and what is not a parameter (compartment, custodian) is added.

`plan` turns one page of a search into a `Query`: search filter and access filter joined, a total order, the place where
the page starts as a condition on the sort keys (never a skip: a skip of 100,000 walks 100,000 keys), and the index to use.
The index is chosen by rule, not left to the planner, for the shapes that we know: a first plan costs 24 to 50 ms where a
hint costs 1 to 5, and a cached plan is used for the next constants however different their frequency. The rules, the first
that fits:

| the filter fixes | index |
|---|---|
| more than 200 values of `_id`, of `rf`, or of `p` times the primary code, sorted by time | the planner chooses |
| `_id` | `_id_` |
| `p`, with a date that intervals may reach over (`dl`) | the planner chooses, one for each part of the filter |
| `p` and the primary code | `patient_code_…` |
| `p` | `patient_…` |
| `rf` alone | `reference_…` |
| the type of something contained, and nothing else of it | `contained` |
| alternatives of `p`, `ps`, `rf`; a date that intervals may reach over (`dl`) | the planner chooses, one for each |
| the primary code, or that of a part, and few facilities, sorted by time | the planner chooses: it depends on how frequent the code is |
| the primary code, sorted by time | `code_…` |
| the code of a part, sorted by time | `part_…` |
| the custodian only, sorted by time | `facility_…`; above 200 facilities the index of the order |
| nothing, or only the first field of the order | the index of the order |
| anything else | the planner chooses |
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any, TypeGuard

from fhir_server.model.errors import Forbidden
from fhir_server.model.query import ANYTHING, NOTHING, Query, Where
from fhir_server.search.chosen import PART_CODES
from fhir_server.search.expression import (
    And,
    Anything,
    Belongs,
    Chain,
    Cleared,
    Concepts,
    Contains,
    Criterion,
    Disclosed,
    Expression,
    Guarded,
    Hierarchy,
    InCompartment,
    InText,
    Missing,
    Not,
    Nothing,
    OfPatients,
    Or,
    OwnedBy,
    ReverseChain,
    Withdrawn,
)
from fhir_server.search.layout import indexes
from fhir_server.search.page import Cursor
from fhir_server.search.params import Param, params
from fhir_server.search.parse import SearchRequest
from fhir_server.search.sort import Order, Step, order
from fhir_server.search.types import TYPES, date
from profiles.definitions.registry import Definitions

MOST_SCANS = 200
"""Ranges of an index that MongoDB merges in order (internalQueryMaxScansToExplode); more of them make a blocking sort."""

FEW_FACILITIES = 20
"""So many hold less than a frequent code has, and more than a rare one: which index is better depends on the code."""

UNORDERED = Order(())

ORDERS: Mapping[str, frozenset[str]] = {"date": frozenset({"d", "dh"}), "updated": frozenset({date.UPDATED})}
"""Fields whose bounds the index of an order narrows."""

SELECTING = frozenset({"p", "ps", "rf", "dl"})
"""Fields that select few documents even as one of several alternatives: the planner takes an index for each of them."""

GUARDING = frozenset({"f", "sl", "held", "gt", "va", "wd", "adv"})
"""Fields of access that most documents pass: they never decide on the index."""

MOST_BRANCHES = 8
MOST_PATIENTS = 150
"""Alternatives of access, and patients of them, that are looked for one by one; of more, what else is asked for selects."""


def compile(  # noqa: A001, C901, PLR0912 - what it does; one case for each node
    expression: Expression, resource_type: str, definitions: Definitions
) -> Where:
    """Return the filter of an expression over the documents of a type."""
    match expression:
        case Anything():
            return ANYTHING
        case Nothing():
            return NOTHING
        case And(items):
            dates = [item for item in items if _of_primary_date(item)]
            parts = [compile(item, resource_type, definitions) for item in items if not _of_primary_date(item)]
            return _all([*parts, *([Where("clause", date.joined(dates))] if dates else [])])
        case Or(items):
            return _any([compile(item, resource_type, definitions) for item in items])
        case Not(Missing(param)):
            return _present(param)
        case Not(item):
            return _none(compile(item, resource_type, definitions))
        case Missing(param):
            return _missing(param)
        case Criterion(param):
            return Where("clause", TYPES[param.type].predicate(expression))
        case InCompartment(patient):
            return Where("clause", _of_patient(patient, _index_names(resource_type, definitions)))
        case OwnedBy(facilities):
            return Where("clause", {"f": _one_of(facilities)}) if facilities else NOTHING
        case OfPatients(patients):
            return _of_patients(patients, _index_names(resource_type, definitions))
        case Cleared(labels):
            return Where("clause", {"sl": {"$not": {"$elemMatch": {"$nin": sorted(labels)}}}})
        case Disclosed(now, gates):
            gate = {"$in": [None, *sorted(gates)]} if gates else None
            return Where(
                "clause", {"held": {"$ne": True}, "adv": {"$ne": True}, "gt": gate, "va": {"$not": {"$gt": now}}}
            )
        case Withdrawn():
            return Where("clause", {"wd": True, "held": {"$ne": True}, "adv": {"$ne": True}})
        case Belongs(owner):
            return Where("clause", {"ow": owner})
        case Guarded(contexts, is_open):
            return _guarded(contexts, is_open=is_open)
        case Contains(contained_type, item):
            return _containing(contained_type, compile(item, contained_type, definitions))
        case Chain() | ReverseChain() | Hierarchy() | Concepts() | InText():
            raise Forbidden(
                "A grant that is restricted by other resources (a chain, _has, a hierarchy or a value set) cannot be applied to a search. "
                "Ask for one that is restricted by parameters of the type itself."
            )


def plan(
    request: SearchRequest,
    access: Where,
    cursor: Cursor | None,
    definitions: Definitions,
    *,
    inclusive: bool = False,
) -> Query:
    """Return the query for one page; it asks for one document more than the page holds, to know whether more follow.

    Args:
        request: The search.
        access: What the caller may see, compiled.
        cursor: The last entry of the page before, `None` for the first page.
        definitions: Parameters and layout of the type.
        inclusive: Whether the page begins with the entry of the cursor instead of after it.
    """
    resource_type = request.resource_type
    where = compile(request.expression, resource_type, definitions) & access
    known = params(resource_type, definitions)
    by = order(request.sort, known)
    steps = by.steps(cursor.values if cursor else None, inclusive=inclusive)
    hint = _hint(where, by, _codes(resource_type, definitions), _index_names(resource_type, definitions))

    def asked(step: Step, then: Query | None) -> Query:
        start = Where("clause", step.start) if step.start and not by.computed else ANYTHING
        return Query(
            resource_type=resource_type,
            where=where & start if hint else rooted(where & start),
            sort=by.sort,
            limit=request.count + 1,
            hint=hint,
            fields=by.fields,
            computed=by.computed,
            after=step.start if by.computed else {},
            then=then,
        )

    query = asked(steps[-1], None)
    for step in reversed(steps[:-1]):
        query = asked(step, query)
    return query


def selection(
    expression: Expression, resource_type: str, access: Where, definitions: Definitions
) -> tuple[Where, str | None]:
    """Return the filter of an expression joined with what the caller may see, and the index for it in no order."""
    where = compile(expression, resource_type, definitions) & access
    names = _index_names(resource_type, definitions)
    return where, _hint(where, UNORDERED, _codes(resource_type, definitions), names)


def code_index(param: Param, request: SearchRequest, access: Where, definitions: Definitions) -> str:
    """Return the index that leads from a code to the order of a search; empty where something else selects.

    Args:
        param: The primary code, or that of the parts.
        request: The search.
        access: What the caller may see, compiled.
        definitions: Parameters and layout of the type.
    """
    resource_type = request.resource_type
    names = _index_names(resource_type, definitions)
    when = "date" if "date" in names else "updated"
    by = order(request.sort, params(resource_type, definitions))
    index = f"{'code' if param.primary_code else 'part'}_{when}"
    if index not in names or by.index != when or by.computed:
        return ""
    where = compile(request.expression, resource_type, definitions) & access
    return "" if where.kind == "nothing" or {"_id", "p", "ps", "rf"} & {*_named(where.clause)} else index


def rooted(where: Where) -> Where:
    """Return the same filter with the alternatives of a reaching date at its root.

    There MongoDB looks for the best index of each by itself. Below a conjunction it tries them together, and judges by what
    the first ones find.
    """
    parts = list(_conjuncts(where.clause))
    reaching = [part for part in parts if "$or" in part and "dl" in _named(part)]
    if not reaching:
        reaching = [part for part in parts if "$or" in part and not SELECTING.isdisjoint(_deciding(part))]
    if len(reaching) != 1 or len(parts) == 1:
        return where
    branches = [*_branches(reaching[0])]
    others = [part for part in parts if part is not reaching[0]]
    patients = max((len(_values(part["p"])) for branch in branches for part in branch if _lists(part)), default=0)
    if len(branches) > MOST_BRANCHES or patients > MOST_PATIENTS:
        return where
    return Where("clause", {"$or": [{"$and": [*others, *branch]} for branch in branches]})


def _lists(part: Mapping[str, Any]) -> bool:
    """Return whether a condition is that the patient is one of some."""
    condition = part.get("p")
    return isinstance(condition, str) or (isinstance(condition, Mapping) and "$in" in condition)


def _branches(clause: Mapping[str, Any]) -> Iterator[list[Mapping[str, Any]]]:
    """Yield the alternatives of a condition, those within alternatives too, each as conditions that all must hold."""
    for branch in clause["$or"]:
        parts = list(_conjuncts(branch))
        inner = next((part for part in parts if "$or" in part), None)
        if inner is None:
            yield [branch]
        else:
            others = [part for part in parts if part is not inner]
            yield from ([*others, *each] for each in _branches(inner))


def _conjuncts(clause: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    for name, value in clause.items():
        if name == "$and":
            for part in value:
                yield from _conjuncts(part)
        else:
            yield {name: value}


@lru_cache(maxsize=1024)
def _codes(resource_type: str, definitions: Definitions) -> tuple[str, str]:
    """Return the fields of the primary code and of the code of parts, empty for a type without one."""
    known = params(resource_type, definitions)
    part = next(iter(PART_CODES.get(resource_type, ())), "")
    return next((param.field for param in known.values() if param.primary_code), ""), known[part].field if part else ""


def _of_primary_date(item: Expression) -> TypeGuard[Criterion]:
    return isinstance(item, Criterion) and item.param.primary_date


def _all(parts: list[Where]) -> Where:
    if NOTHING in parts:
        return NOTHING
    clauses = [part.clause for part in parts if part.kind == "clause"]
    merged: dict[str, Any] = {}
    for clause in clauses:
        if merged.keys() & clause.keys():
            return Where("clause", {"$and": clauses})
        merged |= clause
    return Where("clause", merged) if merged else ANYTHING


def _any(parts: list[Where]) -> Where:
    if ANYTHING in parts:
        return ANYTHING
    clauses = _together([part.clause for part in parts if part.kind == "clause"])
    if not clauses:
        return NOTHING
    if len(clauses) == 1:
        return Where("clause", clauses[0])
    if all("f" in clause for clause in clauses):
        # Said once for all of them, it can be looked up in the keys of an index, which alternatives cannot.
        kept = frozenset[str]().union(*(_values(clause["f"]) for clause in clauses))
        return Where("clause", {"f": _one_of(kept), "$or": clauses})
    return Where("clause", {"$or": clauses})


def _together(clauses: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Return the alternatives, with one for all types of which something contained must fulfil the same."""
    kept: list[Mapping[str, Any]] = []
    inside: list[tuple[dict[str, Any], list[str]]] = []
    for clause in clauses:
        if clause.keys() != {"c"}:
            kept.append(clause)
            continue
        rest = dict(clause["c"]["$elemMatch"])
        name = rest.pop("t")
        types = next((types for other, types in inside if other == rest), None)
        if types is None:
            inside.append((rest, [name]))
        else:
            types.append(name)
    return [*kept, *(_within(_one_of(frozenset(types)), rest) for rest, types in inside)]


def _none(part: Where) -> Where:
    return {"anything": NOTHING, "nothing": ANYTHING}.get(part.kind) or Where("clause", {"$nor": [part.clause]})


def _guarded(contexts: Sequence[str], *, is_open: bool) -> Where:
    named = Where("clause", {"r.securityContext.reference": {"$in": [*contexts]}}) if contexts else NOTHING
    return _any([named, *([Where("clause", {"r.securityContext": None})] if is_open else [])])


def _containing(resource_type: str, part: Where) -> Where:
    """Return the filter for what contains a resource of the type; a contained one has the form of a stored document."""
    return part if part.kind == "nothing" else Where("clause", _within(resource_type, part.clause))


def _within(types: Any, clause: Mapping[str, Any]) -> Mapping[str, Any]:
    return {"c": {"$elemMatch": {"t": types, **clause}}}


def _missing(param: Param) -> Where:
    if not param.field.startswith("s."):
        return NOTHING
    if param.primary_date:
        return Where("clause", {"d": None})
    if param.patient:
        return Where("clause", {"$or": [{"p": None, param.field: None}, {param.field: False}]})
    return Where("clause", {param.field: None})


def _present(param: Param) -> Where:
    if not param.field.startswith("s."):
        return ANYTHING
    if param.patient:
        return _none(_missing(param))
    return Where("clause", {"d" if param.primary_date else param.field: {"$exists": True}})


def _of_patient(patient: str, names: frozenset[str]) -> Mapping[str, Any]:
    """Return the filter for the record of a patient; types of which nothing has several patients have no index for them."""
    several = names & {"patients_date", "patients_updated"}
    return {"$or": [{"p": patient}, {"ps": patient}]} if several else {"p": patient}


def _of_patients(patients: frozenset[str], names: frozenset[str]) -> Where:
    """Return the filter for the records of several patients."""
    if not patients:
        return NOTHING
    one = _one_of(patients)
    several = names & {"patients_date", "patients_updated"}
    return Where("clause", {"$or": [{"p": one}, {"ps": one}]} if several else {"p": one})


def _values(condition: Any) -> frozenset[str]:
    return frozenset({condition} if isinstance(condition, str) else condition["$in"])


def _one_of(texts: frozenset[str]) -> Any:
    return {"$in": sorted(texts)} if len(texts) > 1 else next(iter(texts))


@lru_cache(maxsize=1024)
def _index_names(resource_type: str, definitions: Definitions) -> frozenset[str]:
    return frozenset({"_id_", *(spec.name for spec in indexes(resource_type, definitions))})


def _hint(  # noqa: C901 - one case for each rule
    where: Where, by: Order, codes: tuple[str, str], names: frozenset[str]
) -> str | None:
    """Return the index that the rules of this module's table name, `None` where none does."""
    code, part = codes
    fixed = dict(_fixed(where.clause))
    others = set(_deciding(where.clause)) - GUARDING
    when = "date" if "date" in names else "updated"
    by_time = by.index == when
    choice = ""
    if by_time and _scans(fixed, code) > MOST_SCANS:
        # To sort what many values select, or to walk the order until a page is full: that depends on how many match.
        return None
    if "_id" in fixed:
        return "_id_"
    if "p" in fixed and "dl" in others:
        return None
    if "p" in fixed:
        choice = f"patient_code_{when}" if code in fixed else f"patient_{when}"
    elif "rf" in fixed:
        choice = "" if code in fixed else f"reference_{when}"
    elif "c" in fixed:
        choice = "contained"
    elif others & SELECTING:
        return None
    elif by_time and (code in fixed or part in fixed):
        of = "code" if code in fixed else "part"
        choice = "" if 0 < fixed.get("f", 0) <= FEW_FACILITIES else f"{of}_{when}"
    elif not others:
        few = 0 < fixed.get("f", 0) <= MOST_SCANS
        choice = f"facility_{when}" if few and by_time else by.index
    elif others <= ORDERS.get(by.index, frozenset()):
        choice = by.index
    return choice if choice in names else None


def _scans(fixed: Mapping[str, int], code: str) -> int:
    """Return how many ranges of the index that the first of these fields leads would have to be merged."""
    if "p" in fixed:
        return fixed["p"] * fixed.get(code, 1)
    return next((fixed[name] for name in ("_id", "rf") if name in fixed), 1)


def _fixed(clause: Mapping[str, Any]) -> Iterator[tuple[str, int]]:
    """Yield (field, number of values) of the fields that every match has one of these values in."""
    for name, value in clause.items():
        if name == "$and":
            for part in value:
                yield from _fixed(part)
        elif isinstance(value, str):
            yield name, 1
        elif isinstance(value, Mapping) and "$in" in value and None not in value["$in"]:
            yield name, len(value["$in"])
        elif name == "c" and value["$elemMatch"].keys() == {"t"}:
            # Where it says more, it depends on how many match: that is for the planner.
            types = value["$elemMatch"]["t"]
            yield name, 1 if isinstance(types, str) else len(types["$in"])


def _deciding(clause: Mapping[str, Any]) -> Iterator[str]:
    """Yield the fields that may decide on the index; alternatives that all name the custodian only filter what it selects."""
    for name, value in clause.items():
        if name == "$or" and "f" in clause and all("f" in part for part in value):
            continue
        if name in {"$and", "$or", "$nor"}:
            for part in value:
                yield from _deciding(part)
        else:
            yield name


def _named(clause: Mapping[str, Any]) -> Iterator[str]:
    for name, value in clause.items():
        if name in {"$and", "$or", "$nor"}:
            for part in value:
                yield from _named(part)
        else:
            yield name
