"""Displays: which words are shown in a language, and what is said of a display that is not right."""

import pytest

from terminology.concept import Concept, Designation
from terminology.display import Displays, Languages

WITHDRAWN = {
    "url": "http://hl7.org/fhir/StructureDefinition/structuredefinition-standards-status",
    "valueCode": "withdrawn",
}
CONCEPT = Concept(
    "a",
    "Heart attack",
    designations=(
        Designation("Herzinfarkt", "de"),
        Designation("Herzinfarkt (CH)", "de-CH"),
        Designation("MI", "en", {"system": "http://example.org", "code": "abbreviation"}),
        Designation("Coronary", "en", extensions=(WITHDRAWN,)),
    ),
)


def said(display: str, languages: str = "", language: str = "en") -> tuple[str, str]:
    found = Displays(CONCEPT, language).check(display, Languages.read(languages), "a", "urn:s", "Coding.display")
    return (found.message_id, found.severity) if found else ("", "")


@pytest.mark.parametrize(
    ("languages", "shown"),
    [
        ("", "Heart attack"),
        ("de", "Herzinfarkt"),
        ("de-CH", "Herzinfarkt (CH)"),
        ("de-AT", "Herzinfarkt"),
        ("fr", "Heart attack"),
        ("fr, de;q=0.5", "Herzinfarkt"),
        ("de;q=0, en", "Heart attack"),
        ("*", "Heart attack"),
    ],
)
def test_words_are_shown_in_the_languages_asked_for(languages: str, shown: str) -> None:
    assert Displays(CONCEPT, "en").preferred(Languages.read(languages)) == shown


def test_displays_are_compared_without_case() -> None:
    assert said("heart ATTACK") == ("", "")
    assert said("mi") == ("", "")
    assert said("herzinfarkt", "de") == ("", "")


def test_a_display_of_another_language_is_wrong() -> None:
    assert said("Herzinfarkt", "en") == ("Display_Name_for__should_be_one_of__instead_of", "error")


def test_whitespace_is_told_apart_from_other_words() -> None:
    assert said("Heart  attack") == ("Display_Name_WS_for__should_be_one_of__instead_of", "error")
    assert said("Heart failure") == ("Display_Name_for__should_be_one_of__instead_of", "error")


def test_without_words_in_a_language_those_of_the_code_system_are_right() -> None:
    assert said("Heart attack", "fr") == ("NO_VALID_DISPLAY_FOUND_NONE_FOR_LANG_OK", "information")
    assert said("Heart failure", "fr") == ("NO_VALID_DISPLAY_FOUND_NONE_FOR_LANG_ERR", "error")


def test_a_withdrawn_word_is_told() -> None:
    found = Displays(CONCEPT, "en").check("Coronary", Languages(), "a", "urn:s", "display")
    assert found is not None
    assert found.message_id == "INACTIVE_DISPLAY_FOUND"
    assert "status = withdrawn" in found.text


def test_words_of_the_value_set_count() -> None:
    listed = {"code": "a", "display": "Infarct", "designation": [{"language": "nl", "value": "Hartinfarct"}]}
    displays = Displays(CONCEPT, "en", listed)
    assert displays.check("infarct", Languages(), "a", "urn:s", "") is None
    assert displays.preferred(Languages.read("nl")) == "Hartinfarct"


def test_the_choices_are_listed_with_their_languages() -> None:
    found = Displays(Concept("a", "A", designations=(Designation("B", "de"),)), "en").check(
        "x", Languages(), "a", "urn:s", ""
    )
    assert found is not None
    assert found.text == (
        "Wrong Display Name 'x' for urn:s#a. Valid display is one of 2 choices: 'A' (en) or 'B' (de) (for the language(s) '--')"
    )


def test_a_concept_without_words_refuses_none() -> None:
    found = Displays(Concept("a")).check("x", Languages(), "a", "urn:s", "")
    assert found is not None
    assert not found.fails


@pytest.mark.parametrize("text", ["de;q=x", ",", ";q=1", "de;q=0"])
def test_languages_that_cannot_be_read_are_left_out(text: str) -> None:
    assert Languages.read(text) == Languages()
