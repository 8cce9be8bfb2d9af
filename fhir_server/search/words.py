"""The words of a resource, for `_text` and `_content`: what is stored where the setting `search.text` is on.

`s._words` holds the distinct folded words of narrative and content, in an index; `s._text` and `s._content` the words in
their order, with a space around each, for phrases and to tell narrative from content. Nothing is cut.
"""

import html
import re
from collections.abc import Iterator, Mapping
from typing import Any

from terminology.words import split

WORDS, TEXT, CONTENT = "_words", "_text", "_content"

HEAD = frozenset({"resourceType", "id", "meta", "text", "implicitRules", "language"})
"""Members of the resource itself that are no content, or are read as the narrative."""

NOT_READ = frozenset(
    {"resourceType", "id", "system", "url", "reference", "type", "data", "hash", "contentType", "fullUrl"}
)
"""Members that hold what machines read, where they are texts: addresses, ids, encoded data."""

ENCODED = "Base64Binary"

_DATE = re.compile(r"\d{4}-\d\d(?:-\d\d(?:T[\d:.]+(?:Z|[+-][\d:]+)?)?)?$", re.ASCII)
_TAG = re.compile(r"<!--.*?-->|<[^>]*>", re.DOTALL)


def entries(resource: Mapping[str, Any]) -> dict[str, Any]:
    """Return the members of `s` that hold the words of a resource."""
    narrative = resource.get("text", {})
    told = split(_shown(narrative.get("div", "")))
    held = [
        word for name, member in resource.items() if name not in HEAD for text in _texts(member) for word in split(text)
    ]
    return {WORDS: sorted({*told, *held}), TEXT: _line(told), CONTENT: _line([*held, *told])}


def _line(words: list[str]) -> str:
    return f" {' '.join(words)} " if words else ""


def _shown(div: str) -> str:
    """Return what XHTML shows."""
    return html.unescape(_TAG.sub(" ", div))


def _texts(value: Any) -> Iterator[str]:
    """Yield the texts that people read, in the order of the resource; of contained resources and entries, too."""
    if isinstance(value, str):
        if not _DATE.match(value):
            yield value
    elif isinstance(value, list):
        for member in value:
            yield from _texts(member)
    elif isinstance(value, dict):
        for name, member in value.items():
            if name == "div" and isinstance(member, str):
                yield _shown(member)
            elif name != "meta" and not (isinstance(member, str) and (name in NOT_READ or name.endswith(ENCODED))):
                yield from _texts(member)
