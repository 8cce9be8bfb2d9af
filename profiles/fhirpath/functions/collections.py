"""Existence, filtering, subsets, combinations, the tree (FHIRPath N1, 5.1 to 5.4 and 5.8), aggregates and sorting."""

from collections.abc import Hashable, Mapping
from functools import cmp_to_key

from profiles.fhirpath.arithmetic import computed
from profiles.fhirpath.equality import before, distinct, key
from profiles.fhirpath.errors import FhirPathError
from profiles.fhirpath.functions.row import EMPTY, FALSE, TRUE, Function, boolean, for_each, truth, whole
from profiles.fhirpath.scope import Run, Scope, single
from profiles.fhirpath.steps import children
from profiles.fhirpath.values import Item, Items, Node, system, type_of


def _where(items: Items, scope: Scope, criteria: Run) -> Items:
    this, index = scope.this, scope.index
    found: Items = []
    for place, item in enumerate(items):
        scope.this, scope.index = [item], place
        met = criteria(scope)
        if met is TRUE or (met is not FALSE and truth(met, "The criterion of where()")):
            found.append(item)
    scope.this, scope.index = this, index
    scope.spend(len(items))
    return found


def _exists(items: Items, scope: Scope, criteria: Run | None = None) -> Items:
    return boolean(bool(items if criteria is None else _where(items, scope, criteria)))


def _all(items: Items, scope: Scope, criteria: Run) -> Items:
    this, index = scope.this, scope.index
    met = True
    for place, item in enumerate(items):
        scope.this, scope.index = [item], place
        if not truth(criteria(scope), "The criterion of all()"):
            met = False
            break
    scope.this, scope.index = this, index
    scope.spend(len(items))
    return boolean(met)


def _select(items: Items, scope: Scope, projection: Run) -> Items:
    return scope.held([one for found in for_each(items, scope, projection) for one in found])


def _repeat(items: Items, scope: Scope, projection: Run) -> Items:
    """Take what a projection finds, and what it finds there, each item once: so it ends."""
    found: Items = []
    seen: set[Hashable] = set()
    waiting = items
    while waiting:
        level: Items = []
        for item in _select(waiting, scope, projection):
            one = (id(item.value), item.key) if type(item) is Node and type(item.value) is dict else key(item, scope)
            if one not in seen:
                seen.add(one)
                level.append(item)
        found.extend(level)
        scope.holds(len(found))
        waiting = level
    return found


def _all_of(wanted: bool, name: str) -> Function:  # noqa: FBT001 - a row of the table
    def run(items: Items, scope: Scope) -> Items:
        return boolean(all(value is wanted for value in _booleans(items, name)))

    return Function(run, takes="Boolean", gives="Boolean")


def _any_of(wanted: bool, name: str) -> Function:  # noqa: FBT001 - a row of the table
    def run(items: Items, scope: Scope) -> Items:
        return boolean(any(value is wanted for value in _booleans(items, name)))

    return Function(run, takes="Boolean", gives="Boolean")


def _booleans(items: Items, name: str) -> Items:
    values = [value for item in items if (value := system(item)) is not None]
    for value in values:
        if type(value) is not bool:
            raise FhirPathError(
                "execution", f"{name}() takes Booleans, but found {type_of(value).name}. Use all() with a criterion."
            )
    return values


def _subset_of(items: Items, scope: Scope, other: Items) -> Items:
    scope.spend(len(items) + len(other))
    return boolean({key(item, scope) for item in items} <= {key(item, scope) for item in other})


def _superset_of(items: Items, scope: Scope, other: Items) -> Items:
    return _subset_of(other, scope, items)


def _is_distinct(items: Items, scope: Scope) -> Items:
    return boolean(len(distinct(items, scope)) == len(items))


def _single(items: Items, scope: Scope) -> Items:
    single(items, "single()")
    return items


def _skip(items: Items, scope: Scope, count: Items) -> Items:
    number = _count(count, "skip()")
    return items[max(number, 0) :]


def _take(items: Items, scope: Scope, count: Items) -> Items:
    number = _count(count, "take()")
    return items[: max(number, 0)]


def _count(count: Items, what: str) -> int:
    number = whole(count, what)
    if number is None:
        raise FhirPathError("execution", f"{what} takes a number of items, but found nothing.")
    return number


def _intersect(items: Items, scope: Scope, other: Items) -> Items:
    both = {key(item, scope) for item in other}
    scope.spend(len(items) + len(other))
    return [item for item in distinct(items, scope) if key(item, scope) in both]


def _exclude(items: Items, scope: Scope, other: Items) -> Items:
    without = {key(item, scope) for item in other}
    scope.spend(len(items) + len(other))
    return [item for item in items if key(item, scope) not in without]


def _union(items: Items, scope: Scope, other: Items) -> Items:
    return distinct(scope.held([*items, *other]), scope)


def _combine(items: Items, scope: Scope, other: Items) -> Items:
    return scope.held([*items, *other])


def _iif(items: Items, scope: Scope, criterion: Run, then: Run, otherwise: Run | None = None) -> Items:
    single(items, "iif()")
    this = scope.this
    scope.this = items
    chosen = then if truth(criterion(scope), "The criterion of iif()") else otherwise
    found = EMPTY if chosen is None else chosen(scope)
    scope.this = this
    return found


