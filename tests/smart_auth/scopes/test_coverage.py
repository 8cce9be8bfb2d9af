"""Which scopes reach no further than others, checked against a small world in which reach can be counted."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smart_auth.scopes.coverage import concise, covers, intersect, meet, within
from smart_auth.scopes.grammar import ResourceScope, Scopes, of, parse
from tests.smart_auth.scopes.strategies import resource_scopes

CONTEXTS = ("patient", "user", "system")
TYPES = ("Patient", "Observation", "Condition", "Encounter")
Access = tuple[str, str, str, frozenset[tuple[str, str]]]


def reach(scopes: list[ResourceScope], worlds: list[frozenset[tuple[str, str]]]) -> set[Access]:
    """Return every (context, type, letter, properties of a resource) that scopes give access to."""
    return {
        (one.context, kind, letter, world)
        for one in scopes
        for kind in TYPES
        if one.resource_type in {"*", kind}
        for letter in one.letters
        for world in worlds
        if set(one.criteria) <= world
    }


def worlds(*groups: list[ResourceScope]) -> list[frozenset[tuple[str, str]]]:
    """Return resources that match just the criteria of one of the scopes, or of two."""
    sets = [frozenset(one.criteria) for group in groups for one in group] + [frozenset[tuple[str, str]]()]
    return [one | other for one in sets for other in sets]


several = st.lists(resource_scopes, max_size=4)


@given(several, resource_scopes)
def test_scope_escalation_is_impossible_what_is_covered_reaches_no_further(
    wide: list[ResourceScope], narrow: ResourceScope
) -> None:
    if covers(wide, narrow):
        there = worlds(wide, [narrow])
        assert reach([narrow], there) <= reach(wide, there)


@given(several, resource_scopes)
def test_a_scope_that_reaches_no_further_than_one_other_is_covered(
    wide: list[ResourceScope], narrow: ResourceScope
) -> None:
    there = worlds(wide, [narrow])
    if any(reach([narrow], there) <= reach([one], there) for one in wide):
        unseen = narrow.resource_type == "*" and all(one.resource_type != "*" for one in wide)
        assert covers(wide, narrow) or unseen


@given(several, several)
def test_what_is_left_within_limits_is_what_both_reach(
    asked: list[ResourceScope], allowed: list[ResourceScope]
) -> None:
    there = worlds(asked, allowed)
    left = list(intersect(of(asked), allowed).resources)
    assert reach(left, there) == reach(asked, there) & reach(allowed, there)


@given(several)
def test_concise_scopes_reach_the_same(scopes: list[ResourceScope]) -> None:
    short = list(concise(scopes))
    there = worlds(scopes)
    assert reach(short, there) == reach(scopes, there)
    assert len(short) <= len(scopes)


@given(resource_scopes, resource_scopes)
def test_meeting_is_the_same_from_both_sides(one: ResourceScope, other: ResourceScope) -> None:
    assert meet(one, other) == meet(other, one)
    assert meet(one, one) == one


def wider(narrow: str, wide: str) -> tuple[str, ...]:
    return within(parse(narrow), parse(wide))


@pytest.mark.parametrize(
    ("narrow", "wide"),
    [
        ("patient/Observation.r", "patient/Observation.rs"),
        ("patient/Observation.rs", "patient/*.cruds"),
        ("patient/Observation.rs?category=a", "patient/Observation.rs"),
        ("patient/Observation.rs?category=a&code=b", "patient/Observation.rs?category=a"),
        ("patient/Observation.read", "patient/Observation.rs"),
        ("patient/Observation.rs", "patient/Observation.r patient/Observation.s"),
        ("openid launch/patient", "launch/patient openid fhirUser"),
    ],
)
def test_a_subset_in_meaning_is_a_subset(narrow: str, wide: str) -> None:
    assert wider(narrow, wide) == ()


@pytest.mark.parametrize(
    ("narrow", "wide"),
    [
        ("patient/Observation.rs", "patient/Observation.r"),
        ("patient/*.rs", "patient/Observation.rs patient/Patient.rs"),
        ("patient/Observation.rs", "patient/Observation.rs?category=a"),
        ("patient/Observation.rs?category=b", "patient/Observation.rs?category=a"),
        ("user/Observation.rs", "patient/Observation.rs"),
        ("offline_access", "online_access"),
        ("launch/encounter", "launch/patient"),
    ],
)
def test_scope_escalation_is_seen(narrow: str, wide: str) -> None:
    assert wider(narrow, wide) == (narrow,)


def test_scopes_that_stay_keep_their_writing_and_others_become_granular() -> None:
    allowed = parse("patient/Patient.rs patient/Observation.rs?category=a patient/Observation.rs?category=b").resources
    asked = parse("openid patient/Patient.read patient/Observation.read patient/Condition.read")
    assert intersect(asked, allowed).text == (
        "openid patient/Patient.read patient/Observation.rs?category=a patient/Observation.rs?category=b"
    )


def test_nothing_within_nothing_is_nothing() -> None:
    assert intersect(Scopes(), ()).asked == ()
    assert intersect(parse("patient/*.rs"), ()).asked == ()
