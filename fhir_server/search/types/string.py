"""String parameters: starts-with without case and accents, `:exact`, `:contains` (R4 3.1.1.4.8).

A stored entry is the folded text, followed by a line feed and the text as written where that differs. So one index key
serves all three: a prefix of the entry, equality of the whole of it, a search before the line feed.
"""

import re
from collections.abc import Sequence
from typing import Any

from fhir_server.search.escapes import plain
from fhir_server.search.expression import Criterion, Expression
from fhir_server.search.params import Param
from fhir_server.search.reading import PLAIN, Reading
from fhir_server.search.types import conditions
from fhir_server.search.types.conditions import Between, Condition, Is, Like, Starts
from fhir_server.search.types.refusal import refusal
from terminology.words import fold

MODIFIERS = frozenset({"exact", "contains"})
EXAMPLE = "a text such as eve"

_PARTS = {
    "HumanName": ("family", "given", "prefix", "suffix", "text"),
    "Address": ("line", "city", "district", "state", "postalCode", "country", "text"),
}


def entries(values: Sequence[tuple[str, Any]], param: Param, reading: Reading = PLAIN) -> list[str]:
    """Return one entry for each text of the values; the empty entry for an element that holds none."""
    found: dict[str, None] = {}
    for type_name, value in values:
        texts = [text for text in _texts(type_name, value) if isinstance(text, str)]
        found.update(dict.fromkeys(map(entry, texts) if texts else [""]))
    return list(found)


def entry(text: str) -> str:
    """Return the stored form of one text."""
    folded = fold(text)
    return folded if folded == text else f"{folded}\n{text}"


LEAST = "\x01"
"""The least text that is not empty."""


def behind(folded: str) -> str:
    """Return what comes after all entries of a folded text, and before those of any that comes later."""
    return f"{folded}\x0b"


def equal(folded: str) -> Condition:
    """Return "the text is this, folded"."""
    return Between(folded, behind(folded))


def other(folded: str) -> Condition:
    """Return "there is a text, and it is not this, folded"."""
    return Like(f"^(?!{re.escape(folded)}(?:\\n|{conditions.END}))[\\s\\S]")


def containing(folded: str) -> Condition:
    """Return "the text has this in it, folded"."""
    return Like(f"^[^\\n]*{re.escape(folded)}")


def ending(folded: str) -> Condition:
    """Return "the text ends so, folded"."""
    return Like(f"^[^\\n]*{re.escape(folded)}(?:\\n|{conditions.END})")


def _texts(type_name: str, value: Any) -> list[Any]:
    if type_name not in _PARTS:
        return [value]
    texts: list[Any] = []
    for name in _PARTS[type_name]:
        part = value.get(name, ())
        texts += part if isinstance(part, list | tuple) else [part]
    return texts


def parse(param: Param, modifier: str, texts: Sequence[str], reading: Reading = PLAIN) -> Expression:
    """Return the criterion "a text of the parameter starts with, equals or contains one of the texts".

    Raises:
        InvalidParameter: A text has nothing but white space or combining marks.
    """
    return Criterion(param, tuple(_condition(param, modifier, plain(text)) for text in texts))


def predicate(criterion: Criterion) -> dict[str, Any]:
    """Return the filter over stored documents."""
    return conditions.predicate(criterion.param.field, criterion.values, array=criterion.param.array)


def matches(criterion: Criterion, entries: Sequence[str]) -> bool:
    """Return whether an entry fulfils the criterion."""
    return conditions.matches(criterion.values, entries)


def _condition(param: Param, modifier: str, text: str) -> Condition:
    if modifier == "exact":
        return Is(entry(text))
    folded = fold(text)
    if not folded:
        raise refusal(param, text, EXAMPLE)
    return containing(folded) if modifier == "contains" else Starts(folded)
