"""Languages that are wanted, and the words that are chosen by them."""

import doctest

import pytest

import terminology.languages
from terminology.concept import Designation
from terminology.languages import Wanted, selected

WORDS = [
    Designation("Display", "en"),
    Designation("Anzeige", "de-CH"),
    Designation("Schild", "de", {"code": "synonym"}),
    Designation("Mostrar", "es"),
    Designation("Olde", "", {"system": "urn:use", "code": "olde"}),
]


def test_examples() -> None:
    failures, attempted = doctest.testmod(terminology.languages)
    assert (failures, attempted > 0) == (0, True)


@pytest.mark.parametrize(
    ("text", "chosen"),
    [
        ("", "Display"),
        ("en", "Display"),
        ("en-AU", "Display"),
        ("de", "Anzeige"),
        ("de-CH", "Anzeige"),
        ("de-AT", "Schild"),
        ("fr", "Display"),
        ("fr, es;q=0.5, de;q=0.7", "Anzeige"),
        ("*", "Display"),
        ("fr,*", "Display"),
        ("fr, *;q=0", ""),
        ("es, *;q=0", "Mostrar"),
        ("de;q=0, es", "Mostrar"),
        ("de;q=nan, es;q=0.1", "Anzeige"),
        ("!!, es", "Mostrar"),
    ],
)
def test_words_are_chosen_by_language(text: str, chosen: str) -> None:
    found = Wanted.read(text).chosen(WORDS)
    assert (found.value if found else "") == chosen


def test_a_display_of_an_unknown_language_is_better_than_none() -> None:
    assert Wanted.read("de, *;q=0").chosen([Designation("Display")]) == Designation("Display")
    assert Wanted.read("de").chosen([]) is None


def test_a_list_is_printed_as_it_is_understood() -> None:
    assert str(Wanted.read("de;q=0.50,en, *;q=0")) == "en, de; q=0.5, *; q=0"


@pytest.mark.parametrize(
    ("tokens", "expected"),
    [
        ((), ["Display", "Anzeige", "Schild", "Mostrar", "Olde"]),
        (("urn:ietf:bcp:47|de",), ["Anzeige", "Schild"]),
        (("urn:use|olde", "es"), ["Mostrar", "Olde"]),
        (("synonym",), ["Schild"]),
        (("urn:other|olde",), []),
    ],
)
def test_designations_are_selected_by_language_and_use(tokens: tuple[str, ...], expected: list[str]) -> None:
    assert [one.value for one in selected(WORDS, tokens)] == expected
