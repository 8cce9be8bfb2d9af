"""Whatever JSON comes, a check answers with findings and never with an exception."""

import os
import random
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from profiles.definitions.registry import load
from profiles.issue import Issue
from profiles.validate.validator import Validator
from tests.profiles.test_every_invariant import RESOURCES

Json = dict[str, Any]

EVERY = int(os.environ.get("EXAMPLES_EVERY", "40"))
"""Every fortieth example loses members; 1 for all of them."""

ROUNDS = int(os.environ.get("FUZZ_ROUNDS", "80"))
"""Resources that are made up; making them takes longer than checking them."""

DEFINITIONS = load()
VALIDATOR = Validator(DEFINITIONS)
TYPES = sorted(DEFINITIONS.resource_types)

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.decimals()
    | st.floats()
    | st.text(max_size=20)
    | st.sampled_from(["", "#", "#a", "2020", "0001-01-01T00:00:00+14:00", "Patient/1", "final", "home", "group", "a"])
    | st.sampled_from([Decimal("1E+7000"), Decimal("-0"), 10**400])
)
ANYTHING = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=12,
)


@st.composite
def shaped(draw: st.DrawFn, type_name: str, depth: int = 3) -> Any:
    """Return an object with members of a type whose values are mostly, but not always, of their own types."""
    definition = DEFINITIONS.type(type_name)
    if definition is None or depth == 0 or definition.kind == "primitive" or draw(st.integers(0, 9)) == 0:
        return draw(ANYTHING)
    node: dict[str, Any] = {"resourceType": type_name} if definition.kind == "resource" else {}
    for key in draw(st.lists(st.sampled_from(sorted(definition.elements)), max_size=5, unique=True)):
        element = definition.elements[key]
        inner = draw(st.sampled_from(TYPES)) if element.type == "Resource" else element.type
        value = draw(shaped(inner, depth - 1))
        node[key] = [value] if element.array and draw(st.integers(0, 9)) else value
        if draw(st.integers(0, 4)) == 0:
            node[f"_{key}"] = draw(ANYTHING)
    return node


SMALL = [*RESOURCES.values()]

EXTENDED = {"extension": [{"url": "urn:x", "valueBoolean": True}]}


def members(node: Json, type_name: str) -> Iterator[tuple[Json, str, bool]]:
    """Yield each member of a resource, with the object that has it and whether it is a primitive."""
    definition = DEFINITIONS.type(type_name)
    for key, value in node.items():
        element = definition.elements.get(key) if definition else None
        known = DEFINITIONS.type(element.type) if element else None
        if element is None or known is None:
            continue
        yield node, key, known.kind == "primitive"
        for one in value if isinstance(value, list) else [value]:
            if isinstance(one, dict):
                yield from members(one, one.get("resourceType", element.type))


def is_well_formed(found: list[Issue]) -> bool:
    return all(issue.text and issue.code and len(issue.text) < 2000 for issue in found)


@settings(max_examples=ROUNDS, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(st.data())
def test_a_check_of_anything_like_a_resource_never_raises(data: st.DataObject) -> None:
    resource = data.draw(shaped(data.draw(st.sampled_from(TYPES))))
    found = VALIDATOR.check(resource)
    assert is_well_formed(found)
    assert VALIDATOR.check(resource) == found


@settings(max_examples=100, deadline=None)
@given(st.dictionaries(st.text(max_size=12) | st.just("resourceType"), ANYTHING, max_size=5))
def test_a_check_of_any_object_never_raises(resource: dict[str, Any]) -> None:
    assert is_well_formed(VALIDATOR.check(resource))


@settings(max_examples=100, deadline=None)
@given(ANYTHING)
def test_a_check_of_any_value_never_raises(value: Any) -> None:
    assert is_well_formed(VALIDATOR.check(value, "Patient"))


@settings(max_examples=150, deadline=None)
@given(st.text(alphabet=st.sampled_from("<>/&;!?-[]\"'= divpaxmlnshref:#\u200b\x01\ud800\U0001f600"), max_size=80))
def test_a_narrative_of_any_text_never_raises(text: str) -> None:
    for div in (text, f'<div xmlns="http://www.w3.org/1999/xhtml">{text}</div>'):
        assert is_well_formed(VALIDATOR.check({"resourceType": "Patient", "text": {"status": "empty", "div": div}}))


def test_a_resource_that_loses_a_member_or_the_value_of_one_never_raises(examples: dict[str, Json]) -> None:
    """A value may be gone while its extensions stay: rules must not count on it."""
    chance = random.Random(6)
    rows = [(examples[name], examples[name]["resourceType"]) for name in sorted(examples)[::EVERY]]
    rows += [(one, one["resourceType"]) for one in SMALL]
    for resource, resource_type in rows:
        found = list(members(resource, resource_type))
        for node, key, primitive in chance.sample(found, min(len(found), 20)):
            before = dict(node)
            value = node.pop(key)
            assert is_well_formed(VALIDATOR.check(resource, strict=True))
            if primitive:
                node[f"_{key}"] = [EXTENDED] * len(value) if isinstance(value, list) else EXTENDED
                assert is_well_formed(VALIDATOR.check(resource, strict=True))
            node.clear()
            node.update(before)
