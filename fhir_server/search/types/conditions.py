"""Conditions on stored texts, for the types whose entries are texts: each as a MongoDB filter and in memory."""

import re
import sys
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec


class Is(msgspec.Struct, frozen=True):
    """The entry is this text."""

    text: str


class Starts(msgspec.Struct, frozen=True):
    """The entry starts with this text."""

    text: str


class Like(msgspec.Struct, frozen=True):
    """The entry matches this regular expression (the part that Python and PCRE read alike)."""

    pattern: str


class Between(msgspec.Struct, frozen=True):
    """The entry is this text or comes after it, and comes before the other, in code point order."""

    low: str
    high: str | None


Pattern = Is | Starts | Like
Condition = Pattern | Between

END = r"(?![\s\S])"
"""The very end of an entry; `$` would also match before a line feed."""


def literal(text: str) -> str:
    """Return the regular expression for a text itself, as Python and PCRE both read it."""
    return re.escape(text)


def none_of(found: Iterable[Pattern]) -> Like:
    """Return "the entry fulfils none of them"; the empty entry, of an element that holds nothing, is no value."""
    refused: list[str] = []
    for condition in found:
        match condition:
            case Is(text):
                refused.append(literal(text) + END)
            case Starts(text):
                refused.append(literal(text))
            case Like(pattern):
                refused.append(rf"[\s\S]*?(?:{pattern})" if not pattern.startswith("^") else pattern[1:])
    return Like(f"^(?!{'|'.join(refused)})[\\s\\S]")


def predicate(field: str, conditions: Iterable[Condition], *, array: bool | None) -> dict[str, Any]:
    """Return the filter "an entry fulfils one of the conditions".

    Args:
        field: Where the entries are.
        conditions: At least one.
        array: Whether the field holds an array, `None` where that differs between documents.
    """
    texts: dict[str, None] = {}
    clauses: list[dict[str, Any]] = []
    for condition in conditions:
        match condition:
            case Is(text):
                texts[text] = None
            case Starts(text):
                clauses.append({field: _starting(text, array=array)})
            case Like(pattern):
                clauses.append({field: {"$regex": pattern}})
            case Between(low, high):
                bounds = {"$gte": low} if high is None else {"$gte": low, "$lt": high}
                clauses.append({field: {"$elemMatch": bounds} if array is not False and high is not None else bounds})
    if texts:
        clauses.insert(0, {field: {"$in": list(texts)} if len(texts) > 1 else next(iter(texts))})
    return clauses[0] if len(clauses) == 1 else {"$or": clauses}


def matches(conditions: Iterable[Condition], entries: Sequence[str]) -> bool:
    """Return whether an entry fulfils one of the conditions."""
    return any(_holds(condition, entry) for condition in conditions for entry in entries)


def _holds(condition: Condition, entry: str) -> bool:
    match condition:
        case Is(text):
            return entry == text
        case Starts(text):
            return entry.startswith(text)
        case Like(pattern):
            return re.search(pattern, entry) is not None
        case Between(low, high):
            return low <= entry and (high is None or entry < high)


def _starting(text: str, *, array: bool | None) -> dict[str, Any]:
    """Return the range of texts that start so.

    On an array both bounds must be met by one entry, hence `$elemMatch`; without it the index is walked from one bound
    only. Where the field may be either, a regular expression serves both.
    """
    end = successor(text)
    if array is None or end is None:
        return {"$regex": f"^{re.escape(text)}"}
    bounds = {"$gte": text, "$lt": end}
    return {"$elemMatch": bounds} if array else bounds


def successor(text: str) -> str | None:
    """Return the least text after all that start so, in code point order (which is MongoDB's)."""
    code = ord(text[-1]) + 1 if text else 0
    if not text or code > sys.maxunicode:
        return None
    return text[:-1] + chr(0xE000 if code == 0xD800 else code)
