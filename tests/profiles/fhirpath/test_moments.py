"""Dates and times: their precision, their zones, arithmetic and boundaries."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from profiles.fhirpath.moments import Moment, boundary, compare, shifted

dates = st.dates().map(str)


def moment(text: str) -> Moment:
    found = Moment.parse(text)
    assert found is not None, text
    return found


@pytest.mark.parametrize(
    "text",
    ["2014", "2014-02", "2014-02-28", "2014-02-28T10:30", "2014-02-28T10:30:01.250+05:30", "2014-02-28T10:30:00Z"],
)
def test_text_is_kept(text: str) -> None:
    assert str(moment(text)) == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "14",
        "2014-1",
        "2014-13",
        "2014-02-30",
        "0000",
        "2014-02T10",
        "2014-02-28T25",
        "2014-02-28T10:60",
        "T",
        "T1",
        "T10:00Z",
        "2014-02-28T10:00+25:00",
        "²014",
    ],
)
def test_what_no_calendar_and_clock_show_is_none(text: str) -> None:
    assert Moment.parse(text) is None


@pytest.mark.parametrize(
    ("one", "other", "order"),
    [
        ("2014", "2015", -1),
        ("2014", "2014-01", None),
        ("2014-05", "2014-06-01", -1),
        ("2014-01-01", "2014-01-01T10:00", None),
        ("2014-01-01T10:00:00", "2014-01-01T10:00:00.0", 0),
        ("2014-01-01T10:00:00Z", "2014-01-01T12:00:00+02:00", 0),
        ("2014-01-01T00:30:00+02:00", "2013-12-31T22:30:00Z", 0),
        ("2014-01-01T10:00:00Z", "2014-01-01T10:00:00", None),
        ("2014-01-01T10:00:00Z", "2014-01-03T10:00:00", -1),
        ("2014-01-01T10:00:00Z", "2013", None),
        ("2014-01-01T12:00:01Z", "2013", 1),
        ("T10:30", "T10:31", -1),
        ("T10:30", "T10:30:00", None),
    ],
)
def test_order(one: str, other: str, order: int | None) -> None:
    assert compare(moment(one), moment(other)) == order
    assert compare(moment(other), moment(one)) == (None if order is None else -order)


@pytest.mark.parametrize(
    ("text", "amount", "unit", "expected"),
    [
        ("2014-01-31", "1", "month", "2014-02-28"),
        ("2016-02-29", "1", "year", "2017-02-28"),
        ("2014", "23", "month", "2015"),
        ("2014", "730", "day", "2016"),
        ("2014-01", "30", "day", "2014-02"),
        ("2014-01-01", "-1", "day", "2013-12-31"),
        ("2014-01-01", "47", "hour", "2014-01-02"),
        ("2014-12-31T23:59:59.5Z", "0.5", "second", "2015-01-01T00:00:00.0Z"),
        ("2014-01-01T00:00", "-1", "minute", "2013-12-31T23:59"),
        ("T23:30", "1", "hour", "T00:30"),
        ("T10", "-11", "hour", "T23"),
    ],
)
def test_arithmetic(text: str, amount: str, unit: str, expected: str) -> None:
    found = shifted(moment(text), Decimal(amount), unit)
    assert found == moment(expected)


@given(dates, st.integers(-5_000, 5_000), st.sampled_from(["day", "week"]))
def test_days_that_are_added_can_be_taken_away(text: str, amount: int, unit: str) -> None:
    there = shifted(moment(text), Decimal(amount), unit)
    if there is not None:
        assert shifted(there, Decimal(-amount), unit) == moment(text)


@given(
    st.sampled_from(
        ["2014", "2014-02", "2014-02-28", "2014-02-28T10", "2014-02-28T10:30", "2014-02-28T10:30:00.5", "T10", "T10:30"]
    )
)
def test_boundaries_enclose(text: str) -> None:
    low, high = boundary(moment(text), None, high=False), boundary(moment(text), None, high=True)
    assert low is not None
    assert high is not None
    assert compare(low, high) == (0 if text == "2014-02-28" else -1)
    assert boundary(moment(text), 3, high=True) is None
