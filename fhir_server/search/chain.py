"""Chains, reverse chains and hierarchies: what other resources are asked, and what their answers mean (R4 3.1.1.4.13).

Here is only what to ask, as data; the repository asks, from the inside of a chain outwards, with the caller's filter joined
to every step, so that a chain never tells of what a search would not show. An answer is a criterion on the ids that were
found: it uses the same indexes as if the client had written them.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fhir_server.model.query import Distinct, Query, Where
from fhir_server.model.reference import local
from fhir_server.search.compile import selection
from fhir_server.search.expression import (
    And,
    Chain,
    Concepts,
    Criterion,
    Expression,
    Hierarchy,
    InText,
    Not,
    Nothing,
    Or,
    ReverseChain,
    all_of,
)
from fhir_server.search.match import entries
from fhir_server.search.params import Param, params
from fhir_server.search.types.conditions import Condition, Is
from profiles.definitions.registry import Definitions


def is_open(expression: Expression) -> bool:
    """Return whether it speaks of other resources, so that it must be resolved before it is compiled."""
    match expression:
        case Chain() | ReverseChain() | Hierarchy() | Concepts() | InText():
            return True
        case And(items) | Or(items):
            return any(map(is_open, items))
        case Not(item):
            return is_open(item)
    return False


def barred(expression: Expression, may: Callable[[str], bool]) -> tuple[str, ...]:
    """Return types of which one would have to be searched for the chains of a search, but none may be; empty where all is well.

    Args:
        expression: What is searched.
        may: Whether a type may be searched.
    """
    match expression:
        case And(items) | Or(items):
            return next((found for item in items if (found := barred(item, may))), ())
        case Not(item):
            return barred(item, may)
        case Chain(_, targets):
            inner = [barred(item, may) for name, item in targets if may(name)]
            return next((() for found in inner if not found), inner[0]) if inner else tuple(name for name, _ in targets)
        case ReverseChain(param, _, item):
            return barred(item, may) if may(param.resource_type) else (param.resource_type,)
        case Hierarchy(_, roots):
            types = tuple(grouped(roots))
            return () if any(map(may, types)) else types
    return ()


def merged(items: Iterable[Expression]) -> list[Expression]:
    """Return the criteria of a conjunction, with chains through the same reference made one where it occurs only once.

    A single reference leads to one resource, which must fulfil both: so `subject.gender=female&subject.family=x` asks for
    the women of that name, not for all women first.
    """
    kept: list[Expression] = []
    single: dict[str, int] = {}
    for item in items:
        if not isinstance(item, Chain) or item.param.array:
            kept.append(item)
        elif item.param.code in single:
            place = single[item.param.code]
            other = dict(kept[place].targets)  # type: ignore[union-attr]  # the chain that was put there
            both = [(name, all_of([other[name], inner])) for name, inner in item.targets if name in other]
            kept[place] = Chain(item.param, tuple(both))
        else:
            single[item.param.code] = len(kept)
            kept.append(item)
    return kept


def narrowed(item: Expression, others: Iterable[Expression]) -> Expression:
    """Return a reverse chain that asks only for referrers of those resources that another criterion names by id."""
    if not isinstance(item, ReverseChain):
        return item
    for other in others:
        if isinstance(other, Criterion) and other.param.field == "_id":
            named = [value.text for value in other.values if isinstance(value, Is)]
            return ReverseChain(item.param, item.target_type, all_of([item.item, _referring(item, named)]))
    return item


def instances(resource_type: str, instance_ids: Iterable[str], definitions: Definitions) -> Expression:
    """Return the criterion "it is one of these instances"."""
    wanted = tuple(Is(instance) for instance in instance_ids)
    return Criterion(params(resource_type, definitions)["_id"], wanted) if wanted else Nothing()


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a chain: some resources of one type, and a reference parameter that leads to them or from them.

    Attributes:
        link: The reference parameter.
        target: The type that it leads to.
        inner: What the resources must fulfil that are asked for, resolved.
        access: What the caller may see of their type.
        most: How many answers are of use.
    """

    link: Param
    target: str
    inner: Expression
    access: Where
    most: int


def fulfilling(step: Step, definitions: Definitions) -> Query:
    """Return the query for the resources that a reference leads to; `leading` reads its rows."""
    where, hint = selection(step.inner, step.target, step.access, definitions)
    return Query(step.target, where, (), step.most, hint, ("s",) if "canonical" in step.link.value_types else ())


def leading(step: Step, rows: Iterable[Mapping[str, Any]], definitions: Definitions) -> list[Condition]:
    """Return the conditions that a reference to one of the rows fulfils."""
    known = params(step.target, definitions)
    found: list[Condition] = []
    for row in rows:
        found.append(Is(f"{step.target}/{row['_id']}"))
        if "canonical" not in step.link.value_types or "url" not in known:
            continue
        versions = entries(known["version"], row) if "version" in known else []
        for url in entries(known["url"], row):
            found += [Is(url), *(Is(f"{url}|{version}") for version in versions)]
    return found


