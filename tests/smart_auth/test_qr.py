"""QR codes. That readers read them is shown in the browser (tests/browser/test_journey.py); here: the fixed parts of all versions."""

import pytest

from smart_auth import qr

FINDER = ("1111111", "1000001", "1011101", "1011101", "1011101", "1000001", "1111111")
MOST = {1: 14, 2: 26, 3: 42, 4: 62, 5: 84, 6: 106, 7: 122, 8: 152, 9: 180, 10: 213}


@pytest.mark.parametrize(("number", "most"), MOST.items())
def test_a_text_takes_the_smallest_version_that_holds_it(number: int, most: int) -> None:
    found = qr.rows("x" * most)
    size = 17 + 4 * number
    assert [len(row) for row in found] == [size] * size
    assert len(qr.rows("x" * (most + 1))) == (size + 4 if number < 10 else 0)
    corners = ((0, 0), (0, size - 7), (size - 7, 0))
    for top, left in corners:
        drawn = tuple("".join("01"[one] for one in row[left : left + 7]) for row in found[top : top + 7])
        assert drawn == FINDER
    assert "".join("01"[one] for one in found[6][8 : size - 8]) == ("10" * size)[: size - 16]
    assert found[size - 8][8]


def test_both_copies_of_the_format_are_level_m_and_the_first_mask() -> None:
    found = qr.rows("x")
    places = [
        (8, 0),
        (8, 1),
        (8, 2),
        (8, 3),
        (8, 4),
        (8, 5),
        (8, 7),
        (8, 8),
        (7, 8),
        (5, 8),
        (4, 8),
        (3, 8),
        (2, 8),
        (1, 8),
        (0, 8),
    ]
    assert "".join("01"[found[row][column]] for row, column in places) == "101010000010010"


def test_the_correction_is_that_of_the_example_of_the_standard() -> None:
    data = bytes.fromhex("10200c566180ec11ec11ec11ec11ec11")
    assert qr._correction(data, 10).hex() == "a524d4c1ed36c7872c55"
