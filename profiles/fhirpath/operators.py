"""The operators that compare, that look into collections, and of logic (FHIRPath N1, 6.1 to 6.5), as closures."""

from collections.abc import Callable, Mapping

from profiles.fhirpath.equality import distinct, equal, equivalent, key, order
from profiles.fhirpath.functions.row import EMPTY, FALSE, TRUE, boolean, truth
from profiles.fhirpath.scope import Run, Scope, single
from profiles.fhirpath.values import Item, Items, Node, system

Binary = Callable[[Run, Run], Run]


def _equals(left: Run, right: Run) -> Run:
    def run(scope: Scope) -> Items:
        one, other = left(scope), right(scope)
        return boolean(equal(one, other, scope))

    return run


def equals_text(left: Run, text: str, right: Run) -> Run:
    """Return the run of `path = 'text'`, which most criteria are: a single string is compared at once."""

    def run(scope: Scope) -> Items:
        items = left(scope)
        if len(items) == 1:
            item = items[0]
            value = system(item) if type(item) is Node and item.type.primitive else item
            if type(value) is str:
                return TRUE if value == text else FALSE
        return boolean(equal(items, right(scope), scope))

    return run


def _differs(left: Run, right: Run) -> Run:
    def run(scope: Scope) -> Items:
        found = equal(left(scope), right(scope), scope)
        return EMPTY if found is None else FALSE if found else TRUE

    return run


def _ordered(wanted: frozenset[int]) -> Binary:
    def binary(left: Run, right: Run) -> Run:
        def run(scope: Scope) -> Items:
            found = order(left(scope), right(scope), scope)
            return EMPTY if found is None else TRUE if found in wanted else FALSE

        return run

    return binary


def _union(left: Run, right: Run) -> Run:
    return lambda scope: distinct(scope.held([*left(scope), *right(scope)]), scope)


def _in(left: Run, right: Run) -> Run:
    def run(scope: Scope) -> Items:
        item = single(left(scope), "The item that is looked for")
        return EMPTY if item is None else boolean(_held(item, right(scope), scope))

    return run


def _held(item: Item, items: Items, scope: Scope) -> bool:
    wanted = key(item, scope)
    scope.spend(len(items))
    return any(key(one, scope) == wanted for one in items)


def _and(left: Run, right: Run) -> Run:
    def run(scope: Scope) -> Items:
        one = truth(left(scope), "and")
        if one is False:
            return FALSE
        other = truth(right(scope), "and")
        return FALSE if other is False else boolean(one and other) if one is not None and other is not None else EMPTY

    return run


def _unless(word: str, *, settles: bool) -> Binary:
    """Return an operator that is true where the left side is `settles` or the right one is true, whatever the other is."""

    def operator(left: Run, right: Run) -> Run:
        def run(scope: Scope) -> Items:
            one = truth(left(scope), word)
            if one is settles:
                return TRUE
            other = truth(right(scope), word)
            return TRUE if other is True else EMPTY if one is None or other is None else FALSE

        return run

    return operator


def _xor(left: Run, right: Run) -> Run:
    def run(scope: Scope) -> Items:
        one, other = truth(left(scope), "xor"), truth(right(scope), "xor")
        return EMPTY if one is None or other is None else boolean(one is not other)

    return run


OPERATORS: Mapping[str, Binary] = {
    "=": _equals,
    "!=": _differs,
    "~": lambda left, right: lambda scope: boolean(equivalent(left(scope), right(scope), scope)),
    "!~": lambda left, right: lambda scope: boolean(not equivalent(left(scope), right(scope), scope)),
    "<": _ordered(frozenset({-1})),
    "<=": _ordered(frozenset({-1, 0})),
    ">": _ordered(frozenset({1})),
    ">=": _ordered(frozenset({0, 1})),
    "|": _union,
    "in": _in,
    "contains": lambda left, right: _in(right, left),
    "and": _and,
    "or": _unless("or", settles=True),
    "xor": _xor,
    "implies": _unless("implies", settles=False),
}

SAFE = frozenset({"=", "!=", "~", "!~", "|"})
"""Operators that take any collection: nothing but the budget can fail there."""
