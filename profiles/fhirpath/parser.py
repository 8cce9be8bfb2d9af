"""Tokens → expression (FHIRPath N1, grammar and precedence): each operator takes what binds more closely than it does."""

from collections.abc import Callable, Mapping
from decimal import Decimal

from profiles.fhirpath.errors import FhirPathError, shown
from profiles.fhirpath.lexer import Kind, Token, tokens
from profiles.fhirpath.moments import Moment
from profiles.fhirpath.syntax import (
    BINDING,
    SIGN,
    Amount,
    Call,
    Context,
    Expression,
    Index,
    Literal,
    Member,
    Operation,
    Polarity,
    TypeTest,
    Variable,
)

MOST_NESTED = 60
"""Parentheses, arguments and signs inside one another; reading them takes three calls each."""

MOST_DEEP = 200
"""Steps and operators one after the other, which are evaluated inside one another."""

CALENDAR = {
    word: word.removesuffix("s")
    for unit in ("year", "month", "week", "day", "hour", "minute", "second", "millisecond")
    for word in (unit, f"{unit}s")
}
"""The words of the calendar, in singular and plural, by their singular."""

_WORDS = frozenset({"and", "or", "xor", "implies", "div", "mod"})
"""Words that are no names where an expression begins; other operators are, such as `repeat(contains)`."""


def parse(text: str) -> Expression:
    """Return the expression of a text.

    Raises:
        FhirPathError: It is no expression; the error says where and why.
    """
    try:
        return _parsed(text)
    except FhirPathError as error:
        raise error.of(text) from None


def _parsed(text: str) -> Expression:
    reader = _Reader(tokens(text))
    try:
        found = reader.expression(0)
    except RecursionError:
        raise FhirPathError("limit", "The expression is nested too deeply. Write it in parts.", 0) from None
    if reader.here.kind != "end":
        raise _unexpected(reader.here, "The expression should end, or go on with an operator.")
    if reader.level > MOST_DEEP:
        raise FhirPathError(
            "limit", f"More than {MOST_DEEP} steps and operators follow one another. Write the expression in parts.", 0
        )
    return found


def _unexpected(token: Token, remedy: str) -> FhirPathError:
    found = "the end of the expression" if token.kind == "end" else f"'{shown(token.text)}'"
    return FhirPathError("syntax", f"Found {found}. {remedy}", token.offset)


