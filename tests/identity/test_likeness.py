"""Names that are one name: spelt in two ways, mistyped, in two scripts; and names that are not."""

import pytest

from fhir_server.demo.names import POOLS
from fhir_server.identity.likeness import Likeness, jaro_winkler, likeness


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ("Käthe", "KAETHE", Likeness.SAME),
        ("Groß", "Gross", Likeness.SAME),
        ("O'Brien", "O Brien", Likeness.SAME),
        ("Łucja", "Lucja", Likeness.SAME),
        ("Smith", "Smiht", Likeness.CLOSE),
        ("Sutton", "Suton", Likeness.CLOSE),
        ("Иванов", "Ivanov", Likeness.CLOSE),
        ("Παπαδόπουλος", "Papadopoulos", Likeness.CLOSE),
        ("Anja", "Anna", Likeness.NEAR),
        ("Ivy", "Olive", Likeness.DIFFERENT),
        ("حسن", "Miller", Likeness.DIFFERENT),
        ("", "Miller", Likeness.DIFFERENT),
    ],
)
def test_names_are_as_alike_as_people_would_say(one: str, other: str, expected: Likeness) -> None:
    assert likeness(one, other) is expected is likeness(other, one)


def test_a_name_is_found_in_latin_letters_whatever_its_script() -> None:
    pairs = [pair for pool in POOLS for pair in pool.latin.items()]
    missed = [pair for pair in pairs if likeness(*pair) is not Likeness.CLOSE]
    wrong = [(a, b) for a, _ in pairs for _, b in pairs if (a, b) not in pairs and likeness(a, b) >= Likeness.CLOSE]
    assert len(missed) <= 3, missed
    assert len(wrong) <= 10 < len(pairs) * (len(pairs) - 1) / 100, wrong


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ("martha", "marhta", 0.961),
        ("dixon", "dicksonx", 0.813),
        ("dwayne", "duane", 0.84),
        ("abc", "xyz", 0),
        ("", "a", 0),
    ],
)
def test_the_similarity_is_that_of_winkler_s_own_examples(one: str, other: str, expected: float) -> None:
    assert jaro_winkler(one, other) == pytest.approx(expected, abs=0.001)
