r"""Texts that clients send: escapes (`\,` `\|` `\$` and `\\` stand for the plain characters, R4 3.1.1.4.16), and quoting them."""

import re
from collections.abc import Iterable
from difflib import get_close_matches

_ESCAPED = re.compile(r"\\([,|$\\])")


def split(text: str, separator: str) -> list[str]:
    """Return the parts between separators that are not escaped; the parts keep their escapes."""
    if "\\" not in text:
        return text.split(separator)
    parts, start, index = [], 0, 0
    while index < len(text):
        if text[index] == "\\":
            index += 1
        elif text[index] == separator:
            parts.append(text[start:index])
            start = index + 1
        index += 1
    return [*parts, text[start:]]


def plain(text: str) -> str:
    """Return the text without escapes. A backslash before any other character stays."""
    return _ESCAPED.sub(r"\1", text) if "\\" in text else text


def shown(text: str) -> str:
    """Return a client's text as messages quote it: at most 60 characters."""
    return text if len(text) <= 60 else f"{text[:60]}…"


def nearest(text: str, names: Iterable[str]) -> str:
    """Return ` Did you mean 'x'?` for the most similar name, or nothing where none is similar."""
    found = get_close_matches(text[:60], list(names), n=1, cutoff=0.7)
    return f" Did you mean '{found[0]}'?" if found else ""
