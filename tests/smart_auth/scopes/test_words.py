"""Scopes in plain words."""

import pytest

from smart_auth.scopes.grammar import parse
from smart_auth.scopes.words import lines, noun


def test_reading_stands_before_changing_and_time_stands_last() -> None:
    found = lines(parse("offline_access patient/Condition.cruds openid launch/patient patient/Patient.read"))
    assert [line.title for line in found] == [
        "See problems and diagnoses",
        "See name, birth date, address and contact details",
        "Add, change and delete problems and diagnoses",
        "Know that it is you",
        "Keep access until you take it back",
    ]
    assert [line.writes for line in found] == [False, False, True, False, False]


def test_a_wildcard_is_announced_as_now_and_in_the_future() -> None:
    (line,) = lines(parse("patient/*.rs"))
    assert line.everything
    assert line.title == "See everything in the record"
    assert "in the future" in line.detail


def test_a_part_is_named_by_its_criteria() -> None:
    (line,) = lines(parse("patient/Observation.rs?category=http://x.org/c|vital-signs"))
    assert line.detail == (
        "The app can open and search test results and measurements (category vital signs) in this one record."
    )


def test_scopes_that_say_the_same_are_one_line() -> None:
    assert len(lines(parse("patient/Patient.r patient/Patient.s patient/Patient.read"))) == 1


@pytest.mark.parametrize(
    ("text", "whose"),
    [("user/Patient.r", "in every record that you can open"), ("system/Patient.r", "in every record.")],
)
def test_whose_data_is_said(text: str, whose: str) -> None:
    assert whose in lines(parse(text))[0].detail


def test_a_type_without_an_entry_has_its_own_words() -> None:
    assert noun("MolecularSequence") == "molecular sequence"
