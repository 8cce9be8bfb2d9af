"""The parts of an expression: a tree of frozen records, and the tree as text again.

Two trees are equal when they mean the same; where a part stood in the text does not count.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TypeAlias

from profiles.fhirpath.moments import Moment


@dataclass(frozen=True, slots=True)
class Amount:
    """A quantity as written: `4 'mg'`, or with a word of the calendar `4 days`.

    Attributes:
        value: How many.
        unit: Code of UCUM, or the word in its singular.
        calendar: Whether it is a word of the calendar.
    """

    value: Decimal
    unit: str
    calendar: bool = False


@dataclass(frozen=True, slots=True)
class Literal:
    """A value: boolean, integer, decimal, string, date, time or quantity; `None` for `{}`."""

    value: bool | int | Decimal | str | Moment | Amount | None
    offset: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Context:
    """`$this`, `$index` or `$total`, by the word."""

    name: str
    offset: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Variable:
    """`%name`."""

    name: str
    offset: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Member:
    """`source.name`; without source `name`: a member of the focus, or its type."""

    source: "Expression | None"
    name: str
    offset: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Call:
    """`source.name(arguments)`; without source it is called on the focus."""

    source: "Expression | None"
    name: str
    arguments: tuple["Expression", ...]
    offset: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Index:
    """`source[index]`."""

    source: "Expression"
    index: "Expression"
    offset: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Polarity:
    """`-operand` or `+operand`."""

    sign: str
    operand: "Expression"
    offset: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Operation:
    """`left operator right`."""

    operator: str
    left: "Expression"
    right: "Expression"
    offset: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class TypeTest:
    """`operand is Type` or `operand as Type`; the type as `Quantity` or `FHIR.Quantity`."""

    operator: str
    operand: "Expression"
    type: str
    offset: int = field(default=0, compare=False)


Expression: TypeAlias = Literal | Context | Variable | Member | Call | Index | Polarity | Operation | TypeTest

BINDING: dict[str, int] = {
    "implies": 1,
    "or": 2,
    "xor": 2,
    "and": 3,
    "in": 4,
    "contains": 4,
    "=": 5,
    "~": 5,
    "!=": 5,
    "!~": 5,
    "<": 6,
    ">": 6,
    "<=": 6,
    ">=": 6,
    "|": 7,
    "is": 8,
    "as": 8,
    "+": 9,
    "-": 9,
    "&": 9,
    "*": 10,
    "/": 10,
    "div": 10,
    "mod": 10,
}
"""How closely an operator binds; what binds more closely is done first, equals from left to right."""

SIGN = 11
STEP = 12

_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)
_SPECIAL = re.compile(r"[\\'`\x00-\x1f\x7f-\x9f\ud800-\udfff]")
_WORDS = frozenset({"true", "false", "and", "or", "xor", "implies", "div", "mod", "is", "as", "in", "contains"})


def text(expression: Expression) -> str:
    """Return the text of an expression; it is read as an equal expression again."""
    return _WRITERS[type(expression)](expression)


def parts(expression: Expression) -> tuple[Expression, ...]:
    """Return the expressions that an expression is made of, from left to right."""
    match expression:
        case Member(source) if source is not None:
            return (source,)
        case Call(source, _, arguments):
            return arguments if source is None else (source, *arguments)
        case Index(source, index):
            return (source, index)
        case Polarity(_, operand) | TypeTest(_, operand):
            return (operand,)
        case Operation(_, left, right):
            return (left, right)
        case _:
            return ()


def _literal(one: Literal) -> str:
    match one.value:
        case None:
            return "{}"
        case bool():
            return "true" if one.value else "false"
        case str():
            return _quoted(one.value, "'")
        case Decimal():
            return format(one.value, "f")
        case Amount(value, unit, calendar):
            return f"{value:f} {unit if calendar else _quoted(unit, chr(39))}"
        case Moment():
            return one.value.literal
        case number:
            return str(number)


def _member(one: Member) -> str:
    return name(one.name) if one.source is None else f"{_inside(one.source, STEP)}.{name(one.name)}"


def _call(one: Call) -> str:
    call = f"{name(one.name)}({', '.join(text(argument) for argument in one.arguments)})"
    return call if one.source is None else f"{_inside(one.source, STEP)}.{call}"


def _operation(one: Operation) -> str:
    binding = BINDING[one.operator]
    return f"{_inside(one.left, binding)} {one.operator} {_inside(one.right, binding + 1)}"


def _type_test(one: TypeTest) -> str:
    written = ".".join(name(part) for part in one.type.split("."))
    return f"{_inside(one.operand, BINDING[one.operator])} {one.operator} {written}"


_WRITERS: dict[type, Callable[..., str]] = {
    Literal: _literal,
    Context: lambda one: f"${one.name}",
    Variable: lambda one: f"%{name(one.name)}",
    Member: _member,
    Call: _call,
    Index: lambda one: f"{_inside(one.source, STEP)}[{text(one.index)}]",
    Polarity: lambda one: f"{one.sign}{_inside(one.operand, SIGN)}",
    Operation: _operation,
    TypeTest: _type_test,
}


def _inside(one: Expression, binding: int) -> str:
    written = text(one)
    match one:
        case Operation(operator) | TypeTest(operator):
            close = BINDING[operator]
        case Polarity():
            close = SIGN
        case _:
            close = STEP
    return written if close >= binding else f"({written})"


def name(plain: str) -> str:
    """Return an identifier as it is written, in backticks where it would not be read as one."""
    return plain if _PLAIN.fullmatch(plain) and plain not in _WORDS else _quoted(plain, "`")


def _quoted(plain: str, quote: str) -> str:
    def one(match: re.Match[str]) -> str:
        character = match[0]
        return f"\\{character}" if character in "\\'`" else f"\\u{ord(character):04x}"

    return f"{quote}{_SPECIAL.sub(one, plain)}{quote}"
