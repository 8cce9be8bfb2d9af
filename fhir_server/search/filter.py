"""The language of `_filter` as a tree of tests (R4 3.1.3): what is written, before anybody knows what the names mean.

    given eq "peter" and birthdate ge 2014-10-10
    not (code eq http://loinc.org|1234-5) or subject.name co "pet"
    subject[active eq true].organization.name sw "st "

`and` and `or` are read from left to right and bind alike (R4); parentheses say otherwise. Every node knows its place in the text.
"""

import json
import re
from dataclasses import dataclass
from typing import Literal

from fhir_server.model.errors import InvalidParameter
from fhir_server.search.escapes import shown

FILTER = "_filter"
OPERATORS = (
    "eq", "ne", "co", "sw", "ew", "gt", "lt", "ge", "le", "ap", "sa", "eb", "pr", "po", "ss", "sb", "in", "ni", "re",
)  # fmt: skip
EXAMPLE = 'given eq "peter" and birthdate ge 2014-10-10'

MOST_TESTS = 200
MOST_NESTED = 20
LONGEST = 2000
"""Characters of a value."""

_SPACE = re.compile(r"\s*")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_:\-]*", re.ASCII)
_STRING = re.compile(r'"(?:[^"\\]|\\.)*"', re.DOTALL)
_TOKEN = re.compile(r"[^\s\])]+")
_LOGIC = re.compile(r"(and|or)(?![^\s(])")
_NOT = re.compile(r"not\s*(?=\()")


@dataclass(frozen=True, slots=True)
class Step:
    """One name of a path, with the filter in brackets behind it, if there is one."""

    name: str
    where: "Filter | None" = None


@dataclass(frozen=True, slots=True)
class Comparison:
    """A path, an operator, a value.

    Attributes:
        path: Names of parameters; all but the last are references.
        operator: One of `OPERATORS`.
        value: Without the quotes.
        at: Where it begins, from 0.
    """

    path: tuple[Step, ...]
    operator: str
    value: str
    at: int


@dataclass(frozen=True, slots=True)
class Joined:
    """Both must hold, or one of them."""

    logic: Literal["and", "or"]
    first: "Filter"
    second: "Filter"


@dataclass(frozen=True, slots=True)
class Negated:
    """It must not hold."""

    item: "Filter"


Filter = Comparison | Joined | Negated


def read(text: str) -> Filter:
    """Return the tree of a filter.

    Raises:
        InvalidParameter: It is not of the language; the message says where.
    """
    reading = _Text(text)
    found = reading.filter(0)
    if reading.at < len(text):
        raise reading.refusal("'and', 'or' or the end")
    return found


def refusal(at: int, text: str) -> InvalidParameter:
    """Return the error for something in a filter, with its place."""
    return InvalidParameter(f"{text.rstrip('.')} (at character {at + 1} of the {FILTER}).", expression=f"http.{FILTER}")


class _Text:
    """Recursive descent over the characters; what a value is depends on where it stands, so there are no tokens before."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.tests = 0
        self.space()

    def filter(self, depth: int) -> Filter:
        if depth > MOST_NESTED:
            raise refusal(
                self.at, f"More than {MOST_NESTED} parentheses or brackets stand inside of each other. Use fewer."
            )
        found = self.item(depth)
        while logic := self.take(_LOGIC):
            found = Joined("and" if logic == "and" else "or", found, self.item(depth))
        return found

    def item(self, depth: int) -> Filter:
        if self.take(_NOT):
            return Negated(self.enclosed("(", ")", depth))
        if self.text[self.at : self.at + 1] == "(":
            return self.enclosed("(", ")", depth)
        return self.test(depth)

    def enclosed(self, opening: str, closing: str, depth: int) -> Filter:
        self.mark(opening)
        found = self.filter(depth + 1)
        self.mark(closing)
        return found

    def test(self, depth: int) -> Comparison:
        start = self.at
        self.tests += 1
        if self.tests > MOST_TESTS:
            raise refusal(start, f"A filter has more than {MOST_TESTS} tests. Search in several steps.")
        path = self.path(depth)
        at = self.at
        operator = self.take(_NAME) if self.text[at - 1].isspace() or at == 0 else ""
        if operator not in OPERATORS:
            self.at = at
            raise self.refusal(f"a space and one of the operators {', '.join(OPERATORS)}")
        if not self.text[self.at - 1].isspace():
            raise self.refusal("a space and a value")
        at, value = self.at, self.value()
        if len(value) > LONGEST:
            raise refusal(at, f"A value has more than {LONGEST:,} characters. Search by a shorter one.")
        return Comparison(path, operator, value, start)

    def path(self, depth: int) -> tuple[Step, ...]:
        steps: list[Step] = []
        while True:
            name = self.take(_NAME, space=False)
            if not name:
                raise self.refusal(f"the name of a search parameter, as in {EXAMPLE}")
            where = None
            if self.text[self.at : self.at + 1] == "[":
                where = self.enclosed("[", "]", depth)
                if self.text[self.at : self.at + 1] != ".":
                    raise self.refusal("a point and the name of a search parameter after the brackets")
            steps.append(Step(name, where))
            if self.text[self.at : self.at + 1] != ".":
                self.space()
                return tuple(steps)
            self.at += 1

    def value(self) -> str:
        if self.text[self.at : self.at + 1] == '"':
            start = self.at
            quoted = self.take(_STRING)
            try:
                return str(json.loads(quoted, strict=False))
            except ValueError:
                self.at = start
                raise self.refusal('a text in quotes, with \\" for a quote inside of it') from None
        found = self.take(_TOKEN)
        if not found:
            raise self.refusal("a value: a text in quotes, or a word without spaces and closing brackets")
        return found

    def take(self, form: re.Pattern[str], *, space: bool = True) -> str:
        """Return what stands here in this form, and go on behind it; empty where nothing does."""
        match = form.match(self.text, self.at)
        if not match:
            return ""
        self.at = match.end()
        if space:
            self.space()
        return match[0]

    def mark(self, mark: str) -> None:
        if self.text[self.at : self.at + 1] != mark:
            raise self.refusal(f"'{mark}'")
        self.at += 1
        if mark != "]":
            self.space()

    def space(self) -> None:
        match = _SPACE.match(self.text, self.at)
        self.at = match.end() if match else self.at

    def refusal(self, expected: str) -> InvalidParameter:
        rest = self.text[self.at :]
        found = f"'{shown(rest.split()[0])}'" if rest.strip() else "the end"
        return refusal(self.at, f"There must be {expected}, but here is {found}.")
