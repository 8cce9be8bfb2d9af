"""Date parameters (R4 3.1.1.4.7): the examples of the specification, and the edges of the calendar."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhir_server.model.errors import InvalidParameter
from fhir_server.search.expression import Criterion
from fhir_server.search.params import params
from fhir_server.search.reading import PLAIN, Reading
from fhir_server.search.types import date
from profiles.definitions.registry import Definitions

ONWARDS = ("Period", {"start": "2013-01-21"})
UNTIL = ("Period", {"end": "2013-01-21"})
LATER = ("Period", {"start": "2013-03-15"})


def at(text: str) -> tuple[str, str]:
    return "dateTime", text


@pytest.mark.parametrize(
    ("text", "value", "expected"),
    [
        ("eq2013-01-14", at("2013-01-14T00:00"), True),
        ("2013-01-14", at("2013-01-14T10:00"), True),
        ("eq2013-01-14", at("2013-01-15T00:00"), False),
        ("ne2013-01-14", at("2013-01-15T00:00"), True),
        ("ne2013-01-14", at("2013-01-14T00:00"), False),
        ("ne2013-01-14", at("2013-01-14T10:00"), False),
        ("lt2013-01-14T10:00", at("2013-01-14"), True),
        ("gt2013-01-14T10:00", at("2013-01-14"), True),
        ("ge2013-03-14", ONWARDS, True),
        ("le2013-03-14", ONWARDS, True),
        ("sa2013-03-14", LATER, True),
        ("sa2013-03-14", ONWARDS, False),
        ("sa2013-03-14", UNTIL, False),
        ("eb2013-03-14", LATER, False),
        ("eb2013-03-14", ONWARDS, False),
        ("eb2013-03-14", UNTIL, True),
        ("ap2013-03-14", at("2013-03-14"), True),
        ("ap2013-03-14", at("2015-06-15"), False),
        ("2013", at("2013-05"), True),
        ("2013-05", at("2013"), False),
        ("2013-05", at("2013-05"), True),
        ("ge2013-05", at("2013-05-20"), True),
        ("gt2013-05", at("2013-05-20"), False),
        ("gt2013-05", at("2013-06"), True),
        ("lt2013-05", at("2013-05-01"), False),
        ("le2013-05", at("2013-05-31T23:59:59Z"), True),
        ("2013-01-14T10:00:00Z", at("2013-01-14T11:00:00+01:00"), True),
        ("2013-01-14T10:00:00.5Z", at("2013-01-14T10:00:00.500Z"), True),
        ("2013-01-14T10:00:00Z", at("2013-01-14T10:00:00.999Z"), True),
        ("gt2013-01-14T10:00:00Z", at("2013-01-14T10:00:00.999Z"), False),
        ("2013-01-14T10:00:00Z", ("instant", "2013-01-14T10:00:00Z"), True),
        ("2013", ("Period", {"start": "2013-02", "end": "2013-12"}), True),
        ("2013", ("Period", {"start": "2013-02"}), False),
        ("ne2013", ("Period", {"start": "2013-02"}), True),
        ("lt2000", UNTIL, True),
        ("gt2999", ONWARDS, True),
        ("2013-02-01", ("Timing", {"event": ["2013-01-31", "2013-03-24"]}), False),
        ("ap2013-02-01", ("Timing", {"event": ["2013-01-31", "2013-03-24"]}), True),
        (
            "2013",
            ("Timing", {"event": ["2013-01-31"], "repeat": {"boundsPeriod": {"end": "2013-04", "start": "2013"}}}),
            True,
        ),
    ],
)
def test_prefixes(definitions: Definitions, text: str, value: tuple[str, object], expected: bool) -> None:
    param = params("Procedure", definitions)["date"]
    now = datetime(2013, 6, 1, tzinfo=UTC)
    criterion = date.parse(param, "", [text], Reading(now=now))
    assert isinstance(criterion, Criterion)
    assert date.matches(criterion, date.entries([value], param)) is expected


@pytest.mark.parametrize(
    "text",
    [
        "", "13", "2013-1", "2013-13", "2013-02-30", "2013-01-14T", "2013-01-14T10", "2013-01-14 10:00", "23 May 2009",
        "2013-01-14T24:01", "2013-01-14T10:00:61", "2013-01-14T10:00:00 01:00", "xx2013", "GE2013", "2013-01-14T10:00:00+25:00",
        "٢٠١٣", "0000", "2013-01-14T10:00:00.", "2013-W01", "ge",
    ],
)  # fmt: skip
def test_what_is_no_date_is_refused_with_the_form_of_one(definitions: Definitions, text: str) -> None:
    with pytest.raises(
        InvalidParameter, match=r"is not a valid value of the date parameter 'birthdate'\. Write a date such as"
    ):
        date.parse(params("Patient", definitions)["birthdate"], "", [text])


def test_values_without_any_limit_have_no_interval(definitions: Definitions) -> None:
    param = params("Procedure", definitions)["date"]
    empty = [("Period", {"extension": []}), ("Timing", {"code": {"text": "BID"}}), ("dateTime", "yesterday")]
    assert date.entries(empty, param) == []


def test_the_zone_of_what_states_none_is_that_of_the_server() -> None:
    zone = timezone(timedelta(hours=-5))
    assert date.interval("2013-01-14", zone) == (
        datetime(2013, 1, 14, 5, tzinfo=UTC),
        datetime(2013, 1, 15, 4, 59, 59, 999000, tzinfo=UTC),
    )
    assert date.interval("2013-01-14T00:00Z", zone) == date.interval("2013-01-14T00:00Z")


@pytest.mark.parametrize(
    ("text", "low", "high"),
    [
        ("0001", date.EARLIEST, datetime(1, 12, 31, 23, 59, 59, 999000, tzinfo=UTC)),
        ("9999", datetime(9999, 1, 1, tzinfo=UTC), date.LATEST),
        ("0001-01-01T00:00:00+14:00", date.EARLIEST, date.EARLIEST),
        ("9999-12-31T23:59:59-12:00", date.LATEST, date.LATEST),
        ("2016-02", datetime(2016, 2, 1, tzinfo=UTC), datetime(2016, 2, 29, 23, 59, 59, 999000, tzinfo=UTC)),
        ("2016-12-31T23:59:60Z", *[datetime(2016, 12, 31, 23, 59, 59, ms, tzinfo=UTC) for ms in (0, 999000)]),
        ("2016-01-01T00:00:00.1234567Z", *[datetime(2016, 1, 1, 0, 0, 0, 123000, tzinfo=UTC)] * 2),
    ],
)
def test_edges_of_the_calendar(text: str, low: datetime, high: datetime) -> None:
    assert date.interval(text) == (low, high)


@given(st.text(alphabet="0123456789-T:.Z+ eqgtap", max_size=30))
def test_whatever_is_sent_gives_an_interval_or_nothing(text: str) -> None:
    found = date.interval(text)
    assert found is None or found.low <= found.high


@given(st.datetimes(), st.sampled_from([4, 7, 10]))
def test_a_date_lies_within_its_month_and_year(moment: datetime, length: int) -> None:
    outer, inner = date.interval(f"{moment:%Y-%m-%d}".rjust(10, "0")[:length]), date.interval(moment.isoformat()[:19])
    assert outer is not None
    assert inner is not None
    assert outer.low <= inner.low <= inner.high <= outer.high


def test_approximately_is_a_tenth_of_the_gap_to_now(definitions: Definitions) -> None:
    param = params("Patient", definitions)["birthdate"]
    reading = Reading(now=datetime(2020, 1, 1, tzinfo=UTC))
    criterion = date.parse(param, "", ["ap2010-01-01"], reading)
    assert isinstance(criterion, Criterion)
    within = criterion.values[0]
    assert timedelta(days=364) < datetime(2010, 1, 1, tzinfo=UTC) - within.low < timedelta(days=366)
    assert date.parse(param, "", ["ap9999", "ap0001"], PLAIN)
