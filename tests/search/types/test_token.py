"""Token parameters (R4 3.1.1.4.10)."""

from typing import Any

import pytest

from fhir_server.model.errors import InvalidParameter
from fhir_server.search.expression import Criterion, Not
from fhir_server.search.params import params
from fhir_server.search.reading import Reading
from fhir_server.search.types import token
from profiles.definitions.registry import Definitions

LOINC = "http://loinc.org"
GENDER = "http://hl7.org/fhir/administrative-gender"


def coded(*pairs: tuple[str | None, str | None]) -> tuple[str, Any]:
    codings = [{key: text for key, text in (("system", system), ("code", code)) if text} for system, code in pairs]
    return "CodeableConcept", {"coding": codings}


@pytest.mark.parametrize(
    ("text", "value", "expected"),
    [
        ("8867-4", coded((LOINC, "8867-4")), True),
        ("8867-4", coded((None, "8867-4")), True),
        ("8867", coded((LOINC, "8867-4")), False),
        (f"{LOINC}|8867-4", coded((LOINC, "8867-4")), True),
        (f"{LOINC}|8867-4", coded(("http://other", "8867-4")), False),
        (f"{LOINC}|8867-4", coded((None, "8867-4")), False),
        (f"{LOINC}|8867-4", coded(("http://other", "1"), (LOINC, "8867-4")), True),
        ("|8867-4", coded((None, "8867-4")), True),
        ("|8867-4", coded((LOINC, "8867-4")), False),
        (f"{LOINC}|", coded((LOINC, "1"), ("http://other", "2")), True),
        (f"{LOINC}|", coded((LOINC, None)), True),
        (f"{LOINC}|", coded((f"{LOINC}/x", "1")), False),
        ("http://loinc.or.|", coded((LOINC, "1")), False),
        (r"a\|b", coded((LOINC, "a|b")), True),
        (rf"{LOINC}|a\|b", coded((LOINC, "a|b")), True),
        ("x|b", coded((None, "a|b")), False),
        ("b|", coded((None, "a|b")), False),
        ("a", coded((None, "a|b")), False),
        (r"a\\", coded((LOINC, "a\\")), True),
        (f"{LOINC}|", coded((LOINC, "a\\")), True),
        (r"a\,b", coded((LOINC, "a,b")), True),
        ("A", coded((LOINC, "a")), False),
    ],
)
def test_codes_with_and_without_system(definitions: Definitions, text: str, value: Any, expected: bool) -> None:
    param = params("Observation", definitions)["code"]
    stored = token.entries([value], param)
    found = token.parse(param, "", [text], Reading(definitions=definitions))
    assert isinstance(found, Criterion)
    assert token.matches(found, stored) is expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("male", True),
        (f"{GENDER}|male", True),
        (f"{GENDER}|", True),
        ("http://other|male", False),
        ("|male", False),
        (f"{GENDER}|female", False),
        ("female,male", True),
    ],
)
def test_the_system_of_a_code_element_is_that_of_its_value_set(
    definitions: Definitions, text: str, expected: bool
) -> None:
    param = params("Patient", definitions)["gender"]
    found = token.parse(param, "", text.split(","), Reading(definitions=definitions))
    stored = token.entries([("code", "male")], param)
    assert stored == ["male"]
    if isinstance(found, Criterion) and found.values:
        assert token.matches(found, stored) is expected
    else:
        assert not expected


def test_not_is_true_of_everything_else_whatever_else_is_there(definitions: Definitions) -> None:
    param = params("Composition", definitions)["section"]
    found = token.parse(param, "not", ["48765-2", "1"])
    assert isinstance(found, Not)
    assert isinstance(found.item, Criterion)
    assert token.matches(found.item, token.entries([coded((LOINC, "48765-2")), coded((LOINC, "2"))], param))
    assert not token.matches(found.item, [])


def test_elements_of_type_string_are_not_case_sensitive(definitions: Definitions) -> None:
    rows = [row for row in params("SearchParameter", definitions).values() if row.type == "token"]
    param = next(row for row in rows if row.code == "code")
    assert param.value_types == {"code"}
    for resource_type in sorted(definitions.resource_types):
        for row in params(resource_type, definitions).values():
            if row.type == "token" and row.value_types == {"string"}:
                found = token.parse(row, "", ["ABc"])
                assert isinstance(found, Criterion)
                assert token.matches(found, token.entries([("string", "abC")], row))
                return
    pytest.fail("R4 has token parameters on strings")


@pytest.mark.parametrize(
    ("resource_type", "code", "text", "message"),
    [
        (
            "Patient",
            "active",
            "yes",
            "'yes' is not a valid value of the token parameter 'active'. Write true or false.",
        ),
        ("Patient", "active", "x|true", "Write the value alone, without a bar"),
        ("Patient", "_id", "a|b", "Write the value alone, without a bar"),
        ("Patient", "phone", "phone|555", "Write the value alone, without a bar"),
        ("Patient", "identifier", "a|b|c", r"a bar inside of the code is written \\|"),
        ("Patient", "identifier", "|", r"Write code, system\|code, \|code or system\|"),
    ],
)
def test_refusals(definitions: Definitions, resource_type: str, code: str, text: str, message: str) -> None:
    with pytest.raises(InvalidParameter, match=message.replace("|code, |", "|code, |")) as caught:
        token.parse(params(resource_type, definitions)[code], "", [text])
    assert caught.value.issues[0].expression == f"http.{code}"


def test_entries(definitions: Definitions) -> None:
    param = params("Patient", definitions)["identifier"]
    assert token.entries([("Identifier", {"system": "urn:x", "value": "a|b"})], param) == [r"a\|b|urn:x"]
    assert token.entries([("Identifier", {"value": "1"}), ("Identifier", {"value": "1"})], param) == ["1|"]
    assert token.entries([("CodeableConcept", {"text": "only"})], param) == [""]
    assert token.entries([("boolean", True), ("boolean", False)], param) == ["true", "false"]
    assert token.entries([("ContactPoint", {"system": "phone", "value": "555"})], param) == ["555|"]
