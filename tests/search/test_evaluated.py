"""Search parameters of one's own whose expression is more than a path: what they select, and what is refused of them."""

from typing import Any

import pytest

from fhir_server.search import custom
from fhir_server.search.evaluated import BUDGET, engine
from fhir_server.search.index import Indexer
from fhir_server.search.params import params
from profiles.definitions.registry import Definitions, load
from tests.effort import within


@pytest.fixture(scope="module")
def definitions() -> Definitions:
    return load()


PATIENT: dict[str, Any] = {
    "resourceType": "Patient",
    "id": "1",
    "name": [
        {"use": "official", "family": "Chalmers", "given": ["Peter", "James"]},
        {"use": "maiden", "family": "Windsor", "period": {"end": "2002"}},
    ],
    "telecom": [{"system": "phone", "value": "1", "rank": 2}, {"system": "phone", "value": "2", "rank": 1}],
    "birthDate": "1974-12-25",
    "contact": [{"organization": {"reference": "Organization/1"}, "gender": "female"}],
    "extension": [{"url": "urn:colour", "valueCode": "red"}, {"url": "urn:height", "valueQuantity": {"value": 2}}],
}


def resource(expression: str, kind: str, base: tuple[str, ...] = ("Patient",)) -> dict[str, Any]:
    return {
        "url": "http://example.org/x", "code": "x", "type": kind, "base": list(base), "expression": expression,
        "status": "active", "description": "", "target": ["Organization"],
    }  # fmt: skip


def entries(definitions: Definitions, expression: str, kind: str, patient: dict[str, Any] = PATIENT) -> Any:
    reading = custom.read(resource(expression, kind), definitions)
    assert reading.parameter is not None, reading.issues
    return Indexer(definitions.extended([reading.parameter])).entries(patient)["s"].get("x")


@pytest.mark.parametrize(
    ("kind", "expression", "expected"),
    [
        ("string", "Patient.name.where(period.empty()).family", ["chalmers\nChalmers"]),
        ("string", "Patient.name.where(use = 'official' and period.empty()).given.first()", ["peter\nPeter"]),
        (
            "string",
            "Patient.name.select(given.first() & ' ' & family)",
            ["peter chalmers\nPeter Chalmers", "windsor\n Windsor"],
        ),
        ("token", "Patient.telecom.where(rank = 1).value", ["2"]),
        ("token", "Patient.contact.exists()", ["true"]),
        ("token", "iif(Patient.name.count() > 1, 'several', 'one')", ["several"]),
        ("token", "Patient.extension.where(url.endsWith('colour')).value.ofType(code)", ["red"]),
        ("number", "Patient.name.count()", [{"lo": 2.0, "hi": 2.0}]),
        ("reference", "Patient.contact.where(gender = 'female').organization", ["Organization/1"]),
    ],
)
def test_an_expression_that_is_more_than_a_path_is_evaluated(
    definitions: Definitions, kind: str, expression: str, expected: list[Any]
) -> None:
    assert entries(definitions, expression, kind) == expected


def test_dates_that_are_computed_are_dates(definitions: Definitions) -> None:
    (found,) = entries(definitions, "Patient.birthDate + 18 years", "date")
    assert (found["lo"].year, found["lo"].month, found["lo"].day) == (1992, 12, 25)


def test_of_another_type_in_the_same_expression_nothing_is_selected(definitions: Definitions) -> None:
    stated = resource(
        "Patient.name.where(use = 'a').family | Person.name.where(use = 'b').family", "string", ("Patient", "Person")
    )
    reading = custom.read(stated, definitions)
    assert reading.parameter is not None
    assert reading.parameter.base == ("Patient", "Person")


def test_its_values_have_the_types_that_the_expression_gives(definitions: Definitions) -> None:
    reading = custom.read(resource("Patient.name.where(period.empty()).family", "string"), definitions)
    assert reading.parameter is not None
    param = params("Patient", definitions.extended([reading.parameter]))["x"]
    assert (param.value_types, param.array) == (frozenset({"string"}), True)


@pytest.mark.parametrize(
    ("kind", "expression", "says"),
    [
        ("string", "Patient.name.where(nick.exists())", "HumanName has no element 'nick'"),
        ("string", "Patient.name.where(", "cannot be compiled for Patient: "),
        ("date", "Patient.name.period.start.where($this > today())", "today() is another moment each time"),
        ("string", "Patient" + ".extension.value" * 6, "may be of 50 types; name the one that is meant with ofType()"),
        ("string", "Patient.descendants()", "does not say of what type its values are; end it with ofType()"),
        ("number", "Patient.name.where(use = 'official' and true).family", "expression selects string, which a number parameter"),
        ("string", "1" + " + 1" * 900, "line 1"),
        ("string", "Patient.name" + ".where(true)" * 300, "line 1"),
        ("string", "Observation.status.where(true or $this = 'x')", "selects nothing of a Patient"),
    ],
)  # fmt: skip
def test_what_cannot_be_searched_by_is_refused_with_the_reason(
    definitions: Definitions, kind: str, expression: str, says: str
) -> None:
    (issue,) = custom.read(resource(expression, kind), definitions).issues
    assert says in issue.text
    assert issue.code == "not-supported"


@pytest.mark.parametrize(
    "expression",
    [
        "Patient.name.select(" + "%resource.name.select(" * 6 + "family" + ")" * 7 + ".toString()",
        "(Patient.name.aggregate($total & $total & family, 'abc')).toString()",
        "(1).repeat($this + 1).toString()",
        "Patient.name.family.where(('xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx' & $this).matches('(x+x+)+y')).first()",
        "Patient.name.family.where(true).single() & 'x'",
    ],
)
def test_an_expression_that_takes_too_much_or_fails_selects_nothing_soon(
    definitions: Definitions, expression: str
) -> None:
    many = {**PATIENT, "name": PATIENT["name"] * 40}
    with within(1 + BUDGET.seconds):
        assert entries(definitions, expression, "string", many) is None


def test_one_engine_serves_all_definitions_of_a_process(definitions: Definitions) -> None:
    reading = custom.read(resource("Patient.name.where(period.empty()).family", "string"), definitions)
    assert reading.parameter is not None
    over = definitions.extended([reading.parameter])
    assert engine(over.own) is engine(definitions)
