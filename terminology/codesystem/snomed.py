"""SNOMED CT (https://hl7.org/fhir/R4/snomedct.html): expression constraints as filters, and post-coordinated expressions as codes.

Filters of its own:

* `constraint` (also `expression`) `=`: an expression constraint.
* `concept` `in`: members of a reference set, by its identifier; more than one identifier is a list of concepts.
* `expressions` `=` `true` or `false`: whether post-coordinated expressions count.
"""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import replace

from pyroaring import BitMap

from terminology.codesystem.filters import listing, yes
from terminology.codesystem.particular import Particular
from terminology.codesystem.provider import Filter, InvalidFilter
from terminology.concept import NOT_ENUMERATED, Concept
from terminology.ecl import evaluation
from terminology.ecl.expression import NORMAL_FORM, Expression, InvalidExpression, Pair, Value, parse
from terminology.ecl.nodes import Anything, Constraint, Joined, Reference, Related
from terminology.ecl.parser import parse as constraint
from terminology.ecl.tokens import InvalidConstraint

URL = "http://snomed.info/sct"
CONSTRAINTS = frozenset({"constraint", "expression"})
MOST_CODES = 200
"""Of an expression."""

Group = tuple[Pair, ...]


class Snomed(Particular):
    """One version of SNOMED CT."""

    async def find(self, code: str) -> Concept | None:
        """Return the concept of an identifier, or of a post-coordinated expression of which all concepts are there.

        The code of an expression is as it was written; its display is put together of the displays of its concepts.
        """
        text = code.strip()
        if text.isdigit():
            return await self.base.find(text)
        expression = _read(text)
        if expression is None or len(expression.codes) > MOST_CODES:
            return None
        if expression.plain:
            return await self.base.find(expression.focus[0])
        named: dict[str, Concept] = {}
        for one in expression.codes:
            concept = await self.base.find(one)
            if concept is None:
                return None
            named[one] = concept
        return Concept(
            code=code,
            display=_shown(expression, {one: concept.display for one, concept in named.items()}),
            ordinal=NOT_ENUMERATED,
            inactive=any(one.inactive for one in named.values()),
        )

    def reason(self, code: str) -> str:
        """Return why a code is no expression; nothing for what is written as an identifier."""
        if code.strip().isdigit():
            return ""
        try:
            parse(code)
        except InvalidExpression as error:
            return str(error)
        return "A concept of the expression is not in this version of SNOMED CT."

    async def select(self, rule: Filter) -> BitMap:
        """Return the concepts that a filter selects; expressions are none of them."""
        if rule.property in CONSTRAINTS:
            _equals(rule)
            try:
                return await evaluation.select(rule.value, self.base)
            except InvalidConstraint as error:
                raise InvalidFilter(f"The expression constraint '{rule.value[:80]}' cannot be used. {error}") from None
        if rule.property == "expressions":
            _equals(rule)
            yes(rule.value)
            return await self.everything()
        if rule.property == "concept" and rule.op == "in":
            codes = listing(rule.value)
            if len(codes) == 1:
                return (await self.stated(evaluation.MEMBER_OF)).get(codes[0], BitMap()).copy()
        return await self.base.select(rule)

    async def holds(self, rule: Filter, concept: Concept) -> bool:
        """Return whether a filter selects a concept or an expression."""
        if concept.ordinal != NOT_ENUMERATED:
            return concept.ordinal in await self.select(rule)
        if rule.property == "expressions":
            _equals(rule)
            return yes(rule.value)
        expression = _read(concept.code)
        if expression is None:
            return False
        if rule.property in CONSTRAINTS:
            _equals(rule)
            await self.select(rule)
            return await self._satisfies(expression, constraint(rule.value))
        if rule.property in {"concept", "code"}:
            by_code = ON_EXPRESSIONS.get(rule.op)
            if by_code is not None:
                return await by_code(self, expression, rule.value)
        return False

    async def subsumes(self, one: Concept, other: Concept) -> bool:
        """Return whether a concept or expression is another one or above it, as far as attributes and hierarchy tell."""
        if NOT_ENUMERATED not in {one.ordinal, other.ordinal}:
            return await self.base.subsumes(one, other)
        upper, lower = _read(one.code), _read(other.code)
        return upper is not None and lower is not None and await self._above(upper, lower)

    async def is_a(self, expression: Expression, code: str) -> bool:
        """Return whether an expression is a concept or below it."""
        concept = _read(code.strip())
        return concept is not None and await self._above(concept, expression)

    async def _satisfies(self, expression: Expression, wanted: Constraint) -> bool:
        """Return whether an expression satisfies a constraint that follows the hierarchy.

        Raises:
            InvalidFilter: The constraint asks for more.
        """
        match wanted:
            case Anything():
                return True
            case Reference(code):
                return expression.normal == code
            case Related("<<" | "<" as operator, Reference(code)):
                # An expression that refines a concept is below it, and not it.
                return await self.is_a(expression, code) and (operator == "<<" or expression.normal != code)
            case Joined(operator, parts):
                held = [await self._satisfies(expression, part) for part in parts]
                return held[0] and not held[1] if operator == "MINUS" else all(held) if operator == "AND" else any(held)
            case _:
                raise InvalidFilter(
                    "Whether a post-coordinated expression satisfies this expression constraint cannot be told. "
                    "Constraints of <, <<, AND, OR and MINUS are told of expressions."
                )

    async def _above(self, upper: Expression, lower: Expression) -> bool:
        """Return whether an expression is another one or above it."""
        if upper.normal == lower.normal:
            return True
        if upper.subtype:
            return False
        whole = await self._with_definitions(lower)
        if await self._refines(upper, whole):
            return True
        defined = await self._definition(upper) if upper.plain else None
        return defined is not None and await self._refines(defined, whole)

    async def _refines(self, upper: Expression, lower: Expression) -> bool:
        for focus in upper.focus:
            if not await self._any_below(focus, lower.focus):
                return False
        groups: list[Group] = [*((pair,) for pair in lower.attributes), *lower.groups]
        wanted: list[Group] = [*((pair,) for pair in upper.attributes), *upper.groups]
        for group in wanted:
            if not await self._any_group(group, groups):
                return False
        return True

    async def _any_group(self, wanted: Group, groups: Iterable[Group]) -> bool:
        for group in groups:
            if all([await self._any_pair(pair, group) for pair in wanted]):
                return True
        return False

    async def _any_pair(self, wanted: Pair, group: Group) -> bool:
        for name, value in group:
            if await self._any_below(wanted[0], [name]) and await self._value_above(wanted[1], value):
                return True
        return False

    async def _value_above(self, upper: Value, lower: Value) -> bool:
        if isinstance(upper, Expression) and isinstance(lower, Expression):
            return await self._above(upper, lower)
        return upper == lower

    async def _any_below(self, code: str, others: Iterable[str]) -> bool:
        """Return whether one of several concepts is a concept or below it."""
        found = await self.base.find(code)
        for other in others:
            if other == code:
                return True
            concept = await self.base.find(other)
            if found is not None and concept is not None and await self.base.subsumes(found, concept):
                return True
        return False

    async def _definition(self, expression: Expression) -> Expression | None:
        """Return what a concept is defined as, `None` where its definition is not sufficient."""
        concept = await self.base.find(expression.focus[0])
        said = {one.code: one.value for one in concept.properties} if concept else {}
        form = _read(str(said.get(NORMAL_FORM, "")))
        return form if said.get("sufficientlyDefined") is True and form is not None and not form.plain else None

    async def _with_definitions(self, expression: Expression) -> Expression:
        """Return an expression with the attributes that its focus concepts have already."""
        whole = expression
        for code in expression.focus:
            concept = await self.base.find(code)
            said = {one.code: one.value for one in concept.properties} if concept else {}
            form = _read(str(said.get(NORMAL_FORM, "")))
            if form is not None:
                whole = replace(
                    whole,
                    attributes=(*whole.attributes, *form.attributes),
                    groups=(*whole.groups, *form.groups),
                )
        return whole


