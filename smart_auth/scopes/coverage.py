"""Which scopes reach no further than others: the rule behind granting, refreshing and narrowing.

A scope covers another where everything that the other reaches it reaches too: the same context, all of its letters, its
type or every type, and no criterion that the other does not have as well (criteria of one scope must all hold, so more of
them reach less). Several scopes reach what any one of them reaches, letter by letter.
"""

from collections.abc import Iterable, Sequence

from smart_auth.scopes.grammar import ANY_TYPE, LETTERS, Asked, ResourceScope, Scopes, of


def covers(wide: Iterable[ResourceScope], narrow: ResourceScope) -> bool:
    """Return whether scopes reach everything that one scope reaches."""
    left = set(narrow.letters)
    for one in wide:
        if _reaches(one, narrow):
            left -= set(one.letters)
    return not left


def within(narrow: Scopes, wide: Scopes) -> tuple[str, ...]:
    """Return the scopes that reach further than others do, as they were written; none where all is covered.

    Words and wishes for context are covered by themselves only.
    """
    others = {one.meaning for one in wide.asked}
    reach = wide.resources
    return tuple(
        one.text
        for one in narrow.asked
        if not (covers(reach, one.meaning) if isinstance(one.meaning, ResourceScope) else one.meaning in others)
    )


def intersect(asked: Scopes, allowed: Sequence[ResourceScope]) -> Scopes:
    """Return what is left of scopes within limits. A scope that is covered stays as it was written.

    Words and wishes for context pass; they are not access to resources.
    """
    kept: list[Asked] = []
    for one in asked.asked:
        if not isinstance(one.meaning, ResourceScope) or covers(allowed, one.meaning):
            kept.append(one)
        else:
            parts = [part for limit in allowed if (part := meet(one.meaning, limit))]
            kept += of(concise(parts)).asked
    return Scopes(tuple({one.meaning: one for one in reversed(kept)}.values())[::-1], asked.refused)


def meet(one: ResourceScope, other: ResourceScope) -> ResourceScope | None:
    """Return the scope that reaches what both reach, or `None` where that is nothing."""
    if one.context != other.context:
        return None
    if one.resource_type != other.resource_type and ANY_TYPE not in {one.resource_type, other.resource_type}:
        return None
    letters = "".join(letter for letter in LETTERS if letter in one.letters and letter in other.letters)
    if not letters:
        return None
    resource_type = other.resource_type if one.resource_type == ANY_TYPE else one.resource_type
    return ResourceScope(one.context, resource_type, letters, tuple(sorted({*one.criteria, *other.criteria})))


def concise(scopes: Iterable[ResourceScope]) -> tuple[ResourceScope, ...]:
    """Return scopes that reach the same, without those that others cover and with letters of equal reach joined."""
    joined: dict[tuple[str, str, object], ResourceScope] = {}
    for one in scopes:
        key = (one.context, one.resource_type, one.criteria)
        before = joined[key].letters if key in joined else ""
        letters = "".join(letter for letter in LETTERS if letter in before or letter in one.letters)
        joined[key] = ResourceScope(one.context, one.resource_type, letters, one.criteria)
    kept = list(joined.values())
    for one in tuple(kept):
        rest = [other for other in kept if other is not one]
        if covers(rest, one):
            kept = rest
    return tuple(kept)


def _reaches(wide: ResourceScope, narrow: ResourceScope) -> bool:
    """Return whether a scope reaches, for the letters that it has, everything that another one does."""
    return (
        wide.context == narrow.context
        and wide.resource_type in {ANY_TYPE, narrow.resource_type}
        and set(wide.criteria) <= set(narrow.criteria)
    )
