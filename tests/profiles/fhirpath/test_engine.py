"""What expressions give over resources: elements and their siblings, choices, references, variables, and what surroundings answer."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from profiles.definitions.registry import Definitions
from profiles.fhirpath import engine as engines
from profiles.fhirpath.engine import Engine
from profiles.fhirpath.errors import FhirPathError
from profiles.fhirpath.kept import MOST_CHARACTERS
from profiles.fhirpath.scope import Services
from profiles.fhirpath.shapes import SEARCH
from profiles.fhirpath.values import Node

PATIENT: dict[str, Any] = {
    "resourceType": "Patient",
    "id": "p",
    "contained": [{"resourceType": "Organization", "id": "o", "name": "Ward"}],
    "extension": [{"url": "http://example.org/x", "valueQuantity": {"value": Decimal("1.50"), "unit": "mg"}}],
    "active": True,
    "name": [
        {
            "use": "official",
            "family": "Chalmers",
            "given": ["Peter", None],
            "_given": [None, {"extension": [{"url": "u", "valueCode": "c"}]}],
        },
        {"use": "usual", "given": ["Jim"]},
    ],
    "birthDate": "1974-12-25",
    "_birthDate": {"extension": [{"url": "time", "valueDateTime": "1974-12-25T14:35:45-05:00"}]},
    "deceasedBoolean": False,
    "managingOrganization": {"reference": "#o"},
    "generalPractitioner": [{"reference": "Practitioner/7"}],
}

BUNDLE: dict[str, Any] = {
    "resourceType": "Bundle",
    "type": "collection",
    "entry": [
        {
            "fullUrl": "http://one.example/fhir/Observation/1",
            "resource": {
                "resourceType": "Observation",
                "id": "1",
                "status": "final",
                "subject": {"reference": "Patient/2"},
            },
        },
        {
            "fullUrl": "http://two.example/fhir/Patient/2",
            "resource": {"resourceType": "Patient", "id": "2", "gender": "male"},
        },
        {
            "fullUrl": "http://one.example/fhir/Patient/2",
            "resource": {"resourceType": "Patient", "id": "2", "gender": "female"},
        },
        {"fullUrl": "urn:uuid:1", "resource": {"resourceType": "Observation", "subject": {"reference": "urn:uuid:2"}}},
    ],
}


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("Patient.name.given", ["Peter", None, "Jim"]),
        ("name.given.where(hasValue())", ["Peter", "Jim"]),
        ("name.given.extension('u').value", ["c"]),
        ("name[1].given.first()", ["Jim"]),
        ("deceased", [False]),
        ("deceased.is(boolean)", [True]),
        ("birthDate.extension('time').value > @1974-12-25T14:00:00-05:00", [True]),
        ("birthDate + 1 month", ["1975-01-25"]),
        ("birthDate.value", ["1974-12-25"]),
        ("extension('http://example.org/x').value.value", [Decimal("1.50")]),
        (
            "extension.value * 2",
            [{"value": Decimal("3.00"), "unit": "mg", "system": "http://unitsofmeasure.org", "code": "mg"}],
        ),
        ("managingOrganization.resolve().name", ["Ward"]),
        ("generalPractitioner.resolve()", []),
        ("contained.ofType(Organization).name", ["Ward"]),
        ("name.where(use = 'official').family", ["Chalmers"]),
        ("name.select(use & ':' & given.first())", ["official:Peter", "usual:Jim"]),
        ("Resource.id", ["p"]),
        ("DomainResource.id", ["p"]),
        ("gender", []),
        ("active.type()", [{"namespace": "FHIR", "name": "boolean"}]),
        ("name.use.memberOf('http://hl7.org/fhir/ValueSet/name-use')", None),
        ("name.first().use.memberOf('http://hl7.org/fhir/ValueSet/name-use')", [True]),
        ("name.first().use.memberOf('http://example.org/none')", []),
        ("%sct", ["http://snomed.info/sct"]),
        ("%`ext-x`", ["http://hl7.org/fhir/StructureDefinition/x"]),
        ("name.aggregate($total + $this.given.count(), 0)", [3]),
        ("descendants().ofType(dateTime)", ["1974-12-25T14:35:45-05:00"]),
    ],
)
def test_expressions_over_a_patient(engine: Engine, expression: str, expected: list[Any] | None) -> None:
    compiled = engine.compile(expression, "Patient")
    if expected is None:
        with pytest.raises(FhirPathError, match="takes one item, but 2 were found"):
            compiled.evaluate(PATIENT)
    else:
        assert compiled.evaluate(PATIENT) == expected


def test_decimals_keep_their_digits(engine: Engine) -> None:
    assert str(engine.compile("extension.value.value").evaluate(PATIENT)[0]) == "1.50"


def test_references_in_a_bundle_are_resolved_from_the_side_of_their_entry(engine: Engine) -> None:
    assert engine.compile("Bundle.entry.resource.ofType(Observation).subject.resolve().gender", "Bundle").evaluate(
        BUNDLE
    ) == ["female"]


def test_other_references_are_asked_of_the_surroundings(engine: Engine) -> None:
    asked: list[str] = []

    def resolve(reference: str) -> dict[str, Any] | None:
        asked.append(reference)
        return {"resourceType": "Practitioner", "active": True}

    compiled = engine.compile("generalPractitioner.resolve().active", "Patient")
    assert compiled.evaluate(PATIENT, services=Services(resolve=resolve)) == [True]
    assert asked == ["Practitioner/7"]


def test_the_rules_of_search_decide_by_the_reference_alone(engine: Engine) -> None:
    text = "Patient.generalPractitioner.where(resolve() is Practitioner) | Person.name"
    assert engine.compile(text, "Patient", SEARCH).evaluate(PATIENT) == [{"reference": "Practitioner/7"}]
    with pytest.raises(FhirPathError, match="evaluated on Patient, not on Person"):
        engine.compile(text, "Patient")


def test_the_surroundings_answer_for_value_sets_profiles_and_the_clock(engine: Engine) -> None:
    traced: list[tuple[str, list[Any]]] = []
    services = Services(
        member_of=lambda value, url: value == "official",
        conforms=lambda value, url: url == "http://example.org/profile",
        subsumes=lambda one, other: True,
        trace=lambda name, values: traced.append((name, values)),
        now=datetime(2026, 1, 31, 8, 30, tzinfo=UTC),
    )

    def answer(expression: str) -> list[Any]:
        return engine.compile(expression, "Patient").evaluate(PATIENT, services=services)

    assert answer("name.where(use.memberOf('http://x')).family") == ["Chalmers"]
    assert answer("conformsTo('http://example.org/profile')") == [True]
    assert answer("name.first().use.subsumes('x')") == [True]
    assert answer("now() | today() | timeOfDay()") == ["2026-01-31T08:30:00.000Z", "2026-01-31", "08:30:00.000"]
    assert answer("active.trace('seen').not()") == [False]
    assert traced == [("seen", [True])]


def test_narratives_are_checked_by_the_allow_list(engine: Engine) -> None:
    compiled = engine.compile("htmlChecks()", "xhtml")
    assert compiled.evaluate('<div xmlns="http://www.w3.org/1999/xhtml"><p>x</p></div>') == [True]
    assert compiled.evaluate('<div xmlns="http://www.w3.org/1999/xhtml"><script>x</script></div>') == [False]


def test_variables_are_given_by_name(engine: Engine) -> None:
    compiled = engine.compile("%factor * %weight.value + %list.count()")
    found = compiled.evaluate({}, factor=2, weight={"value": 1.5}, list=[1, "a", None])
    assert found == [Decimal("5.0")]
    with pytest.raises(FhirPathError, match=r"There is no %factor\. There are %context"):
        compiled.evaluate({})


def test_elements_are_evaluated_with_the_resource_around_them(engine: Engine) -> None:
    (name,) = engine.compile("name[1]", "Patient").nodes(PATIENT)
    inner = engine.compile("given | %resource.birthDate | %context.use", "HumanName")
    assert inner.evaluate(name) == ["Jim", "1974-12-25", "usual"]
    assert inner.evaluate({"given": ["A"]}, resource=PATIENT) == ["A", "1974-12-25"]


def test_contained_resources_know_what_contains_them(engine: Engine) -> None:
    (ward,) = engine.compile("contained", "Patient").nodes(PATIENT)
    assert engine.compile("%resource.id | %rootResource.id").evaluate(ward) == ["o", "p"]


def test_nodes_know_their_place(engine: Engine) -> None:
    found = engine.compile("name.given | deceased", "Patient").nodes(PATIENT)
    assert [node.path for node in found if isinstance(node, Node)] == [
        "Patient.name[0].given[0]",
        "Patient.name[0].given[1]",
        "Patient.name[1].given[0]",
        "Patient.deceasedBoolean",
    ]


def test_primitives_are_evaluated_with_their_sibling(engine: Engine) -> None:
    compiled = engine.compile("hasValue() or extension.exists()", "date")
    assert compiled.boolean(engine.node("2014", "date")) is True
    assert compiled.boolean(engine.node(None, "date", {"extension": [{"url": "x"}]})) is True
    assert compiled.boolean(engine.node(None, "date")) is False


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("active", True),
        ("active.not()", False),
        ("link", False),
        ("birthDate", True),
        ("deceased", False),
        ("{}", False),
    ],
)
def test_conditions(engine: Engine, expression: str, *, expected: bool) -> None:
    assert engine.compile(expression, "Patient").boolean(PATIENT) is expected


def test_a_condition_of_several_items_is_an_error(engine: Engine) -> None:
    with pytest.raises(FhirPathError, match="A condition takes one item, but 2"):
        engine.compile("name", "Patient").boolean(PATIENT)


@pytest.mark.parametrize(
    "value",
    [
        {"name": "x"},
        {"name": [1, None, ["x"]]},
        {"name": {"given": 5}},
        {"name": [{"given": {"a": 1}}]},
        {"birthDate": 7},
        {"contained": [3]},
    ],
)
@pytest.mark.parametrize(
    "expression",
    [
        "name.given.first() = 'x'",
        "birthDate < today()",
        "descendants().count()",
        "contained.id",
        "name | birthDate",
        "birthDate ~ name",
    ],
)
def test_malformed_resources_give_results_or_errors_but_never_break(
    engine: Engine, value: dict[str, Any], expression: str
) -> None:
    compiled = engine.compile(expression, "Patient")
    with suppress(FhirPathError):
        assert isinstance(compiled.evaluate({"resourceType": "Patient", **value}), list)


def test_without_units_amounts_of_one_unit_are_compared(definitions: Definitions) -> None:
    assert engines.compile("1 'm' = 1.0 'm'", definitions).evaluate({}) == [True]
    assert engines.compile("1 'm' = 100 'cm'", definitions).evaluate({}) == []
    assert engines.compile("1 week = 7 days and 1 year > 11 months", definitions).evaluate({}) == [True]


def test_an_engine_keeps_no_more_text_than_it_may(definitions: Definitions) -> None:
    engine = Engine(definitions)
    first = engine.compile("name.given", "Patient")
    long = "coalesce(" + ", ".join(["name.where(use = 'official').given"] * 90) + ")"
    kept = [engine.compile(f"{long} = '{number}'", "Patient") for number in range(MOST_CHARACTERS // len(long) + 2)]
    assert engine.compile("name.given", "Patient") is not first
    assert engine.compile(kept[-1].text, "Patient") is kept[-1]
    assert engine.compile(kept[0].text, "Patient") is not kept[0]


def test_an_engine_keeps_what_it_compiled_for_all_threads(engine: Engine) -> None:
    texts = [f"name.given.count() + {number}" for number in range(20)]

    def work(number: int) -> list[Any]:
        return engine.compile(texts[number % 20], "Patient").evaluate(PATIENT)

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(work, range(200))) == [[3 + number % 20] for number in range(200)]
    assert engine.compile(texts[0], "Patient") is engine.compile(texts[0], "Patient")
    assert engine.compile(texts[0], "Patient") is not engine.compile(texts[0])
