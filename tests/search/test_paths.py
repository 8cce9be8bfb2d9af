"""Search parameter expressions: all of R4 compile, and select what a second, naive reading selects."""

import json
import tarfile
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from fhir_server.search.fhirpath import Uncompilable, parse
from fhir_server.search.paths import COMPUTED, Extractor, selections
from profiles.definitions.model import SearchParameter
from profiles.definitions.registry import Definitions
from tests.search.naive import evaluate

Resource = dict[str, Any]

EXPRESSIONS = 1384

NOT_PATHS = {
    "http://hl7.org/fhir/SearchParameter/Patient-deceased": "a truth value, computed by COMPUTED",
}
SELECT_NOTHING = {
    ("http://hl7.org/fhir/SearchParameter/example-extension", "Patient"): "an example that reads a DocumentReference",
}


def test_every_expression_of_r4_compiles_or_is_a_listed_exception(test_data: Path, definitions: Definitions) -> None:
    expressions = 0
    not_paths: set[str] = set()
    nothing: set[tuple[str, str]] = set()
    for url, bases in _published(test_data):
        parameter = definitions.search_parameter(url)
        assert parameter is not None
        expressions += 1
        if parameter.expression in COMPUTED:
            not_paths.add(url)
            continue
        for base in bases:
            kinds = {"Resource": "Binary", "DomainResource": "Patient"}
            if not selections(kinds.get(base, base), parameter, definitions):
                nothing.add((url, base))
    assert expressions == EXPRESSIONS
    assert not_paths == set(NOT_PATHS)
    assert nothing == set(SELECT_NOTHING)


def test_a_naive_reading_of_the_expressions_selects_the_same(
    definitions: Definitions, examples: dict[str, Resource]
) -> None:
    compared = 0
    extractors: dict[str, tuple[dict[str, SearchParameter], Extractor]] = {}
    for name, resource in examples.items():
        known = resource["resourceType"]
        if known not in extractors:
            rows = {
                code: row
                for code, row in definitions.search_parameters(known).items()
                if row.expression and row.expression not in COMPUTED
            }
            found = {code: selections(known, row, definitions) for code, row in rows.items()}
            extractors[known] = rows, Extractor(found, {})
        rows, extractor = extractors[known]
        values = extractor.values(resource)
        for code, row in rows.items():
            naive = evaluate(row.expression, resource)
            if code in {"composition", "message"}:
                naive = [one for one in naive if one["resourceType"] in row.targets]
            assert _bag([value for _, value in values.get(code, [])]) == _bag(naive), (name, code, row.expression)
            compared += len(naive)
    assert compared > 8_000


@pytest.mark.parametrize(
    ("name", "code", "expected"),
    [
        ("Observation/f001", "status", [("code", "final")]),
        ("Observation/f001", "subject", [("Reference", "Patient/f001")]),
        ("Observation/f001", "patient", [("Reference", "Patient/f001")]),
        ("Observation/f001", "date", [("Period", None)]),
        ("Observation/f001", "value-quantity", [("Quantity", None)]),
        ("Patient/example", "birthdate", [("date", "1974-12-25")]),
        ("Patient/example", "family", [("string", "Chalmers"), ("string", "Windsor")]),
        ("Patient/example", "deceased", [("boolean", False)]),
        ("Patient/example", "phone", [("ContactPoint", None)] * 3),
        ("Patient/example", "email", []),
        ("MedicationRequest/medrx0301", "code", []),
        ("MedicationRequest/medrx0301", "medication", [("Reference", "#med0310")]),
        ("Bundle/father", "composition", [("Composition", None)]),
        ("Bundle/father", "message", []),
        ("Questionnaire/f201", "status", [("code", "active")]),
    ],
)
def test_values_of_official_examples(
    name: str, code: str, expected: list[tuple[str, Any]], definitions: Definitions, examples: dict[str, Resource]
) -> None:
    resource = examples[name]
    parameter = definitions.search_parameters(resource["resourceType"])[code]
    if parameter.expression in COMPUTED:
        extractor = Extractor({}, {code: COMPUTED[parameter.expression]})
    else:
        extractor = Extractor({code: selections(resource["resourceType"], parameter, definitions)}, {})
    found = extractor.values(resource).get(code, [])
    shown = [(kind, value.get("reference") if isinstance(value, dict) else value) for kind, value in found]
    assert shown == expected