def _aggregate(items: Items, scope: Scope, aggregator: Run, start: Run | None = None) -> Items:
    this, index, total = scope.this, scope.index, scope.total
    sum_so_far = EMPTY if start is None else start(scope)
    for place, item in enumerate(items):
        scope.this, scope.index, scope.total = [item], place, sum_so_far
        sum_so_far = scope.held(aggregator(scope))
    scope.this, scope.index, scope.total = this, index, total
    scope.spend(len(items))
    return sum_so_far


def _children(items: Items, scope: Scope) -> Items:
    return scope.held([one for item in items if type(item) is Node for one in children(item, scope)])


def _descendants(items: Items, scope: Scope) -> Items:
    found: Items = []
    waiting = _children(items, scope)
    while waiting:
        found.extend(waiting)
        scope.holds(len(found))
        waiting = _children(waiting, scope)
    return found


def sort(items: Items, scope: Scope, *keys: tuple[Run, bool]) -> Items:
    """Return the items in the order of the keys, each with whether it falls; an item without a key comes first.

    Raises:
        FhirPathError: Keys have no order.
    """
    rows = [(item, [for_each([item], scope, run)[0] for run, _ in keys]) for item in items]

    def order(one: tuple[Item, list[Items]], other: tuple[Item, list[Items]]) -> int:
        scope.spend(1)
        for (_, falls), left, right in zip(keys, one[1], other[1], strict=True):
            found = _order(left, right, scope)
            if found:
                both = bool(left) and bool(right)
                return -found if falls and both else found
        return 0

    return [item for item, _ in sorted(rows, key=cmp_to_key(order))]


def _order(left: Items, right: Items, scope: Scope) -> int:
    if not left or not right:
        return bool(left) - bool(right)
    one, other = single(left, "The key of sort()"), single(right, "The key of sort()")
    first, second = None if one is None else system(one), None if other is None else system(other)
    if first is None or second is None:
        return (first is not None) - (second is not None)
    if isinstance(first, bool) and isinstance(second, bool):
        return first - second
    return before(first, second, scope) or 0


def _sum(items: Items, scope: Scope) -> Items:
    total = items[:1]
    for item in items[1:]:
        total = computed("+", total, [item], scope)
    return total


def _extreme(sign: int) -> Function:
    def run(items: Items, scope: Scope) -> Items:
        best = items[:1]
        for item in items[1:]:
            if best and (_order([item], best, scope) * sign) > 0:
                best = [item]
        scope.spend(len(items))
        return best

    return Function(run, gives="input")


def _average(items: Items, scope: Scope) -> Items:
    return computed("/", _sum(items, scope), [len(items)], scope) if items else EMPTY


def _coalesce(items: Items, scope: Scope, *choices: Run) -> Items:
    for choice in choices:
        found = choice(scope)
        if found:
            return found
    return EMPTY


def _not(items: Items, scope: Scope) -> Items:
    value = truth(items, "not()")
    return EMPTY if value is None else FALSE if value else TRUE


ROWS: Mapping[str, Function] = {
    "empty": Function(lambda items, _: FALSE if items else TRUE, gives="Boolean"),
    "exists": Function(_exists, 0, 1, lazy=True, gives="Boolean"),
    "all": Function(_all, 1, 1, lazy=True, gives="Boolean"),
    "allTrue": _all_of(True, "allTrue"),
    "anyTrue": _any_of(True, "anyTrue"),
    "allFalse": _all_of(False, "allFalse"),
    "anyFalse": _any_of(False, "anyFalse"),
    "subsetOf": Function(_subset_of, 1, 1, gives="Boolean"),
    "supersetOf": Function(_superset_of, 1, 1, gives="Boolean"),
    "count": Function(lambda items, _: [len(items)], gives="Integer"),
    "distinct": Function(distinct, gives="input"),
    "isDistinct": Function(_is_distinct, gives="Boolean"),
    "not": Function(_not, gives="Boolean"),
    "where": Function(_where, 1, 1, lazy=True, gives="input"),
    "select": Function(_select, 1, 1, lazy=True, gives="argument"),
    "repeat": Function(_repeat, 1, 1, lazy=True),
    "single": Function(_single, gives="input"),
    "first": Function(lambda items, _: items[:1], gives="input", ordered=True),
    "last": Function(lambda items, _: items[-1:], gives="input", ordered=True),
    "tail": Function(lambda items, _: items[1:], gives="input", ordered=True),
    "skip": Function(_skip, 1, 1, gives="input", ordered=True),
    "take": Function(_take, 1, 1, gives="input", ordered=True),
    "intersect": Function(_intersect, 1, 1, gives="input"),
    "exclude": Function(_exclude, 1, 1, gives="input"),
    "union": Function(_union, 1, 1, gives="both"),
    "combine": Function(_combine, 1, 1, gives="both"),
    "coalesce": Function(_coalesce, 1, 99, lazy=True),
    "iif": Function(_iif, 2, 3, lazy=True, gives="branches"),
    "aggregate": Function(_aggregate, 1, 2, lazy=True),
    "sum": Function(_sum, gives="input"),
    "min": _extreme(-1),
    "max": _extreme(1),
    "avg": Function(_average),
    "children": Function(_children, unordered=True),
    "descendants": Function(_descendants, unordered=True),
}
