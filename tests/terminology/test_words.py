"""Words are cut the same way whether a text is plain or not."""

from hypothesis import given
from hypothesis import strategies as st

from terminology.words import LONGEST, split


@given(st.text(st.characters(max_codepoint=127)))
def test_plain_texts_have_the_words_that_they_have_beside_others(text: str) -> None:
    assert [*split(text), "e"] == split(f"{text} é")


def test_words_are_folded_and_what_stands_between_them_is_left_out() -> None:
    assert split("Crohn's dis-ease_of  Łódź (K50.9)") == ["crohn", "s", "dis", "ease", "of", "lodz", "k50", "9"]
    assert split("x" * (LONGEST + 1)) == []
