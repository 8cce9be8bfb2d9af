"""Text → tokens (FHIRPath N1, lexical elements)."""

import re
from typing import Literal, NamedTuple, cast

from profiles.fhirpath.errors import FhirPathError, shown

Kind = Literal["name", "quoted", "text", "number", "moment", "variable", "context", "sign", "end"]

MOST_CHARACTERS = 20_000
MOST_DIGITS = 60


class Token(NamedTuple):
    """A token. A tuple, because reading an expression is for the most part making them.

    Attributes:
        kind: `name` (identifiers and words such as `and`), `quoted` (an identifier in backticks), `text` (a string), `number`, `moment`
            (a date or time without its `@`), `variable` (`%name`), `context` (`$this`), `sign` or `end`.
        text: What it says: without quotes, its escapes resolved.
        offset: Its first character.
    """

    kind: Kind
    text: str
    offset: int


_TOKEN = re.compile(
    r"""(?P<name>[A-Za-z_][A-Za-z0-9_]*)
      | (?P<sign>[.,()\[\]{}+\-*|&=~]|[<>]=?|!=|!~|/(?![/*]))
      | (?P<text>'(?:[^'\\]|\\.)*')
      | (?P<space>[ \t\r\n\f\v\u00a0\ufeff]+ | //[^\n]* | /\*(?:[^*]|\*(?!/))*\*/)
      | (?P<number>[0-9]+(?:\.[0-9]+)?(?![0-9A-Za-z_]))
      | (?P<moment>@(?:T[0-9]{2}(?::[0-9]{2}(?::[0-9]{2}(?:\.[0-9]+)?)?)?
                     | [0-9]{4}(?:-[0-9]{2}(?:-[0-9]{2})?)?
                       (?:T(?:[0-9]{2}(?::[0-9]{2}(?::[0-9]{2}(?:\.[0-9]+)?)?)?(?:Z|[+-][0-9]{2}:[0-9]{2})?)?)?)(?![0-9A-Za-z_:]))
      | (?P<context>\$(?:this|index|total)(?![A-Za-z0-9_]))
      | (?P<variable>%(?:[A-Za-z_][A-Za-z0-9_]*|'(?:[^'\\]|\\.)*'|`(?:[^`\\]|\\.)*`))
      | (?P<quoted>`(?:[^`\\]|\\.)*`)""",
    re.VERBOSE | re.DOTALL | re.ASCII,
)
_SHORT = frozenset({"name", "sign"})
_ESCAPE = re.compile(r"\\(u[0-9a-fA-F]{4}|.)", re.DOTALL)
_ESCAPES = {"'": "'", '"': '"', "`": "`", "r": "\r", "n": "\n", "t": "\t", "f": "\f", "\\": "\\", "/": "/"}


def tokens(text: str) -> list[Token]:
    """Return the tokens of an expression; the last one is its end.

    Raises:
        FhirPathError: It is too long or holds what is no token.
    """
    if len(text) > MOST_CHARACTERS:
        raise FhirPathError(
            "limit", f"The expression has {len(text)} characters; {MOST_CHARACTERS} are the most that are read.", 0
        )
    found: list[Token] = []
    place = 0
    while place < len(text):
        match = _TOKEN.match(text, place)
        if match is None:
            raise FhirPathError("syntax", _unreadable(text, place), place)
        kind = match.lastgroup
        if kind in _SHORT:
            found.append(Token(cast("Kind", kind), match[0], place))
        elif kind != "space":
            found.append(_token(cast("Kind", kind), match[0], place))
        place = match.end()
    return [*found, Token("end", "", len(text))]


def _token(kind: Kind, text: str, place: int) -> Token:
    match kind:
        case "text" | "quoted":
            return Token(kind, _unescaped(text[1:-1], place), place)
        case "variable":
            name = text[1:]
            return Token(kind, name if name[0] not in "'`" else _unescaped(name[1:-1], place), place)
        case "number" if len(text) > MOST_DIGITS:
            raise FhirPathError("syntax", f"The number {shown(text)} has more than {MOST_DIGITS} digits.", place)
        case "moment":
            return Token(kind, text[1:], place)
        case _:
            return Token(kind, text, place)


def _unescaped(text: str, place: int) -> str:
    def one(match: re.Match[str]) -> str:
        code = match[1]
        if code in _ESCAPES:
            return _ESCAPES[code]
        if len(code) == 5:
            return chr(int(code[1:], 16))
        raise FhirPathError(
            "syntax",
            f"\\{code} is no escape. There are \\' \\\" \\` \\\\ \\/ \\r \\n \\t \\f and \\uXXXX; write \\\\ for a backslash.",
            place,
        )

    return _ESCAPE.sub(one, text) if "\\" in text else text


def _unreadable(text: str, place: int) -> str:
    rest = text[place:]
    if rest.startswith("/*"):
        return "The comment is not closed. Write */ at its end."
    if rest[0] in "'`":
        return f"The {'string' if rest[0] == chr(39) else 'identifier'} is not closed. Write {rest[0]} at its end."
    if rest[0] == '"':
        return "Strings stand in single quotes: 'text'."
    if rest[0] == "@":
        return f"{shown(rest.split()[0])} is no date or time. Write @2026-01-31, @2026-01-31T08:30:00Z or @T08:30, a time without zone."
    if rest[0] == "%":
        return "A % is followed by a name: %resource, or %`vs-administrative-gender`."
    if rest[0] == "$":
        return "A $ is followed by this, index or total."
    if rest[0].isdigit():
        return f"{shown(rest.split()[0])} is no number: letters follow its digits."
    return f"The character {rest[0]!r} has no meaning here."
