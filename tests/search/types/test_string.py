"""String parameters (R4 3.1.1.4.8)."""

import pytest

from fhir_server.model.errors import InvalidParameter
from fhir_server.search.expression import Criterion
from fhir_server.search.params import Param, params
from fhir_server.search.types import string
from profiles.definitions.registry import Definitions


@pytest.fixture
def given(definitions: Definitions) -> Param:
    return params("Patient", definitions)["given"]


def holds(param: Param, modifier: str, text: str, *stored: str) -> bool:
    criterion = string.parse(param, modifier, [text])
    assert isinstance(criterion, Criterion)
    return string.matches(criterion, string.entries([("string", one) for one in stored], param))


@pytest.mark.parametrize(
    ("modifier", "text", "stored", "expected"),
    [
        ("", "eve", "Eve", True),
        ("", "eve", "Evelyn", True),
        ("", "eve", "Severine", False),
        ("contains", "eve", "Severine", True),
        ("contains", "EVE", "Evelyn", True),
        ("contains", "eve", "Ada", False),
        ("exact", "Eve", "Eve", True),
        ("exact", "Eve", "eve", False),
        ("exact", "Eve", "EVE", False),
        ("exact", "Eve", "Evelyn", False),
        ("", "muller", "Müller", True),
        ("", "MÜLL", "Muller", True),
        ("", "Łuk", "lukasz", True),
        ("", "strasse", "Straße", True),
        ("exact", "Straße", "Strasse", False),
        ("", "van der", "Van  der\tBerg", True),
        ("contains", "r b", "Van der Berg", True),
        ("contains", ".", "Ada", False),
        ("", "a.", "Ada", False),
        ("", "राम कुमार", "राम कुमार", True),
        ("", "राम कमार", "राम कुमार", False),
        ("contains", "Ada", "Ada", True),
        ("contains", "\\,", "a,b", True),
    ],
)
def test_the_three_ways_to_compare(given: Param, modifier: str, text: str, stored: str, expected: bool) -> None:
    assert holds(given, modifier, text, stored) is expected


def test_the_text_as_written_is_not_searched_by_contains(given: Param) -> None:
    assert not holds(given, "contains", "r m", "Müller", "Mary")


def test_any_part_of_a_name_or_an_address_matches(definitions: Definitions) -> None:
    name = params("Patient", definitions)["name"]
    value = {
        "use": "official",
        "family": "Chalmers",
        "given": ["Peter", "James"],
        "prefix": ["Dr"],
        "text": "P. Chalmers",
    }
    stored = string.entries([("HumanName", value)], name)
    assert stored == ["chalmers\nChalmers", "peter\nPeter", "james\nJames", "dr\nDr", "p. chalmers\nP. Chalmers"]
    address = {"line": ["1 Road"], "city": "x", "postalCode": "AB1"}
    assert string.entries([("Address", address)], name) == ["1 road\n1 Road", "x", "ab1\nAB1"]


def test_a_name_without_text_is_there_but_matches_nothing(given: Param) -> None:
    assert string.entries([("HumanName", {"use": "old"})], given) == [""]


def test_a_text_of_combining_marks_is_refused(given: Param) -> None:
    with pytest.raises(
        InvalidParameter, match=r"is not a valid value of the string parameter 'given'\. Write a text such"
    ):
        string.parse(given, "", ["\u0301"])


@pytest.mark.parametrize(
    "text", ["Müller", "ŁÓDŹ", "ﬁn", "İstanbul", "ǅ", "  a   b ", "ὈΔΥΣΣΕΎΣ", "þórr", "O\u2019Hara"]
)
def test_folding_twice_is_folding_once(text: str) -> None:
    assert string.fold(string.fold(text)) == string.fold(text)
