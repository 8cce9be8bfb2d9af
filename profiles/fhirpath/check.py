"""What can be known of an expression before it runs: functions, types and members that do not exist, operands that do not fit.

Each part of an expression gets a shape, the types that its items may have. What is not known is not refused.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from difflib import get_close_matches
from typing import Any

from profiles.fhirpath import signatures
from profiles.fhirpath.compile import type_argument
from profiles.fhirpath.errors import FhirPathError, shown
from profiles.fhirpath.functions.row import Function
from profiles.fhirpath.functions.table import FUNCTIONS, NAMES, SORT, TYPE_FUNCTIONS
from profiles.fhirpath.model import Model
from profiles.fhirpath.moments import Moment
from profiles.fhirpath.shapes import UNKNOWN, Rules, Shape, of
from profiles.fhirpath.syntax import (
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
from profiles.fhirpath.values import NAMES as SYSTEM_NAMES


@dataclass(frozen=True, slots=True)
class Checker:
    """The check of one expression.

    Attributes:
        model: The types.
        rules: What is allowed.
        root: Shape of what the expression is evaluated on.
    """

    model: Model
    rules: Rules
    root: Shape

    def shape(self, expression: Expression, focus: Shape) -> Shape:
        """Return the shape of an expression.

        Raises:
            FhirPathError: It makes no sense.
        """
        try:
            return _PARTS[type(expression)](self, expression, focus)
        except FhirPathError as error:
            raise error.at(expression.offset) from None

    def member(self, shape: Shape, name: str, *, first: bool = False) -> Shape:
        """Return the shape of a member.

        Raises:
            FhirPathError: None of the types has it.
        """
        if shape.types is None:
            return UNKNOWN
        own = frozenset(one for one in shape.types if first and one[:5] == "FHIR." and name in self._lineage(one))
        found: list[frozenset[str] | None] = [own] if own else [self._member(one, name) for one in shape.types]
        if any(one is None for one in found):
            return Shape(None, shape.ordered)
        types = frozenset(one for some in found if some is not None for one in some)
        if types or not shape.types:
            return Shape(types, shape.ordered)
        if first and self.rules.foreign and name in self.model.definitions.resource_types:
            return Shape(frozenset())
        raise FhirPathError("semantic", self._missing(shape.types, name, first=first))

    def _lineage(self, full: str) -> frozenset[str]:
        kind = self.model.type(full[5:])
        return kind.lineage if kind is not None else frozenset()

    def _member(self, full: str, name: str) -> frozenset[str] | None:
        """Return the types of a member of one type, none where there is no such member, `None` where that is not known."""
        if full == "System.Quantity":
            return frozenset(
                {"System.Decimal"} if name == "value" else {"System.String"} if name in {"unit", "code"} else ()
            )
        kind = self.model.type(full[5:]) if full[:5] == "FHIR." else None
        if kind is None:
            return frozenset()
        if self.model.definitions.types[kind.name].abstract or (kind.primitive and name == "value"):
            return None
        member = kind.members[name]
        return frozenset() if member is None else frozenset(f"FHIR.{option.type.name}" for option in member.options)

    def _missing(self, types: frozenset[str], name: str, *, first: bool) -> str:
        known: dict[str, None] = {}
        keys: dict[str, str] = {}
        for full in sorted(types):
            kind = self.model.type(full[5:]) if full[:5] == "FHIR." else None
            for member in (kind.members[one] for one in kind.names) if kind is not None else ():
                if member is not None:
                    known[member.name] = None
                    keys |= {
                        option.key: f"{member.name}.ofType({option.type.name})"
                        for option in member.options
                        if len(member.options) > 1
                    }
        owner = " or ".join(sorted(one.partition(".")[2] for one in types)[:3])
        if name in keys:
            return f"{owner} has no element '{name}' in FHIRPath. Write {keys[name]}."
        if first and name in self.model.definitions.resource_types:
            return (
                f"The expression is evaluated on {owner}, not on {name}. Begin with {owner} or with an element of it."
            )
        near = get_close_matches(name, known, 1)
        hint = f" Did you mean {near[0]}?" if near else f" It has {', '.join(known)}." if 0 < len(known) <= 12 else ""
        return f"{owner} has no element '{shown(name)}'.{hint}"

    def named(self, text: str) -> str:
        """Return the name of a type in full.

        Raises:
            FhirPathError: There is none.
        """
        found = self.model.named(text)
        if found is None:
            near = get_close_matches(text, self.model.definitions.types, 1)
            hint = f" Did you mean {near[0]}?" if near else ""
            raise FhirPathError("semantic", f"There is no type '{shown(text)}'.{hint}")
        return found

    def systems(self, shape: Shape) -> frozenset[str] | None:
        """Return the types of FHIRPath that the items of a shape are computed with, `None` where that is not known."""
        if shape.types is None:
            return None
        found = [self.model.system(one) for one in shape.types]
        return None if None in found else frozenset(one for one in found if one is not None)


def check(expression: Expression, model: Model, type_name: str | None, rules: Rules) -> Shape:
    """Return the shape of what an expression gives when it is evaluated on a type, `None` for any.

    Raises:
        FhirPathError: It names what does not exist, or can never give a result.
    """
    if type_name is not None and model.type(type_name) is None:
        raise FhirPathError(
            "semantic", f"There is no type '{shown(type_name)}' that an expression could be evaluated on.", 0
        )
    root = UNKNOWN if type_name is None else of(f"FHIR.{type_name}")
    return Checker(model, rules, root).shape(expression, root)


def _literal(checker: Checker, one: Literal, focus: Shape) -> Shape:
    match one.value:
        case None:
            return Shape(frozenset())
        case Moment(kind):
            return of(f"System.{kind}")
        case value:
            return of(f"System.{SYSTEM_NAMES[type(value)]}")


def _context(checker: Checker, one: Context, focus: Shape) -> Shape:
    return focus if one.name == "this" else of("System.Integer") if one.name == "index" else UNKNOWN


def _variable(checker: Checker, one: Variable, focus: Shape) -> Shape:
    if one.name == "context":
        return checker.root
    return of("System.String") if one.name in {"sct", "loinc", "ucum"} else UNKNOWN


def _member(checker: Checker, one: Member, focus: Shape) -> Shape:
    if one.source is None:
        return checker.member(focus, one.name, first=True)
    return checker.member(checker.shape(one.source, focus), one.name)


def _index(checker: Checker, one: Index, focus: Shape) -> Shape:
    source = checker.shape(one.source, focus)
    checker.shape(one.index, focus)
    _needs_order(checker, source, "[ ]")
    return source


def _needs_order(checker: Checker, shape: Shape, what: str) -> None:
    if checker.rules.ordered and not shape.ordered:
        raise FhirPathError("semantic", f"{what} needs an order, but what it is called on has none.")


def _polarity(checker: Checker, one: Polarity, focus: Shape) -> Shape:
    operand = checker.shape(one.operand, focus)
    found = checker.systems(operand)
    if found and not found & {"Integer", "Decimal", "Quantity"}:
        raise FhirPathError(
            "semantic",
            f"{one.sign} takes a number or quantity. It is done after the steps that follow it: write ({one.sign}1).abs().",
        )
    return operand


def _operation(checker: Checker, one: Operation, focus: Shape) -> Shape:
    left, right = checker.shape(one.left, focus), checker.shape(one.right, focus)
    if one.operator == "|":
        return replace(left | right, ordered=left.ordered and right.ordered)
    first, second = checker.systems(left), checker.systems(right)
    found = signatures.result(one.operator, first, second)
    if found is None:
        raise FhirPathError(
            "semantic",
            f"{_types(left)} {one.operator} {_types(right)} has no result: {signatures.takes(one.operator)}.",
        )
    return Shape(frozenset(f"System.{name}" for name in found) or None)


def _types(shape: Shape) -> str:
    names = sorted(one.partition(".")[2] for one in shape.types or ())
    return " or ".join(names[:3]) if names else "nothing"


def _type_test(checker: Checker, one: TypeTest, focus: Shape) -> Shape:
    return _typed(checker, one.operator, checker.shape(one.operand, focus), one.type)


def _typed(checker: Checker, name: str, source: Shape, type_name: str) -> Shape:
    full = checker.named(type_name)
    return of("System.Boolean") if name == "is" else Shape(frozenset({full}), source.ordered)


def _call(checker: Checker, one: Call, focus: Shape) -> Shape:
    if one.name not in NAMES:
        near = get_close_matches(one.name, NAMES, 1)
        raise FhirPathError(
            "semantic", f"There is no function {shown(one.name)}().{f' Did you mean {near[0]}()?' if near else ''}"
        )
    source = focus if one.source is None else checker.shape(one.source, focus)
    if one.name in TYPE_FUNCTIONS:
        name = type_argument(one.arguments[0]) if len(one.arguments) == 1 else None
        if name is None:
            raise FhirPathError("semantic", f"{one.name}() takes the name of one type, such as {one.name}(Quantity).")
        return _typed(checker, one.name, source, name)
    if one.name == SORT:
        for argument in one.arguments:
            checker.shape(argument.operand if isinstance(argument, Polarity) else argument, source)
        return replace(source, ordered=True)
    function = FUNCTIONS[one.name]
    _count(one, function)
    arguments = _arguments(checker, one, function, source, focus)
    _input(checker, one.name, function, source)
    if one.name == "iif":
        criterion = checker.systems(arguments[0])
        if criterion and "Boolean" not in criterion:
            raise FhirPathError("semantic", f"The criterion of iif() is a Boolean, not {_types(arguments[0])}.")
    return _given(function, one.name, source, arguments)


def _count(one: Call, function: Function) -> None:
    found = len(one.arguments)
    if not function.least <= found <= function.most:
        allowed = str(function.least) if function.least == function.most else f"{function.least} to {function.most}"
        raise FhirPathError(
            "semantic", f"{one.name}() takes {allowed} argument{'' if allowed == '1' else 's'}, but has {found}."
        )


def _arguments(checker: Checker, one: Call, function: Function, source: Shape, focus: Shape) -> list[Shape]:
    """Return the shapes of the arguments: lazy ones are evaluated on the input, what `repeat()` finds on what it found."""
    inner = UNKNOWN if one.name == "repeat" else source if function.lazy and one.name != "coalesce" else focus
    return [checker.shape(argument, inner) for argument in one.arguments]


def _input(checker: Checker, name: str, function: Function, source: Shape) -> None:
    if function.ordered:
        _needs_order(checker, source, f"{name}()")
    wanted = signatures.INPUTS.get(function.takes)
    found = checker.systems(source)
    if wanted is not None and found and not found & wanted:
        raise FhirPathError(
            "semantic", f"{name}() is called on {' or '.join(sorted(wanted))}, not on {_types(source)}."
        )


def _given(function: Function, name: str, source: Shape, arguments: list[Shape]) -> Shape:
    match function.gives:
        case "":
            known = of("FHIR.Extension") if name == "extension" else UNKNOWN
            return replace(known, ordered=not function.unordered)
        case "input":
            return source
        case "argument":
            return replace(arguments[0], ordered=source.ordered and arguments[0].ordered)
        case "both":
            return source | arguments[0]
        case "branches":
            return _united(arguments[1:])
        case name_of_type:
            return of(f"System.{name_of_type}")


def _united(shapes: Iterable[Shape]) -> Shape:
    found = Shape(frozenset())
    for shape in shapes:
        found = found | shape
    return found


_PARTS: Mapping[type, Callable[[Checker, Any, Shape], Shape]] = {
    Literal: _literal,
    Context: _context,
    Variable: _variable,
    Member: _member,
    Call: _call,
    Index: _index,
    Polarity: _polarity,
    Operation: _operation,
    TypeTest: _type_test,
}
