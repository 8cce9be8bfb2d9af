"""The engine, given the mended expressions, and the rules that were written by hand say the same of every invariant."""

import os
from collections.abc import Iterator
from typing import Any

import pytest

from profiles.definitions.model import Element, Invariant
from profiles.definitions.registry import Definitions
from profiles.fhirpath.engine import Engine
from profiles.fhirpath.values import Node
from profiles.validate.invariant import NATIVE, REUSED
from profiles.validate.published import MENDED, NAME, RULES, WITHOUT_SENSE, expression
from terminology.ucum.ucum import Ucum
from tests.profiles.test_invariant import BROKEN, MET

Json = dict[str, Any]

EVERY = int(os.environ.get("INVARIANTS_EVERY", "3"))
"""Every third example is compared; 1 for all of them."""

ELSEWHERE = {"dom-6", "ele-1", "dom-3", "txt-1", "txt-2"}
"""Advice for roots only; and what the walk does, of which dom-3 would take longer than all others together."""


@pytest.fixture(scope="module")
def engine(definitions: Definitions) -> Engine:
    return Engine(definitions, units=Ucum())


def constraints(resource: Json, engine: Engine) -> Iterator[tuple[Node, str, Invariant]]:
    """Yield every invariant of a resource with the element that it is about and the path that states it."""
    definitions, children = engine.model.definitions, engine.compile("children()")
    waiting: list[tuple[Node, Element | None]] = [(engine.node(resource), None)]
    while waiting:
        node, element = waiting.pop()
        definition = definitions.types[node.type.name]
        yield from ((node, definition.name, rule) for rule in definition.invariants)
        if element is not None:
            yield from ((node, element.path, rule) for rule in element.invariants)
        waiting += [(one, definition.elements.get(one.key)) for one in children.nodes(node) if isinstance(one, Node)]


def met(node: Node, rule: Invariant, engine: Engine) -> bool:
    return engine.compile(expression(rule), node.type.name, RULES).boolean(node)


def broken(resource: Json, engine: Engine) -> set[str]:
    rows = [(node, rule) for node, _, rule in constraints(resource, engine) if rule.key not in ELSEWHERE]
    return {rule.key for node, rule in rows if not met(node, rule, engine)}


def test_engine_and_rules_agree_on_the_examples(examples: dict[str, Json], engine: Engine) -> None:
    compared = 0
    differences: list[tuple[str, str, str, bool]] = []
    for name, resource in list(examples.items())[::EVERY]:
        for node, path, rule in constraints(resource, engine):
            if rule.key in ELSEWHERE:
                continue
            native = REUSED.get((path, rule.key)) or NATIVE.get(rule.key)
            expected = native(node.value) if native is not None and isinstance(node.value, dict) else True
            compared += 1
            if met(node, rule, engine) is not expected:
                differences.append((name, node.path, rule.key, expected))
    assert differences == []
    assert compared > 60_000 / EVERY


@pytest.mark.parametrize(("key", "resource"), BROKEN)
def test_the_engine_finds_what_breaks_an_invariant(engine: Engine, key: str, resource: Json) -> None:
    if key not in ELSEWHERE:
        assert broken(resource, engine) == {key}


@pytest.mark.parametrize("resource", MET)
def test_the_engine_lets_through_what_meets_them(engine: Engine, resource: Json) -> None:
    assert broken(resource, engine) == set()


def test_every_mended_expression_is_one_that_r4_publishes(definitions: Definitions) -> None:
    rows = [rule for one in definitions.types.values() for rule in one.invariants]
    rows += [
        rule for one in definitions.types.values() for element in one.elements.values() for rule in element.invariants
    ]
    assert MENDED.keys() <= {rule.expression for rule in rows}
    assert WITHOUT_SENSE.keys() <= {rule.key for rule in rows if rule.expression == NAME}


def test_every_mended_expression_has_a_reason() -> None:
    assert all(len(one.reason) > 5 and one.expression != published for published, one in MENDED.items())
