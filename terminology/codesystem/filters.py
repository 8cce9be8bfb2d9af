"""Filters of a listed code system (R4 ValueSet.compose.include.filter): one function for each operator, in a table."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from time import monotonic
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import re2
from pyroaring import BitMap

from terminology.codesystem.provider import Filter, InvalidFilter
from terminology.codesystem.statements import STANDARD
from terminology.concept import Head

if TYPE_CHECKING:
    from terminology.codesystem.listed import Listed

CODES = frozenset({"concept", "code"})
TEXTS = frozenset({"display", "definition"})
PLACES = frozenset({"parent", "child"})
STATES = frozenset({"inactive", "status", "notSelectable", "deprecated", "deprecationDate", "retirementDate"})
MOST_CHARACTERS = 2_000
MOST_STEPS = 1_000
"""Of what a regular expression is compiled to; counted repetitions make many."""
LONGEST = 2.0
"""Seconds in which an expression is tried on all the words of a code system in memory."""
_MOST_MEMORY = 1 << 20


Word = TypeVar("Word")


class Pattern(Protocol):
    """A compiled regular expression."""

    @property
    def programsize(self) -> int:
        """How many steps it is compiled to."""
        ...

    def fullmatch(self, text: str) -> Any:
        """Return something where the whole text matches, else `None`."""
        ...


def select(listed: "Listed", rule: Filter) -> BitMap:
    """Return the concepts of a listed code system that a filter selects.

    Raises:
        InvalidFilter: The operator is none, does not go with the property, or the value is none that it takes.
    """
    if rule.property in CODES:
        by_code = ON_CODES.get(rule.op)
        if by_code is None:
            raise unknown(listed.head, rule, ON_CODES)
        return by_code(listed, rule.value)
    by_value = ON_VALUES.get(rule.op)
    if by_value is None:
        raise unknown(listed.head, rule, ON_VALUES)
    return by_value(listed, _property(listed, rule), rule.value)


def pattern(value: str) -> Pattern:
    """Return a regular expression that has to match the whole text (RE2: its time grows with the text alone).

    Raises:
        InvalidFilter: It is no regular expression, too long, or needs backtracking.
    """
    if len(value) > MOST_CHARACTERS:
        raise InvalidFilter(
            f"The regular expression has {len(value)} characters; {MOST_CHARACTERS} are the most. Shorten it."
        )
    options = re2.Options()
    options.log_errors = False
    options.max_mem = _MOST_MEMORY
    try:
        found: Pattern = re2.compile(value, options=options)
    except (re2.error, UnicodeEncodeError) as error:
        reason = error.args[0] if isinstance(error, re2.error) and error.args else "it is no text of Unicode"
        reason = reason.decode() if isinstance(reason, bytes) else reason
        raise InvalidFilter(
            f"'{value[:80]}' is no regular expression here ({reason}). Look-around and back references are not allowed."
        ) from None
    if found.programsize > MOST_STEPS:
        raise InvalidFilter(
            f"The regular expression '{value[:80]}' is too costly: it stands for {found.programsize} steps, and {MOST_STEPS} are the "
            "most. Repeat less by counts in braces."
        )
    return found


def matched(wanted: Pattern, words: Iterable[tuple[Word, str]]) -> Iterator[Word]:
    """Yield what stands beside those words that a pattern matches as a whole.

    Raises:
        InvalidFilter: It takes too long.
    """
    end = monotonic() + LONGEST
    for at, (one, word) in enumerate(words):
        if at % 64 == 0 and monotonic() > end:
            raise InvalidFilter(
                f"The regular expression takes longer than {LONGEST:g} seconds over this code system. Write a simpler one."
            )
        if wanted.fullmatch(word):
            yield one


def listing(value: str) -> list[str]:
    """Return the values that are written with commas between them."""
    return [one.strip() for one in value.split(",") if one.strip()]


def yes(rule_value: str) -> bool:
    """Return what a filter says that has to say `true` or `false`.

    Raises:
        InvalidFilter: It says something else.
    """
    if rule_value.lower() not in {"true", "false"}:
        raise InvalidFilter(f"'{rule_value[:80]}' does not say whether it has to exist. Give true or false.")
    return rule_value.lower() == "true"


def _is_a(listed: "Listed", value: str) -> BitMap:
    ordinal = _known(listed, value)
    return BitMap() if ordinal is None else listed.below(ordinal) | BitMap([ordinal])


def _descendent_of(listed: "Listed", value: str) -> BitMap:
    ordinal = _known(listed, value)
    return BitMap() if ordinal is None else listed.below(ordinal)


def _is_not_a(listed: "Listed", value: str) -> BitMap:
    return listed.all() - _is_a(listed, value)


def _generalizes(listed: "Listed", value: str) -> BitMap:
    ordinal = _known(listed, value)
    return BitMap() if ordinal is None else listed.above(ordinal) | BitMap([ordinal])


def _child_of(listed: "Listed", value: str) -> BitMap:
    ordinal = _known(listed, value)
    found = BitMap() if ordinal is None else listed.values("parent").get(listed.code(ordinal), BitMap())
    return found.copy()


def _descendent_leaf(listed: "Listed", value: str) -> BitMap:
    return _descendent_of(listed, value) & listed.leaves()


def _code_in(listed: "Listed", value: str) -> BitMap:
    found = (listed.ordinal(one) for one in listing(value))
    return BitMap(one for one in found if one is not None)


def _code_like(listed: "Listed", value: str) -> BitMap:
    wanted = pattern(value)
    return BitMap(matched(wanted, ((one, listed.code(one)) for one in listed.all())))


def _known(listed: "Listed", value: str) -> int | None:
    """Return the ordinal of the code that a filter is about; a list that is not whole may lack it."""
    found = listed.ordinal(value.strip())
    if found is None and listed.head.content == "complete":
        raise InvalidFilter(
            f"The code '{value[:80]}' of the filter is not in the code system {listed.head.canonical}. "
            "Name a concept of it."
        )
    return found


ON_CODES: Mapping[str, Callable[["Listed", str], BitMap]] = {
    "=": lambda listed, value: BitMap(one for one in [listed.ordinal(value)] if one is not None),
    "is-a": _is_a,
    "descendent-of": _descendent_of,
    "is-not-a": _is_not_a,
    "regex": _code_like,
    "in": _code_in,
    "not-in": lambda listed, value: listed.all() - _code_in(listed, value),
    "generalizes": _generalizes,
    "child-of": _child_of,
    "descendent-leaf": _descendent_leaf,
    "exists": lambda listed, value: listed.all() if yes(value) else BitMap(),
}


def _property(listed: "Listed", rule: Filter) -> str:
    """Return the name under which what a filter asks for is stated."""
    name = rule.property
    declared = listed.head.properties
    if name in declared or name in TEXTS | PLACES:
        return name
    for code, one in declared.items():
        if one.uri == STANDARD + name:
            return code
    if name in STATES or listed.values(name):
        return name
    known = sorted({*CODES, *TEXTS, *PLACES, *declared})
    raise InvalidFilter(
        f"The code system {listed.head.canonical} has no property '{name[:80]}' to filter by. It has: {', '.join(known)}."
    )


def _is(listed: "Listed", name: str, value: str) -> BitMap:
    return _one_of(listed, name, [value])


def _in(listed: "Listed", name: str, value: str) -> BitMap:
    return _one_of(listed, name, listing(value))


def _one_of(listed: "Listed", name: str, sought: list[str]) -> BitMap:
    values = listed.values(name)
    found = BitMap()
    for one in sought:
        truth = one.lower() in {"true", "false"}
        found |= values.get(one, BitMap()) | (values.get(one.lower(), BitMap()) if truth else BitMap())
    return found


def _like(listed: "Listed", name: str, value: str) -> BitMap:
    wanted = pattern(value)
    return BitMap().union(*matched(wanted, ((found, said) for said, found in listed.values(name).items())))


def _exists(listed: "Listed", name: str, value: str) -> BitMap:
    found = BitMap().union(*listed.values(name).values())
    return found if yes(value) else listed.all() - found


ON_VALUES: Mapping[str, Callable[["Listed", str, str], BitMap]] = {
    "=": _is,
    "in": _in,
    "not-in": lambda listed, name, value: listed.all() - _in(listed, name, value),
    "regex": _like,
    "exists": _exists,
}


def unknown(head: Head, rule: Filter, operators: Iterable[str]) -> InvalidFilter:
    """Return the refusal of a filter that a code system does not have, with the operators that go with the property."""
    return InvalidFilter(
        f"The code system {head.canonical} has no filter '{rule.property[:80]} {rule.op[:40]}'. "
        f"Operators that go with '{rule.property[:80]}': {', '.join(operators)}."
    )
