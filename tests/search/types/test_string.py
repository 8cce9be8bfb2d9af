"""String parameters (R4 3.1.1.4.8)."""

import unicodedata

import hypothesis
import pytest
from hypothesis import settings
from hypothesis import strategies as st

from fhir_server.model.errors import InvalidParameter
from fhir_server.search.expression import Criterion
from fhir_server.search.params import Param, params
from fhir_server.search.types import string
from profiles.definitions.registry import Definitions
from terminology.words import fold


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
        # Latin
        ("", "sorensen", "Sørensen", True),
        ("", "aegir thor", "Ægir Þór", True),
        ("", "istanbul", "İSTANBUL", True),
        ("", "isik", "I\u015f\u0131k", True),
        ("", "nguyen van", "NGUYỄN VĂN", True),
        ("", "o'brien", "O\u2019Brien", True),
        ("", "smith-jones", "Smith\u2011Jones", True),
        ("", "fischer", "Fi\u00adscher", True),
        ("", "ﬁscher", "Fischer", True),
        ("", "Zoë", "Zoe\u0308", True),
        # Greek: tonos, dialytika, final sigma
        ("", "ιωαννης", "Ιωάννης", True),
        ("", "ΙΩΆΝΝΗΣ", "Ιωάννης", True),
        ("", "μαιος", "Μάϊος", True),
        ("", "ελενη", "Ελένα", False),
        # Cyrillic
        ("", "семен", "Семён", True),
        ("", "ЖУКОВ", "жуков", True),
        ("", "іван", "Їван", True),
        ("", "иван", "Іван", False),
        # Devanagari: vowel signs, virama and nasalization are letters; composed and decomposed nukta are one
        ("", "राम", "राम कुमार", True),
        ("", "रम", "राम", False),
        ("", "कुमार", "कमार", False),
        ("", "हिंदी", "हिदी", False),
        ("", "क\u093c", "\u0958", True),
        ("", "क\u094dष", "क\u094d\u200dष", True),
        # Arabic: vowel signs, lengthening and hamza; not other letters
        ("", "محمد", "مُحَمَّد", True),
        ("", "احمد", "أحمد", True),
        ("", "أَحْمَد", "احمد", True),
        ("", "محمد", "محـــمد", True),
        ("", "سلام", "\u202b\u0633\u0644\u0627\u0645\u202c", True),
        ("", "ﻣﺤﻤﺪ", "محمد", True),
        ("", "محمد", "محمود", False),
        ("", "علي", "علا", False),
        # Hebrew
        ("", "שלום", "שָׁלוֹם", True),
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
    assert fold(fold(text)) == fold(text)


SCRIPTS = st.sampled_from(
    [
        (0x41, 0x5A),
        (0xC0, 0x24F),
        (0x370, 0x3FF),
        (0x400, 0x4FF),
        (0x900, 0x97F),
        (0x620, 0x6D3),
        (0x5D0, 0x5EA),
        (0x20, 0x20),
    ]
).flatmap(lambda block: st.integers(*block).map(chr))


@settings(max_examples=500, deadline=None, database=None)
@hypothesis.given(st.lists(SCRIPTS, max_size=12).map("".join))
def test_what_is_folded_stays_as_it_is(text: str) -> None:
    folded = fold(text)
    assert fold(folded) == folded
    assert fold(unicodedata.normalize("NFC", text)) == fold(unicodedata.normalize("NFD", text)) == folded
    assert "\n" not in folded
    assert folded == folded.strip()


@settings(max_examples=300, deadline=None, database=None)
@hypothesis.given(st.text(st.characters(min_codepoint=0x900, max_codepoint=0x97F), max_size=10))
def test_no_sign_of_devanagari_is_left_out(text: str) -> None:
    assert fold(text).replace(" ", "") == "".join(unicodedata.normalize("NFKD", text).split())
