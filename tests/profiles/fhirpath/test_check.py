"""What is refused before an expression runs, and what is not."""

import pytest

from profiles.definitions.registry import Definitions
from profiles.fhirpath.engine import Engine
from profiles.fhirpath.errors import FhirPathError
from profiles.fhirpath.shapes import SEARCH, Rules

WRONG_IN_R4 = {
    ("ChargeItemDefinition", "cid-0"): "it names an element that the type does not have",
    (
        "RiskAssessment.prediction.probabilityDecimal",
        "ras-1",
    ): "it is stated on both types of a choice, but is about the Range",
}
"""Invariants of the definitions that make no sense where they are stated."""


@pytest.mark.parametrize(
    ("type_name", "expression", "says"),
    [
        ("Patient", "name.given1", "HumanName has no element 'given1'. Did you mean given?"),
        ("Patient", "Encounter.status", "The expression is evaluated on Patient, not on Encounter."),
        (
            "Observation",
            "Observation.valueQuantity.unit",
            r"has no element 'valueQuantity' in FHIRPath. Write value.ofType\(Quantity\)",
        ),
        ("Observation", "(value as Period).unit", "Period has no element 'unit'"),
        ("Observation", "component.value.ofType(string).family", "string has no element 'family'"),
        ("Patient", "name.frist()", r"There is no function frist\(\). Did you mean first\(\)\?"),
        ("Patient", "name.where()", r"where\(\) takes 1 argument, but has 0"),
        ("Patient", "name.substring(1, 2, 3)", r"substring\(\) takes 1 to 2 arguments, but has 3"),
        ("Patient", "identifier.startsWith('x')", r"startsWith\(\) is called on String, not on Identifier"),
        ("Patient", "name.count() + 'x'", "Integer [+] String has no result"),
        ("Patient", "birthDate + 7", "has no result: add numbers"),
        ("Patient", "birthDate < 'x'", "date < String has no result"),
        ("Patient", "-name", "takes a number or quantity"),
        ("Patient", "iif(name.given, 1, 2)", "The criterion of iif"),
        ("Patient", "name is HumanNam", "There is no type 'HumanNam'. Did you mean HumanName?"),
        ("Patient", "name.ofType(1)", "takes the name of one type"),
        ("Nothing", "name", "There is no type 'Nothing'"),
        (None, "a.b.frist()", "There is no function"),
        (None, "1.upper()", r"upper\(\) is called on String, not on Integer"),
    ],
)
def test_expressions_that_make_no_sense_are_refused(
    engine: Engine, type_name: str | None, expression: str, says: str
) -> None:
    with pytest.raises(FhirPathError, match=says) as caught:
        engine.compile(expression, type_name)
    assert caught.value.when == "semantic"
    assert caught.value.line == 1


@pytest.mark.parametrize(
    ("type_name", "expression"),
    [
        (None, "a.b.c.first()"),
        ("Bundle", "entry.resource.name.given"),
        ("Patient", "contained.code"),
        ("Patient", "managingOrganization.resolve().name"),
        ("Patient", "extension.value.unit"),
        ("Patient", "name.select(given | family).first().upper()"),
        ("Patient", "children().foo"),
        ("Patient", "%unknown.name"),
        ("Observation", "value > 1 or value > 2 'mg' or value > @2014"),
        ("Questionnaire", "repeat(item).linkId"),
        ("QuestionnaireResponse", "repeat(item | answer.item).answer.value"),
        ("Observation.component", "value.exists() xor dataAbsentReason.exists()"),
    ],
)
def test_what_only_the_data_can_tell_is_let_through(engine: Engine, type_name: str | None, expression: str) -> None:
    assert engine.compile(expression, type_name).text == expression


def test_the_shape_of_a_result_is_known(engine: Engine) -> None:
    def types(expression: str) -> list[str]:
        return sorted(engine.compile(expression, "Patient").shape.types or ())

    assert types("name.given") == ["FHIR.string"]
    assert types("deceased") == ["FHIR.boolean", "FHIR.dateTime"]
    assert types("name.count() > 1") == ["System.Boolean"]
    assert types("name | birthDate") == ["FHIR.HumanName", "FHIR.date"]
    assert types("children()") == []


def test_an_order_is_asked_for_where_the_rules_say_so(engine: Engine) -> None:
    for expression in ("children().first()", "descendants().skip(1)", "children()[0]"):
        assert engine.compile(expression, "Patient")
        with pytest.raises(FhirPathError, match="needs an order"):
            engine.compile(expression, "Patient", Rules(ordered=True))
    assert engine.compile("name.first()", "Patient", Rules(ordered=True))


def test_all_search_parameters_of_r4_make_sense(engine: Engine, definitions: Definitions) -> None:
    compiled = 0
    for name in definitions.resource_types:
        for parameter in definitions.search_parameters(name).values():
            if parameter.expression:
                engine.compile(parameter.expression, name, SEARCH)
                compiled += 1
    assert compiled > 2_500


def test_all_invariants_of_r4_make_sense_but_for_those_that_do_not(engine: Engine, definitions: Definitions) -> None:
    refused: dict[tuple[str, str], str] = {}
    rows = [(one.name, one.name, rule) for one in definitions.types.values() for rule in one.invariants]
    for one in definitions.types.values():
        rows += [
            (f"{one.name}.{element.name}", element.type, rule)
            for element in one.elements.values()
            for rule in element.invariants
        ]
    for where, type_name, rule in rows:
        try:
            engine.compile(rule.expression, type_name)
        except FhirPathError as error:
            refused[where, rule.key] = str(error)
    assert refused.keys() == WRONG_IN_R4.keys()
    assert len(rows) > 1_000
