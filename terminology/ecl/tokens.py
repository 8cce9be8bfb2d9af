"""Tokens of an expression constraint, and where brackets close."""

import re
from dataclasses import dataclass

MOST_CHARACTERS = 20_000

_TOKEN = re.compile(
    r"""(?P<space>[ \t\r\n]+|/\*(?:[^*]|\*(?!/))*\*/)
      | (?P<term>\|[^|]*\|)
      | (?P<string>"(?:[^"\\]|\\.)*")
      | (?P<number>\#[+-]?[0-9]+(?:\.[0-9]+)?)
      | (?P<word>[A-Za-z][A-Za-z0-9_-]*)
      | (?P<digits>[0-9]+)
      | (?P<sign>!!>|!!<|<<!|>>!|<!|>!|<<|>>|<=|>=|!=|\{\{|\}\}|\.\.|[<>=^:,.()\[\]{}*+-])""",
    re.VERBOSE | re.DOTALL,
)

LONG = {
    "descendantof": "<", "descendantorselfof": "<<", "childof": "<!", "childorselfof": "<<!", "ancestorof": ">",
    "ancestororselfof": ">>", "parentof": ">!", "parentorselfof": ">>!", "memberof": "^", "any": "*", "top": "!!>", "bottom": "!!<",
}  # fmt: skip
"""Operators as the long form of the language spells them, in lower case."""
REVERSED = "reverseof"


class InvalidConstraint(ValueError):
    """A text is no expression constraint; the message says where and why."""


@dataclass(frozen=True, slots=True)
class Token:
    """A token.

    Attributes:
        kind: term, string, number, word, digits, sign or end.
        text: As written.
        place: Character that it begins at, from 1.
    """

    kind: str
    text: str
    place: int

    def __str__(self) -> str:
        if self.kind == "end":
            return "the end"
        return f"'{self.text[:40]}' at character {self.place}"


def tokens(text: str) -> list[Token]:
    """Return the tokens of a constraint, with one of kind `end` behind them; white space, comments and terms of concepts are left out.

    Raises:
        InvalidConstraint: There is a character that begins none, or the text is too long.
    """
    if len(text) > MOST_CHARACTERS:
        raise InvalidConstraint(
            f"The constraint has {len(text)} characters; {MOST_CHARACTERS} are the most. Shorten it."
        )
    found: list[Token] = []
    place = 0
    while place < len(text):
        match = _TOKEN.match(text, place)
        if match is None:
            raise InvalidConstraint(_unreadable(text, place))
        kind = match.lastgroup or ""
        if kind == "term":
            if not found or found[-1].kind != "digits":
                raise InvalidConstraint(
                    f"The term {match[0][:40]} at character {place + 1} follows no concept. Put the identifier before it."
                )
        elif kind != "space":
            found.append(_token(kind, match[0], place + 1))
        place = match.end()
    return [*found, Token("end", "", len(text) + 1)]


def _token(kind: str, text: str, place: int) -> Token:
    word = text.lower() if kind == "word" else ""
    if word in LONG:
        return Token("sign", LONG[word], place)
    return Token(kind, "R" if word == REVERSED else text, place)


def closing(found: list[Token]) -> dict[int, int]:
    """Return the index of the `)` of each `(`, by its index, as far as they are closed."""
    pairs: dict[int, int] = {}
    opened: list[int] = []
    for index, token in enumerate(found):
        if token.text == "(" and token.kind == "sign":
            opened.append(index)
        elif token.text == ")" and token.kind == "sign" and opened:
            pairs[opened.pop()] = index
    return pairs


def _unreadable(text: str, place: int) -> str:
    character, where = text[place], f"at character {place + 1}"
    if character == "|":
        return f"The term {where} is not closed. Put a | behind it."
    if character == '"':
        return f'The text {where} is not closed. Put a " behind it.'
    if text.startswith("/*", place):
        return f"The comment {where} is not closed. Put */ behind it."
    return f"{character!r} {where} has no meaning in an expression constraint."
