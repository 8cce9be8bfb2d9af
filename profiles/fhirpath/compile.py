"""Expression → closures: each part becomes a function of the scope that returns a collection."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from profiles.fhirpath import arithmetic, operators, steps
from profiles.fhirpath.equality import negated
from profiles.fhirpath.errors import FhirPathError, shown
from profiles.fhirpath.functions.collections import sort
from profiles.fhirpath.functions.row import EMPTY, FALSE, TRUE, Function, whole
from profiles.fhirpath.functions.table import FUNCTIONS
from profiles.fhirpath.model import Model
from profiles.fhirpath.scope import Run, Scope, single
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
from profiles.fhirpath.values import Items, Node, chosen, is_type, system

CONSTANTS: Mapping[str, str] = {
    "sct": "http://snomed.info/sct",
    "loinc": "http://loinc.org",
    "ucum": "http://unitsofmeasure.org",
}
PREFIXES: Mapping[str, str] = {
    "vs-": "http://hl7.org/fhir/ValueSet/",
    "ext-": "http://hl7.org/fhir/StructureDefinition/",
}


@dataclass(frozen=True, slots=True)
class Compiler:
    """Makes the closures of one expression, which has been checked.

    Attributes:
        model: The types.
        collections: Whether `as` takes several items, as the expressions of search parameters need it.
        loose: Whether `String` means FHIR's `string` too.
    """

    model: Model
    collections: bool = False
    loose: bool = False

    def run(self, expression: Expression) -> Run:
        """Return the closure of an expression."""
        return _PARTS[type(expression)](self, expression)

    def source(self, expression: Expression | None) -> Run:
        """Return the closure of what a step is taken from: the focus where nothing is written."""
        return steps.focus if expression is None else self.run(expression)


def _literal(compiler: Compiler, one: Literal) -> Run:
    items: Items = [] if one.value is None else [one.value]

    def run(_: Scope) -> Items:
        return items

    return run


def _context(compiler: Compiler, one: Context) -> Run:
    match one.name:
        case "this":
            return steps.focus
        case "index":
            return lambda scope: EMPTY if scope.index is None else [scope.index]
        case _:
            return lambda scope: scope.total


def _variable(compiler: Compiler, one: Variable) -> Run:
    name = one.name
    url = CONSTANTS.get(name) or next(
        (f"{base}{name[len(prefix) :]}" for prefix, base in PREFIXES.items() if name.startswith(prefix)), ""
    )
    constant: Items = [url] if url else []

    def run(scope: Scope) -> Items:
        found = scope.variables.get(name)
        if found is not None:
            return found
        if not constant:
            known = ", ".join(f"%{other}" for other in sorted(scope.variables))
            raise FhirPathError(
                "execution", f"There is no %{shown(name)}. There are {known}, %sct, %loinc and %ucum.", one.offset
            )
        return constant

    return run


def _member(compiler: Compiler, one: Member) -> Run:
    if one.source is not None:
        return steps.member(compiler.run(one.source), one.name)
    return steps.head(one.name) if compiler.model.type(one.name) is not None else steps.member(steps.focus, one.name)


def _index(compiler: Compiler, one: Index) -> Run:
    source, index = compiler.run(one.source), compiler.run(one.index)

    def run(scope: Scope) -> Items:
        items = source(scope)
        place = whole(index(scope), "The index")
        return EMPTY if place is None or place < 0 else items[place : place + 1]

    return _placed(run, one.offset)


def _polarity(compiler: Compiler, one: Polarity) -> Run:
    operand = compiler.run(one.operand)

    def run(scope: Scope) -> Items:
        item = single(operand(scope), one.sign)
        value = None if item is None else system(item)
        if value is None:
            return EMPTY
        if isinstance(value, Node):
            raise FhirPathError("execution", f"{one.sign} takes a number or quantity, but found {value.type.name}.")
        return [negated(value) if one.sign == "-" else negated(negated(value))]

    return _placed(run, one.offset)


def _operation(compiler: Compiler, one: Operation) -> Run:
    left, right = compiler.run(one.left), compiler.run(one.right)
    if one.operator == "=" and isinstance(one.right, Literal) and isinstance(one.right.value, str):
        return operators.equals_text(left, one.right.value, right)
    special = operators.OPERATORS.get(one.operator)
    if special is not None:
        return special(left, right) if one.operator in operators.SAFE else _placed(special(left, right), one.offset)
    operator = one.operator
    return _placed(lambda scope: arithmetic.computed(operator, left(scope), right(scope), scope), one.offset)


def _type_test(compiler: Compiler, one: TypeTest) -> Run:
    return _placed(_typed(compiler, one.operator, compiler.run(one.operand), one.type), one.offset)


def _typed(compiler: Compiler, name: str, source: Run, type_name: str) -> Run:
    """Return the run of `is`, `as` or `ofType`."""
    full = compiler.model.named(type_name)
    if full is None:
        raise FhirPathError(
            "semantic",
            f"There is no type '{shown(type_name)}'. Write one of FHIR (Quantity) or FHIRPath (System.Integer).",
        )

    also = f"FHIR.{type_name[:1].lower()}{type_name[1:]}" if compiler.loose and full == f"System.{type_name}" else full

    def is_(scope: Scope) -> Items:
        item = single(source(scope), "is")
        return EMPTY if item is None else TRUE if is_type(item, full) or is_type(item, also) else FALSE

    def of_type(scope: Scope) -> Items:
        found = [item for item in source(scope) if chosen(item, full) or chosen(item, also)]
        scope.spend(len(found))
        return found

    def as_(scope: Scope) -> Items:
        item = single(source(scope), "as")
        return [item] if item is not None and (chosen(item, full) or chosen(item, also)) else EMPTY

    if name == "is":
        return is_
    return of_type if name == "ofType" or compiler.collections else as_


def type_argument(argument: Expression) -> str | None:
    """Return the name of a type that stands as an argument, `None` where it is none."""
    match argument:
        case Member(None, name):
            return name
        case Member(Member(None, namespace), name):
            return f"{namespace}.{name}"
        case _:
            return None


def _call(compiler: Compiler, one: Call) -> Run:
    source = compiler.source(one.source)
    if one.name == "sort":
        return _placed(_sorted(compiler, source, one.arguments), one.offset)
    function = FUNCTIONS.get(one.name)
    if function is None:
        name = type_argument(one.arguments[0])
        return _placed(_typed(compiler, one.name, source, name or ""), one.offset)
    return _called(function, source, [compiler.run(argument) for argument in one.arguments], one.offset)


def _called(function: Function, source: Run, arguments: list[Run], offset: int) -> Run:
    work = function.run
    if not arguments:

        def plain(scope: Scope) -> Items:
            try:
                return work(source(scope), scope)
            except FhirPathError as error:
                raise error.at(offset) from None

        return plain
    if function.lazy:
        return _placed(lambda scope: work(source(scope), scope, *arguments), offset)
    if len(arguments) > 1:
        return _placed(lambda scope: work(source(scope), scope, *[argument(scope) for argument in arguments]), offset)
    (argument,) = arguments

    def of_one(scope: Scope) -> Items:
        try:
            return work(source(scope), scope, argument(scope))
        except FhirPathError as error:
            raise error.at(offset) from None

    return of_one


def _sorted(compiler: Compiler, source: Run, arguments: tuple[Expression, ...]) -> Run:
    keys = [
        (compiler.run(argument.operand), argument.sign == "-")
        if isinstance(argument, Polarity)
        else (compiler.run(argument), False)
        for argument in arguments
    ] or [(steps.focus, False)]
    return lambda scope: sort(source(scope), scope, *keys)


def _placed(run: Run, offset: int) -> Run:
    """Return a run whose errors tell where in the text they arose."""

    def placed(scope: Scope) -> Items:
        try:
            return run(scope)
        except FhirPathError as error:
            raise error.at(offset) from None

    return placed


_PARTS: Mapping[type, Callable[[Compiler, Any], Run]] = {
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
