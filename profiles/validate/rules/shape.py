"""The words that most invariants are made of: existence of members, implication, distinctness.

An element exists where its key or that of its `_x` sibling does. A name ending in `[x]` is a choice of types.
"""

from collections.abc import Callable, Iterable
from typing import Any

from profiles.primitives import span
from profiles.validate.walk import Json, Walk

Rule = Callable[[Json], bool]
ContextRule = Callable[[Json, Walk], bool]
"""A rule that also needs to know where it is, or what is contained."""


def has(node: Json, name: str) -> bool:
    """Return whether the element exists."""
    if name.endswith("[x]"):
        stem = name[:-3]
        starts = (stem, f"_{stem}")
        for key in node:  # any() over a generator takes three times as long  # noqa: SIM110
            if key.startswith(starts) and _typed(key, stem):
                return True
        return False
    return name in node or f"_{name}" in node


def _present(name: str) -> Rule:
    """Return the test whether an element exists: `has`, prepared for rules that run on every write."""
    if name.endswith("[x]"):
        return lambda node: has(node, name)
    under = f"_{name}"
    return lambda node: name in node or under in node


def _typed(key: str, stem: str) -> bool:
    key = key.removeprefix("_")
    return key.startswith(stem) and key[len(stem) : len(stem) + 1].isupper()


def many(node: Json, name: str) -> list[Any]:
    """Return the values of a repeating element, empty where there is none."""
    values = node.get(name)
    return values if isinstance(values, list) else []


def inner(node: Json, *names: str) -> list[Any]:
    """Return all values at a path of elements, repeating or not."""
    found: list[Any] = [node]
    for name in names:
        values = [one.get(name) for one in found if isinstance(one, dict)]
        found = [
            item for value in values for item in (value if isinstance(value, list) else [value]) if item is not None
        ]
    return found


def distinct(values: Iterable[Any]) -> bool:
    """Return whether no value is there twice."""
    seen = list(values)
    return len(seen) == len(set(seen))


def some(*names: str) -> Rule:
    """At least one of the elements exists."""
    tests = [_present(name) for name in names]
    return lambda node: any(test(node) for test in tests)


def most_one(name: str, other: str) -> Rule:
    """The two elements do not exist together. The second may be a choice, which takes longer to look for."""
    first, second = _present(name), _present(other)
    return lambda node: not (first(node) and second(node))


def exactly_one(*names: str) -> Rule:
    """One of the elements exists and no other of them."""
    tests = [_present(name) for name in names]
    return lambda node: sum(test(node) for test in tests) == 1


def needs(name: str, other: str) -> Rule:
    """Where the first element exists, the other does."""
    first, second = _present(name), _present(other)
    return lambda node: not first(node) or second(node)


def together(name: str, other: str) -> Rule:
    """Both elements exist or neither."""
    first, second = _present(name), _present(other)
    return lambda node: first(node) == second(node)


def only_if(name: str, **values: str | tuple[str, ...]) -> Rule:
    """Where the element exists, each other member has one of the values given for it."""
    return lambda node: not has(node, name) or _are(node, values)


def when(name: str, value: str | tuple[str, ...], *present: str, absent: tuple[str, ...] = ()) -> Rule:
    """Where the member has a value (one of them), these elements exist and those do not."""
    allowed = (value,) if isinstance(value, str) else value
    return lambda node: (
        node.get(name) not in allowed
        or (all(has(node, one) for one in present) and not any(has(node, one) for one in absent))
    )


def _are(node: Json, values: dict[str, str | tuple[str, ...]]) -> bool:
    return all(node.get(name) in ((value,) if isinstance(value, str) else value) for name, value in values.items())


def each_distinct(*names: str) -> Rule:
    """The values at a path are distinct."""
    return lambda node: distinct(inner(node, *names))


def coded(node: Json, name: str, system: str, *codes: str) -> bool:
    """Return whether a concept (repeating or not) has one of the codes of a system."""
    return any(coding.get("system") == system and coding.get("code") in codes for coding in inner(node, name, "coding"))


def not_after(first: str, second: str) -> Rule:
    """One time is not after another. Where precision or a missing zone leaves it open, the rule is met."""

    def rule(node: Json) -> bool:
        low, high = node.get(first), node.get(second)
        if type(low) is not str or type(high) is not str:
            return True
        # Equal precision in the same zone, the usual case: text compares as time does.
        if len(low) == len(high) and low[19:] == high[19:] and low <= high:
            return True
        start, end = span(low), span(high)
        return start is None or end is None or start[0] <= end[1]

    return rule