def test_a_reference_points_to_a_type_by_text_by_type_and_by_contained_resource(definitions: Definitions) -> None:
    parameter = definitions.search_parameters("Observation")["patient"]
    extractor = Extractor({"patient": selections("Observation", parameter, definitions)}, {})

    def patient(**subject: str) -> bool:
        contained = [{"resourceType": "Patient", "id": "p"}, {"resourceType": "Group", "id": "g"}]
        resource = {"resourceType": "Observation", "contained": contained, "subject": subject}
        return "patient" in extractor.values(resource)

    assert patient(reference="Patient/1")
    assert patient(reference="Patient/1/_history/2")
    assert patient(reference="https://elsewhere.example/r4/Patient/1")
    assert patient(reference="#p")
    assert patient(reference="urn:uuid:6a1fcd0e-0b29-4b05-8b5d-8d2f3a9a7a55", type="Patient")
    assert patient(type="Patient", display="somebody")
    assert not patient(reference="Group/1")
    assert not patient(reference="Group/1", type="Patient")
    assert not patient(reference="#g")
    assert not patient(reference="#nobody")
    assert not patient(reference="urn:uuid:6a1fcd0e-0b29-4b05-8b5d-8d2f3a9a7a55")
    assert not patient(display="somebody")


def test_primitives_without_a_value_are_passed_over(definitions: Definitions) -> None:
    parameter = definitions.search_parameters("Patient")["given"]
    extractor = Extractor({"given": selections("Patient", parameter, definitions)}, {})
    resource = {"resourceType": "Patient", "name": [{"given": ["Ada", None], "_given": [None, {"id": "x"}]}]}
    assert extractor.values(resource) == {"given": [("string", "Ada")]}


@pytest.mark.parametrize(
    ("expression", "reason"),
    [
        ("Patient.name.first()", "function first() is outside the subset"),
        ("Patient.name.where(use != 'old')", "'!' is outside the subset"),
        ("Patient.name.where(period)", "the condition of where() is outside the subset"),
        ("Patient.name family", "'family' is outside the subset"),
        ("Patient.name.where(use='old'", "')' is missing at token 9"),
        ("Patient.", "a name is missing at token 2"),
        ("Patient.name.where(use='old')[0]", "an index must follow an element"),
    ],
)
def test_an_expression_outside_the_subset_says_why(expression: str, reason: str) -> None:
    with pytest.raises(Uncompilable) as caught:
        parse(expression)
    assert reason in str(caught.value)


def test_an_element_that_does_not_exist_is_named(definitions: Definitions) -> None:
    parameter = SearchParameter("http://x", "x", "string", ("Patient",), "Patient.name.nick", (), (), "")
    with pytest.raises(Uncompilable, match=r"HumanName has no element 'nick'\. It has .* \(line 1, column 14\)"):
        selections("Patient", parameter, definitions)


def _published(test_data: Path) -> list[tuple[str, list[str]]]:
    """(url, base types) of every search parameter of the R4 package that has an expression."""
    found: list[tuple[str, list[str]]] = []
    with tarfile.open(test_data / "definitions" / "hl7.fhir.r4.core-4.0.1.tgz") as archive:
        for member in archive:
            if "/SearchParameter-" in member.name:
                file = archive.extractfile(member)
                row = json.load(file) if file else {}
                if row.get("expression"):
                    found.append((row["url"], row["base"]))
    return found


def _bag(values: list[Any]) -> Counter[str]:
    return Counter(json.dumps(value, default=str, sort_keys=True) for value in values)