async def _same(snomed: Snomed, expression: Expression, value: str) -> bool:
    other = _read(value)
    return other is not None and other.normal == expression.normal


async def _listed(snomed: Snomed, expression: Expression, value: str) -> bool:
    """Return whether an expression is in a list; expressions have commas too, so each run of pieces may be one."""
    pieces = value.split(",")[:MOST_CODES]
    runs = (",".join(pieces[begin:end]) for begin in range(len(pieces)) for end in range(begin + 1, len(pieces) + 1))
    like = (run for run in runs if run.count(",") <= len(expression.codes))
    return any(other is not None and other.normal == expression.normal for other in map(_read, like))


async def _below(snomed: Snomed, expression: Expression, value: str) -> bool:
    return expression.normal != value and await snomed.is_a(expression, value)


async def _not_below(snomed: Snomed, expression: Expression, value: str) -> bool:
    return not await snomed.is_a(expression, value)


ON_EXPRESSIONS: Mapping[str, Callable[[Snomed, Expression, str], Awaitable[bool]]] = {
    "is-a": Snomed.is_a,
    "descendent-of": _below,
    "is-not-a": _not_below,
    "=": _same,
    "in": _listed,
}
"""What tells by operator whether a filter on concepts selects an expression; no other operator does."""


def _read(text: str) -> Expression | None:
    try:
        return parse(text)
    except InvalidExpression:
        return None


def _equals(rule: Filter) -> None:
    if rule.op != "=":
        raise InvalidFilter(f"The filter '{rule.property}' of SNOMED CT goes with =, and not with '{rule.op[:40]}'.")


def _shown(expression: Expression, names: Mapping[str, str]) -> str:
    """Return an expression in words: `Disease: Finding site = Heart structure`."""
    focus = " + ".join(names[one] for one in expression.focus)
    parts = [_pair(pair, names) for pair in expression.attributes]
    parts += ["{" + ", ".join(_pair(pair, names) for pair in group) + "}" for group in expression.groups]
    return f"{focus}: {', '.join(parts)}" if parts else focus


def _pair(pair: Pair, names: Mapping[str, str]) -> str:
    name, value = pair
    if isinstance(value, str):
        return f"{names[name]} = {value.removeprefix('#')}"
    shown = _shown(value, names)
    return f"{names[name]} = {shown}" if value.plain else f"{names[name]} = ({shown})"
