"""Refinements: which concepts have the attributes, and groups of attributes, that a constraint asks for."""

import operator
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from functools import reduce
from typing import TYPE_CHECKING

from pyroaring import BitMap

from terminology.ecl.descriptions import like
from terminology.ecl.expression import NORMAL_FORM, InvalidExpression, groups
from terminology.ecl.nodes import Anything, Attribute, Both, Constraint, Count, Group, Reference, Refinement, Term
from terminology.ecl.tokens import InvalidConstraint
from terminology.words import split

if TYPE_CHECKING:
    from terminology.ecl.evaluation import Evaluation

MOST_READ = 100_000
MOST_AT_ONCE = 1_000

_NUMBERS: Mapping[str, Callable[[Decimal, Decimal], bool]] = {
    "=": operator.eq,
    "!=": operator.eq,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


async def satisfying(refinement: Refinement, within: BitMap, evaluation: "Evaluation") -> BitMap:
    """Return the concepts of a set that satisfy a refinement.

    Raises:
        InvalidConstraint: Too many concepts would have to be read one by one.
    """
    match refinement:
        case Both("AND", parts):
            for part in parts:
                within = await satisfying(part, within, evaluation)
            return within
        case Both(_, parts):
            return reduce(operator.or_, [await satisfying(part, within, evaluation) for part in parts])
        case Group(inner, count):
            return await _grouped(inner, count, within, evaluation)
        case Attribute():
            return within & await _with_attribute(refinement, within, evaluation)


async def _with_attribute(attribute: Attribute, within: BitMap, evaluation: "Evaluation") -> BitMap:
    """Return the concepts with as many such attributes as the cardinality says."""
    count = attribute.count
    having = await (_targets if attribute.reverse else _sources)(attribute, evaluation)
    if count.some:
        return BitMap().union(*having)
    # By how many attributes each concept has at least: a set for each number, as far as numbers matter.
    levels = [within]
    highest = max(count.least, 0 if count.most is None else count.most + 1)
    for one in having:
        for number in range(len(levels) - 1, -1, -1):
            more = levels[number] & one
            if not more or number == highest:
                continue
            if number + 1 == len(levels):
                levels.append(more)
            else:
                levels[number + 1] = levels[number + 1] | more
    enough = levels[count.least] if count.least < len(levels) else BitMap()
    too_many = levels[count.most + 1] if count.most is not None and count.most + 1 < len(levels) else BitMap()
    return enough - too_many


async def _sources(attribute: Attribute, evaluation: "Evaluation") -> list[BitMap]:
    """Return the concepts that have the attribute, apart for each of its values."""
    found = []
    for stated, values in await _allowed(attribute, evaluation):
        found += [stated[one] for one in values]
    return found


async def _targets(attribute: Attribute, evaluation: "Evaluation") -> list[BitMap]:
    """Return the concepts that are a value of the attribute, apart for each concept that has it."""
    sought = BitMap()
    for one in attribute.values:
        if not isinstance(one, Constraint):
            raise InvalidConstraint("A reversed attribute (R) has concepts behind it. Write a constraint there.")
        sought |= await evaluation.of(one)
    if attribute.operator == "!=":
        sought = await evaluation.provider.everything() - sought
    counted: dict[str, int] = {}
    for name in await evaluation.attributes(attribute.name):
        for code, having in (await evaluation.stated(name)).items():
            number = having.intersection_cardinality(sought)
            if number:
                counted[code] = counted.get(code, 0) + number
    ordinals = await evaluation.provider.ordinals(list(counted))
    times = {ordinal: counted[code] for code, ordinal in ordinals.items()}
    if attribute.count.some:
        return [BitMap(times)]
    enough = max(attribute.count.least, (attribute.count.most or 0) + 1)
    return [BitMap(one for one, number in times.items() if number >= least) for least in range(1, enough + 1)]


async def _allowed(attribute: Attribute, evaluation: "Evaluation") -> list[tuple[Mapping[str, BitMap], list[str]]]:
    """Return for each attribute of the name what is stated of it, and which of its values are asked for."""
    found = []
    for name in await evaluation.attributes(attribute.name):
        stated = await evaluation.stated(name)
        if stated:
            chosen = await _chosen(attribute, list(stated), evaluation)
            wanted = attribute.operator != "!="
            found.append((stated, [one for one in stated if (one in chosen) == wanted]))
    return found


async def _chosen(attribute: Attribute, values: list[str], evaluation: "Evaluation") -> set[str]:
    """Return the values that are one of those that an attribute is compared with."""
    chosen: set[str] = set()
    for wanted in attribute.values:
        match wanted:
            case bool():
                chosen.update(one for one in values if one == str(wanted).lower())
            case Decimal():
                compare = _NUMBERS[attribute.operator]
                numbers = ((one, _number(one)) for one in values)
                chosen.update(one for one, number in numbers if number is not None and compare(number, wanted))
            case Term(text, wild):
                chosen.update(one for one in values if _texts_match(one, text, wild=wild))
            case Anything():
                chosen.update(values)
            case Reference(code):
                chosen.update(one for one in values if one == code)
            case _:
                chosen.update(set(values).intersection(await evaluation.codes(wanted)))
    return chosen


def _texts_match(value: str, text: str, *, wild: bool) -> bool:
    return like(value, text) if wild else split(value) == split(text)


def _number(text: str) -> Decimal | None:
    try:
        return Decimal(text)
    except InvalidOperation:
        return None


@dataclass(frozen=True, slots=True)
class _Wanted:
    """An attribute of a group, ready to be compared: its values by its names."""

    values: Mapping[str, frozenset[str]]
    count: Count

    def holds(self, group: Iterable[tuple[str, str]]) -> bool:
        return self.count.allows(sum(value in self.values.get(name, ()) for name, value in group))


async def _grouped(inner: Refinement, count: Count, within: BitMap, evaluation: "Evaluation") -> BitMap:
    """Return the concepts of a set with as many groups that satisfy a refinement as the cardinality says."""
    provider = evaluation.provider
    likely = await _likely(inner, within, evaluation)
    if NORMAL_FORM not in provider.head.properties:
        return likely if count.least == 1 else within - likely if count.most == 0 else within
    if len(likely) > MOST_READ:
        raise InvalidConstraint(
            f"The groups of {len(likely):,} concepts would have to be looked at; {MOST_READ:,} are the most. "
            "Narrow the focus of the refinement."
        )
    test = await _test(inner, evaluation)
    # What has no such group at all is not looked at.
    found = within - likely if count.least == 0 else BitMap()
    ordinals = list(likely)
    for begin in range(0, len(ordinals), MOST_AT_ONCE):
        for concept in await provider.concepts(ordinals[begin : begin + MOST_AT_ONCE]):
            form = next((str(one.value) for one in concept.properties if one.code == NORMAL_FORM), "")
            try:
                stated = groups(form) if form else []
            except InvalidExpression:
                stated = []
            if count.allows(sum(test(one) for one in stated)):
                found.add(concept.ordinal)
    return found


async def _likely(inner: Refinement, within: BitMap, evaluation: "Evaluation") -> BitMap:
    """Return the concepts of a set that have what a group asks for, in one group or in several."""
    match inner:
        case Both("AND", parts):
            for part in parts:
                within = await _likely(part, within, evaluation)
            return within
        case Both(_, parts):
            return reduce(operator.or_, [await _likely(part, within, evaluation) for part in parts])
        case Attribute():
            if attribute_may_lack(inner):
                return within
            return within & BitMap().union(*await _sources(inner, evaluation))
        case Group():
            return within


def attribute_may_lack(attribute: Attribute) -> bool:
    """Return whether a group satisfies an attribute that it does not have: `[0..1] …`."""
    return attribute.count.least == 0


async def _test(inner: Refinement, evaluation: "Evaluation") -> Callable[[list[tuple[str, str]]], bool]:
    """Return how a group is told to satisfy a refinement."""
    match inner:
        case Both(joined, parts):
            tests = [await _test(part, evaluation) for part in parts]
            every = all if joined == "AND" else any
            return lambda group: every(test(group) for test in tests)
        case Attribute():
            if inner.reverse:
                raise InvalidConstraint(
                    "A reversed attribute (R) cannot stand in a group. Put it outside of the braces."
                )
            values: dict[str, frozenset[str]] = {}
            for name in await evaluation.attributes(inner.name):
                stated = await evaluation.stated(name)
                chosen = await _chosen(inner, list(stated), evaluation)
                values[name] = frozenset(one for one in stated if (one in chosen) == (inner.operator != "!="))
            return _Wanted(values, inner.count).holds
        case Group():
            raise InvalidConstraint("A group of attributes cannot hold another.")