def referred(step: Step, definitions: Definitions) -> Sequence[Distinct]:
    """Return the queries for what the references of some resources lead to; their answers together are ids or `Type/id`."""
    link, own = step.link, step.link.resource_type
    where, hint = selection(step.inner, own, step.access, definitions)
    prefix = f"{step.target}/"
    if not link.patient or step.target != "Patient":
        return (Distinct(own, where, link.field, prefix, step.most, hint),)
    # The parameter is stored only where it says something else than `p` does (see `params`).
    plain, stored = (Where("clause", {link.field: clause}) for clause in (None, {"$exists": True}))
    return (
        Distinct(own, where & plain, "p", "", step.most, hint),
        Distinct(own, where & stored, link.field, prefix, step.most, hint),
    )


def compartments(step: Step, definitions: Definitions) -> Distinct | None:
    """Return the query for the patients whose compartment some resources are in, which an index may answer alone.

    They are what the references lead to, but for the resources of `apart`. `None` where the link has nothing to do with it.
    """
    if not step.link.patient or step.target != "Patient":
        return None
    where, hint = selection(step.inner, step.link.resource_type, step.access, definitions)
    return Distinct(step.link.resource_type, where, "p", "", step.most, hint)


def apart(step: Step, most: int, definitions: Definitions) -> Query:
    """Return the query for those of the resources whose reference says something else than `p` does (see `params`)."""
    where, _ = selection(step.inner, step.link.resource_type, step.access, definitions)
    stored = Where("clause", {step.link.field: {"$exists": True}})
    return Query(step.link.resource_type, where & stored, (), most, None, ("p", "s"))


def confirmed(step: Step, patients: Iterable[str], definitions: Definitions) -> Distinct:
    """Return the query for those of the patients to which a reference that is not apart leads."""
    plain = Where("clause", {"p": {"$in": list(patients)}, step.link.field: None})
    own = step.link.resource_type
    where, hint = selection(step.inner, own, step.access & plain, definitions)
    return Distinct(own, where, "p", "", step.most, hint)


def stated(step: Step, rows: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return what the references of the rows of `apart` lead to: `Type/id` of the target type."""
    return [text for row in rows for text in entries(step.link, row) if text.startswith(f"{step.target}/")]


def ids(target: str, texts: Iterable[str]) -> list[str]:
    """Return the distinct ids among the answers to `referred`."""
    return list(dict.fromkeys(text.removeprefix(f"{target}/") for text in texts))


def from_outside(item: Chain | ReverseChain, found: Iterable[str], definitions: Definitions) -> Expression:
    """Return a chain that asks only for what the rest of the search leaves.

    Args:
        item: The chain.
        found: Of a chain the `Type/id` that its references lead to; of a reverse chain the ids of what is searched.
        definitions: Parameters of all types.
    """
    if isinstance(item, ReverseChain):
        return ReverseChain(item.param, item.target_type, all_of([item.item, _referring(item, found)]))
    by_type: dict[str, list[str]] = {}
    for text in found:
        name, _, instance = text.partition("/")
        by_type.setdefault(name, []).append(instance)
    targets = [
        (name, all_of([instances(name, by_type.get(name, ()), definitions), inner])) for name, inner in item.targets
    ]
    return Chain(item.param, tuple(targets))


def parts(link: Param, wholes: Iterable[str], access: Where, most: int, definitions: Definitions) -> Query:
    """Return the query for the direct parts of some instances of a type (ids)."""
    criterion = Criterion(link, tuple(Is(f"{link.resource_type}/{one}") for one in wholes))
    where, hint = selection(criterion, link.resource_type, access, definitions)
    return Query(link.resource_type, where, (), most, hint)


def wholes(link: Param, instance_ids: Iterable[str], access: Where, most: int, definitions: Definitions) -> Distinct:
    """Return the query for what some instances of a type are directly part of (`Type/id`)."""
    own = link.resource_type
    where, hint = selection(instances(own, instance_ids, definitions), own, access, definitions)
    return Distinct(own, where, link.field, f"{own}/", most, hint)


def _referring(item: ReverseChain, instance_ids: Iterable[str]) -> Expression:
    wanted = tuple(Is(f"{item.target_type}/{instance}") for instance in instance_ids)
    return Criterion(item.param, wanted) if wanted else Nothing()


def grouped(roots: Iterable[str]) -> dict[str, list[str]]:
    """Return ids by type of some `Type/id`."""
    found: dict[str, list[str]] = {}
    for text in roots:
        instance = local(text)
        if instance:
            found.setdefault(instance.resource_type, []).append(instance.id)
    return found
