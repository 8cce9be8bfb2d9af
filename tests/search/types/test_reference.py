"""Reference and URI parameters (R4 3.1.1.4.12, 3.1.1.4.9)."""

from typing import Any

import pytest

from fhir_server.model.errors import InvalidParameter
from fhir_server.search.expression import Criterion
from fhir_server.search.params import params
from fhir_server.search.reading import Reading
from fhir_server.search.types import reference, uri
from profiles.definitions.registry import Definitions

BASE = "https://example.org/fhir"


def to(text: str) -> tuple[str, Any]:
    return "Reference", {"reference": text}


@pytest.mark.parametrize(
    ("modifier", "text", "value", "expected"),
    [
        ("", "23", to("Practitioner/23"), True),
        ("", "23", to("Organization/23"), True),
        ("", "23", to("Practitioner/2"), False),
        ("", "Practitioner/23", to("Practitioner/23"), True),
        ("", "Practitioner/23", to("Practitioner/23/_history/2"), True),
        ("", "Practitioner/23", to(f"{BASE}/Practitioner/23"), True),
        ("", f"{BASE}/Practitioner/23", to("Practitioner/23"), True),
        ("", "Practitioner/23", to("https://other.org/fhir/Practitioner/23"), False),
        ("", "https://other.org/fhir/Practitioner/23", to("https://other.org/fhir/Practitioner/23"), True),
        ("", "Practitioner/23", to("Organization/23"), False),
        ("Practitioner", "23", to("Practitioner/23"), True),
        ("Practitioner", "23", to("Organization/23"), False),
        ("Practitioner", "Practitioner/23", to("Practitioner/23"), True),
        ("", "urn:uuid:5a", to("urn:uuid:5a"), True),
        ("identifier", "urn:x|1", ("Reference", {"identifier": {"system": "urn:x", "value": "1"}}), True),
        ("identifier", "1", ("Reference", {"identifier": {"system": "urn:x", "value": "1"}}), True),
        ("identifier", "|1", ("Reference", {"identifier": {"value": "1"}}), True),
        ("identifier", "urn:x|", ("Reference", {"identifier": {"system": "urn:x", "value": "1"}}), True),
        ("identifier", "urn:x|2", ("Reference", {"identifier": {"system": "urn:x", "value": "1"}}), False),
        ("identifier", "1", to("Practitioner/1"), False),
    ],
)
def test_forms_of_a_reference(
    definitions: Definitions, modifier: str, text: str, value: tuple[str, Any], expected: bool
) -> None:
    param = params("Observation", definitions)["performer"]
    reading = Reading(base=BASE, definitions=definitions)
    criterion = reference.parse(param, modifier, [text], reading)
    assert isinstance(criterion, Criterion)
    assert reference.matches(criterion, reference.entries([value], param, reading)) is expected


def test_entries(definitions: Definitions) -> None:
    param = params("Observation", definitions)["performer"]
    assert reference.entries([("Reference", {"display": "somebody"}), to("#p1")], param) == [""]
    both = {"reference": "Practitioner/1", "identifier": {"value": "7"}}
    assert reference.entries([("Reference", both)], param) == ["Practitioner/1", "#7|"]


def test_an_id_alone_may_be_of_any_type_where_the_parameter_names_none(definitions: Definitions) -> None:
    param = params("Provenance", definitions)["target"]
    criterion = reference.parse(param, "", ["5"], Reading(definitions=definitions))
    assert isinstance(criterion, Criterion)
    assert reference.matches(criterion, ["Slot/5"])
    assert len(criterion.values) > 140


@pytest.mark.parametrize(
    ("modifier", "text", "message"),
    [
        (
            "Practitioner",
            "Organization/1",
            "asks for a Practitioner, but the value is 'Organization/1'. Use one type in both.",
        ),
        ("", "a b", "Write id, Type/id, or an absolute URL"),
        ("", "Practitioner/", "Write id, Type/id, or an absolute URL"),
        ("Practitioner", "http://x/y", "Write the id alone"),
        ("identifier", "a|b|c", "of the identifier"),
    ],
)
def test_refusals(definitions: Definitions, modifier: str, text: str, message: str) -> None:
    param = params("Observation", definitions)["performer"]
    with pytest.raises(InvalidParameter, match=message):
        reference.parse(param, modifier, [text], Reading(definitions=definitions))


@pytest.mark.parametrize(
    ("text", "stored", "expected"),
    [
        ("http://x/Q", "http://x/Q", True),
        ("http://x/Q", "http://x/Q|1.0", True),
        ("http://x/Q|1.0", "http://x/Q|1.0", True),
        ("http://x/Q|1.0", "http://x/Q", False),
        ("http://x/Q|1", "http://x/Q|1.0", False),
        ("http://x/Q", "http://x/Q2", False),
        ("5", "Questionnaire/5", True),
    ],
)
def test_canonicals_with_and_without_version(definitions: Definitions, text: str, stored: str, expected: bool) -> None:
    param = params("QuestionnaireResponse", definitions)["questionnaire"]
    criterion = reference.parse(param, "", [text], Reading(definitions=definitions))
    assert isinstance(criterion, Criterion)
    assert reference.matches(criterion, reference.entries([("canonical", stored)], param)) is expected


@pytest.mark.parametrize(
    ("modifier", "text", "stored", "expected"),
    [
        ("", "http://acme.org/fhir/ValueSet/123", "http://acme.org/fhir/ValueSet/123", True),
        ("", "http://acme.org/fhir/ValueSet/123", "http://acme.org/fhir/valueset/123", False),
        ("", "http://acme.org/fhir/", "http://acme.org/fhir/ValueSet/123", False),
        ("", "urn:oid:1.2.3.4.5", "urn:oid:1.2.3.4.5", True),
        ("below", "http://acme.org/fhir/", "http://acme.org/fhir/ValueSet/123", True),
        ("below", "http://acme.org/fhir/", "http://other.org/fhir/ValueSet/123", False),
        ("above", "http://acme.org/fhir/ValueSet/123/_history/5", "http://acme.org/fhir/ValueSet/123", True),
        ("above", "http://acme.org/fhir/ValueSet/123/_history/5", "http://acme.org/fhir/ValueSet/123/_history/5", True),
        ("above", "http://acme.org/fhir/ValueSet/123/_history/5", "http://acme.org/fhir/", True),
        ("above", "http://acme.org/fhir/ValueSet/123/_history/5", "http://acme.org/fhir/Value", False),
        ("above", "http://acme.org/fhir/", "http://acme.org/fhir/ValueSet/123", False),
    ],
)
def test_uris(definitions: Definitions, modifier: str, text: str, stored: str, expected: bool) -> None:
    param = params("ValueSet", definitions)["url"]
    criterion = uri.parse(param, modifier, [text])
    assert isinstance(criterion, Criterion)
    assert uri.matches(criterion, uri.entries([("uri", stored)], param)) is expected


def test_above_and_below_are_for_urls_only(definitions: Definitions) -> None:
    with pytest.raises(InvalidParameter, match=r"Write a URL such as http://acme.org/fhir/ with :below"):
        uri.parse(params("ValueSet", definitions)["url"], "below", ["urn:oid:1.2"])
