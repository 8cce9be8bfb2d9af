"""The grammar of UCUM, case sensitive (https://ucum.org/ucum#section-Full-Syntax-Rules-and-Expressions).

    main-term   = ["/"] term
    term        = component {("." | "/") component}          from left to right: a/b.c is (a/b).c
    component   = symbol [exponent] [annotation] | factor [annotation] | annotation | "(" term ")"
    exponent    = ["+" | "-"] digits
    factor      = digits
    annotation  = "{" printable ASCII "}"                     says something to people, counts as 1

What a symbol means is not known here.
"""

import re
from dataclasses import dataclass

MOST_CHARACTERS = 200
MOST_NESTED = 10
MOST_DIGITS = 30
MOST_EXPONENT = 999


class InvalidUnit(ValueError):
    """A code is not a unit of UCUM; the message says what to write instead."""


@dataclass(frozen=True, slots=True)
class Factor:
    """A positive whole number."""

    number: int


@dataclass(frozen=True, slots=True)
class Symbol:
    """A unit with or without prefix, to a power."""

    text: str
    exponent: int = 1


@dataclass(frozen=True, slots=True)
class Term:
    """A product; of each component whether it is multiplied (1) or divided by (-1)."""

    components: tuple[tuple["Component", int], ...]


Component = Factor | Symbol | Term

ONE = Factor(1)

_TOKEN = re.compile(
    r"""(?P<operator>[./])
      | (?P<open>\()
      | (?P<close>\))
      | (?P<annotation>\{[!-z|~]*\})
      | (?P<symbol>(?:\[[!-Z\\^-z|~]*\]|[!#-'*-\-0-<>-Z\\^-z|~])+)""",
    re.VERBOSE | re.ASCII,
)
_POWER = re.compile(r"(?P<text>.*?[^0-9+-])(?P<exponent>[+-]?[0-9]+)?", re.ASCII)


def parse(code: str) -> Term:
    """Return the structure of a unit code.

    Raises:
        InvalidUnit: It does not follow the grammar, or is beyond the bounds of this module.
    """
    if not code:
        raise InvalidUnit("The unit is empty. Write 1 for a pure number.")
    if len(code) > MOST_CHARACTERS:
        raise InvalidUnit(f"The unit has {len(code)} characters; {MOST_CHARACTERS} are the most that are read.")
    return _term(_tokens(code), 0, 0)[0]


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: str
    place: int


def _tokens(code: str) -> list[_Token]:
    found: list[_Token] = []
    place = 0
    while place < len(code):
        match = _TOKEN.match(code, place)
        if not match:
            raise InvalidUnit(_unreadable(code, place))
        found.append(_Token(match.lastgroup or "", match[0], place))
        place = match.end()
    return [*found, _Token("end", "", place)]


def _unreadable(code: str, place: int) -> str:
    character = code[place]
    if character == " ":
        return f"'{code}' holds a space at character {place + 1}. Write a dot between units that are multiplied."
    if character in "[{":
        return f"The {character} at character {place + 1} of '{code}' is not closed, or holds what may not be in it."
    if not character.isascii():
        return f"'{code}' holds {character!r} at character {place + 1}. A unit is written in ASCII."
    return f"The {character!r} at character {place + 1} of '{code}' is not allowed there."


def _term(tokens: list[_Token], index: int, depth: int) -> tuple[Term, int]:
    """Return the term that begins at a token, and the index of the token after it."""
    if depth > MOST_NESTED:
        raise InvalidUnit(f"The unit nests more than {MOST_NESTED} parentheses. Write it with fewer.")
    components: list[tuple[Component, int]] = []
    sign = 1
    if not depth and tokens[index].text == "/":
        sign, index = -1, index + 1
    while True:
        component, index = _component(tokens, index, depth)
        components.append((component, sign))
        token = tokens[index]
        if token.kind == "operator":
            sign, index = (-1 if token.text == "/" else 1), index + 1
        elif token.kind == ("close" if depth else "end"):
            return Term(tuple(components)), index + 1
        else:
            raise InvalidUnit(_unexpected(token, "Write . or / between the parts of a unit."))


def _component(tokens: list[_Token], index: int, depth: int) -> tuple[Component, int]:
    token = tokens[index]
    if token.kind == "open":
        return _term(tokens, index + 1, depth + 1)
    if token.kind == "annotation":
        return ONE, index + 1
    if token.kind != "symbol":
        raise InvalidUnit(_unexpected(token, "A unit, a number or a ( is needed there."))
    annotated = tokens[index + 1].kind == "annotation"
    return _simple(token), index + (2 if annotated else 1)


def _simple(token: _Token) -> Factor | Symbol:
    text = token.text
    if text.isdigit():
        if len(text) > MOST_DIGITS or not int(text):
            raise InvalidUnit(f"The number {text[:40]} is no factor. Write one from 1 to {MOST_DIGITS} digits.")
        return Factor(int(text))
    match = _POWER.fullmatch(text)
    if not match:
        raise InvalidUnit(_unexpected(token, "A + or - may only stand before the digits of an exponent."))
    exponent = match["exponent"]
    if exponent is None:
        return Symbol(text)
    if len(exponent.lstrip("+-")) > len(str(MOST_EXPONENT)):
        raise InvalidUnit(f"The exponent of '{text[:40]}' is too large; {MOST_EXPONENT} is the most that is read.")
    return Symbol(match["text"], int(exponent))


def _unexpected(token: _Token, remedy: str) -> str:
    what = f"'{token.text}' at character {token.place + 1}" if token.text else "the end of the unit"
    return f"Found {what}. {remedy}"
