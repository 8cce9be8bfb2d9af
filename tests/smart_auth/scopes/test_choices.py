"""Leaving things out on the consent page."""

from hypothesis import given
from hypothesis import strategies as st

from smart_auth.scopes.choices import CATEGORIES, Choice, chosen, divisible, everything, offered
from smart_auth.scopes.coverage import within
from smart_auth.scopes.grammar import ResourceScope, of, parse
from tests.smart_auth.scopes.strategies import resource_scopes

TYPES = ("Condition", "Observation", "Patient")
LABORATORY = "http://terminology.hl7.org/CodeSystem/observation-category|laboratory"


def test_a_type_can_be_left_out() -> None:
    asked = parse("openid patient/Patient.read patient/Condition.read patient/Observation.read")
    assert chosen(asked, Choice(["Patient", "Observation"], {}), TYPES).text == (
        "openid patient/Patient.read patient/Observation.read"
    )


def test_of_a_wildcard_the_types_that_are_left_remain() -> None:
    asked = parse("patient/*.rs offline_access")
    assert chosen(asked, Choice(["Patient"], {}), TYPES).text == "patient/Patient.rs offline_access"
    assert chosen(asked, everything(asked, TYPES), TYPES).text == "patient/*.rs offline_access"


def test_categories_become_granular_scopes_and_patient_stays_whole() -> None:
    asked = parse("patient/Patient.rs patient/Observation.rs")
    choice = Choice(["Patient", "Observation"], {"Observation": [LABORATORY]})
    assert chosen(asked, choice, TYPES).text == f"patient/Patient.rs patient/Observation.rs?category={LABORATORY}"


def test_a_category_that_is_not_offered_gives_nothing() -> None:
    asked = parse("patient/Observation.rs")
    assert chosen(asked, Choice(["Observation"], {"Observation": ["http://evil|all"]}), TYPES).text == ""


def test_categories_are_not_offered_where_the_app_already_asks_for_a_part() -> None:
    asked = parse(f"patient/Observation.rs?category={LABORATORY} patient/Condition.rs")
    assert divisible(asked, "Observation") == ()
    assert len(divisible(asked, "Condition")) == 3
    assert divisible(asked, "Patient") == ()


def test_keeping_access_can_be_refused() -> None:
    asked = parse("patient/Patient.rs offline_access")
    assert chosen(asked, Choice(["Patient"], {}, offline=False), TYPES).text == "patient/Patient.rs"


values = [category.value for kind in CATEGORIES.values() for category in kind]


@given(
    st.lists(resource_scopes, max_size=4),
    st.sets(st.sampled_from([*TYPES, "Encounter"])),
    st.dictionaries(st.sampled_from(TYPES), st.sets(st.sampled_from(values))),
)
def test_scope_escalation_on_the_consent_form_is_impossible(
    asked: list[ResourceScope], types: set[str], categories: dict[str, set[str]]
) -> None:
    scopes = of(asked)
    left = chosen(scopes, Choice(types, categories), TYPES)
    assert within(left, scopes) == ()
    assert {one.resource_type for one in left.resources} - {"*"} <= set(offered(scopes, TYPES))