class _Reader:
    """The tokens and the place in them; `level` is how many parts of the last expression read are inside one another."""

    def __init__(self, found: list[Token]) -> None:
        self.tokens = found
        self.index = 0
        self.nested = 0
        self.level = 0

    @property
    def here(self) -> Token:
        return self.tokens[self.index]

    def take(self) -> Token:
        token = self.tokens[self.index]
        self.index += 1
        return token

    def at(self, sign: str) -> bool:
        token = self.tokens[self.index]
        return token.kind == "sign" and token.text == sign

    def need(self, sign: str, remedy: str) -> None:
        if not self.at(sign):
            raise _unexpected(self.here, remedy)
        self.index += 1

    def expression(self, least: int) -> Expression:
        """Read an expression whose operators bind more closely than `least`."""
        self.nested += 1
        if self.nested > MOST_NESTED:
            raise FhirPathError(
                "limit",
                f"More than {MOST_NESTED} parentheses or signs stand inside one another. Write it in parts.",
                self.here.offset,
            )
        left = self.signed()
        level = self.level
        while True:
            token = self.here
            operator = token.text if token.kind in {"sign", "name"} else ""
            binding = BINDING.get(operator, 0)
            if binding <= least:
                self.nested -= 1
                self.level = level
                return left
            self.index += 1
            if operator in {"is", "as"}:
                left = TypeTest(operator, left, self.type(), token.offset)
                level += 1
            else:
                left = Operation(operator, left, self.expression(binding), token.offset)
                level = max(level, self.level) + 1

    def signed(self) -> Expression:
        token = self.here
        if token.kind == "sign" and token.text in "+-":
            self.index += 1
            operand = self.expression(SIGN - 1)
            self.level += 1
            return Polarity(token.text, operand, token.offset)
        return self.steps(self.term())

    def steps(self, source: Expression) -> Expression:
        level = self.level
        while True:
            if self.at("."):
                self.index += 1
                source = self.step(source)
                level = max(level + 1, self.level)
            elif self.at("["):
                offset = self.take().offset
                index = self.expression(0)
                self.need("]", "An index is closed with ].")
                source = Index(source, index, offset)
                level = max(level, self.level) + 1
            else:
                self.level = level
                return source

    def step(self, source: Expression) -> Expression:
        token = self.take()
        if token.kind in {"name", "quoted"}:
            return self.named(source, token)
        raise _unexpected(token, "A . is followed by the name of a member or a function.")

    def named(self, source: Expression | None, token: Token) -> Expression:
        self.level = level = 1
        if not self.at("("):
            return Member(source, token.text, token.offset)
        self.index += 1
        arguments: list[Expression] = []
        while not self.at(")"):
            if arguments:
                self.need(",", "Arguments are separated by commas and closed with ).")
            arguments.append(self.expression(0))
            level = max(level, self.level + 1)
        self.index += 1
        self.level = level
        return Call(source, token.text, tuple(arguments), token.offset)

    def term(self) -> Expression:
        self.level = 1
        token = self.take()
        read = _TERMS.get(token.kind)
        if read is not None:
            return read(self, token)
        raise _unexpected(token, "A value, a path or a ( is needed there.")

    def word(self, token: Token) -> Expression:
        if token.text in {"true", "false"}:
            return Literal(token.text == "true", token.offset)
        if token.text in _WORDS:
            raise _unexpected(
                token, "A value or a path is needed before an operator; a name that is a word stands in backticks."
            )
        return self.named(None, token)

    def bracketed(self, token: Token) -> Expression:
        if token.text == "(":
            inner = self.expression(0)
            self.need(")", "The parenthesis is closed with ).")
            return inner
        if token.text == "{":
            self.need("}", "The empty collection is written {}; its braces hold nothing.")
            return Literal(None, token.offset)
        raise _unexpected(token, "A value, a path or a ( is needed there.")

    def number(self, token: Token) -> Expression:
        unit = self.here
        if unit.kind == "text":
            self.index += 1
            return Literal(Amount(Decimal(token.text), unit.text), token.offset)
        if unit.kind == "name" and unit.text in CALENDAR:
            self.index += 1
            return Literal(Amount(Decimal(token.text), CALENDAR[unit.text], calendar=True), token.offset)
        if "." in token.text:
            return Literal(Decimal(token.text), token.offset)
        number = int(token.text)
        return Literal(number if number < 2**31 else Decimal(number), token.offset)

    def moment(self, token: Token) -> Expression:
        found = Moment.parse(token.text)
        if found is None:
            raise FhirPathError(
                "syntax", f"@{shown(token.text)} is no date or time that a calendar and a clock show.", token.offset
            )
        return Literal(found, token.offset)

    def type(self) -> str:
        token = self.take()
        if token.kind not in {"name", "quoted"}:
            raise _unexpected(token, "is and as are followed by the name of a type.")
        if "." in token.text:
            raise _unexpected(token, "The name of a type has no dot; its namespace stands before it: FHIR.Quantity.")
        if not self.at("."):
            return token.text
        self.index += 1
        second = self.take()
        if second.kind not in {"name", "quoted"}:
            raise _unexpected(second, "The namespace of a type is followed by its name: FHIR.Quantity.")
        return f"{token.text}.{second.text}"


_TERMS: Mapping[Kind, Callable[[_Reader, Token], Expression]] = {
    "name": _Reader.word,
    "quoted": lambda reader, token: reader.named(None, token),
    "text": lambda _, token: Literal(token.text, token.offset),
    "number": _Reader.number,
    "moment": _Reader.moment,
    "variable": lambda _, token: Variable(token.text, token.offset),
    "context": lambda _, token: Context(token.text[1:], token.offset),
    "sign": _Reader.bracketed,
}
"""How a term is read that begins with a token of a kind."""
