"""String parameters: starts-with without case and accents, `:exact`, `:contains` (R4 3.1.1.4.8).

A stored entry is the folded text, followed by a line feed and the text as written where that differs. So one index key
serves all three: a prefix of the entry, equality of the whole of it, a search before the line feed.
"""

import re
import unicodedata
from collections.abc import Sequence
from typing import Any

from fhir_server.search.escapes import plain
from fhir_server.search.expression import Criterion, Expression
from fhir_server.search.params import Param
from fhir_server.search.reading import PLAIN, Reading
from fhir_server.search.types import conditions
from fhir_server.search.types.conditions import Between, Condition, Is, Like, Starts
from fhir_server.search.types.refusal import refusal

MODIFIERS = frozenset({"exact", "contains"})
EXAMPLE = "a text such as eve"

_PARTS = {
    "HumanName": ("family", "given", "prefix", "suffix", "text"),
    "Address": ("line", "city", "district", "state", "postalCode", "country", "text"),
}

_LETTERS = {
    "ł": "l", "ø": "o", "đ": "d", "\u0131": "i", "æ": "ae", "œ": "oe", "þ": "th", "ð": "d", "ħ": "h", "ŧ": "t",
    "\u2018": "'", "\u2019": "'", "\u02bb": "'", "\u02bc": "'", "\u2010": "-", "\u2012": "-", "\u2013": "-",
}  # fmt: skip
# Not all of Unicode's category Mn: the vowel signs of Indic scripts are letters to their readers, and without them
# राम कुमार would find another name.
_LEFT_OUT = (
    # Accents of Latin, Greek and Cyrillic.
    (0x300, 0x36F), (0x483, 0x487), (0x1AB0, 0x1AFF), (0x1DC0, 0x1DFF), (0x20D0, 0x20FF), (0xFE20, 0xFE2F),
    # Points and cantillation of Hebrew; vowel signs, hamza and madda above a letter, lengthening of Arabic: rarely written.
    (0x591, 0x5BD), (0x5BF, 0x5BF), (0x5C1, 0x5C2), (0x5C4, 0x5C5), (0x5C7, 0x5C7),
    (0x610, 0x61A), (0x640, 0x640), (0x64B, 0x65F), (0x670, 0x670), (0x6D6, 0x6DC), (0x6DF, 0x6E4), (0x6E7, 0x6E8), (0x6EA, 0x6ED),
    # What cannot be seen: joiners, directions, soft hyphens, variation selectors.
    (0xAD, 0xAD), (0x61C, 0x61C), (0x200B, 0x200F), (0x202A, 0x202E), (0x2060, 0x2064), (0x2066, 0x2069), (0xFE00, 0xFE0F), (0xFEFF, 0xFEFF),
)  # fmt: skip
_TABLE: dict[int, str | None] = {
    **{code: None for low, high in _LEFT_OUT for code in range(low, high + 1)},
    **{ord(letter): plain for letter, plain in _LETTERS.items()},
}


def fold(text: str) -> str:
    """Return the text without case, accents, optional vowel points, invisible characters and repeated white space."""
    plain = text.lower() if text.isascii() else unicodedata.normalize("NFKD", text).casefold().translate(_TABLE)
    return " ".join(plain.split())


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
