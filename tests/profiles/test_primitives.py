"""Primitive types: what has their shape, what has not, and why."""

from decimal import Decimal
from typing import Any

import pytest

from profiles.definitions.registry import Definitions
from profiles.primitives import ALLOWED, SHAPES, fault, span
from tests.effort import within

ACCEPTED: dict[str, list[Any]] = {
    "base64Binary": ["AAAA", "AAA=", "AA==", "AAAA\nAAAA", " AAAA ", "ab+/", "A" * 100_000],
    "boolean": [True, False],
    "canonical": ["http://example.org/a|1.0", "#x", "urn:uuid:c757873d-ec9a-4326-a141-556f43239520"],
    "code": ["a", "a b", "é", "<", "a\u00a0b"],
    "date": ["2020", "2020-02", "2020-02-29", "0001-01-01", "9999-12-31", "2000-02-29"],
    "dateTime": [
        "2020",
        "2020-02",
        "2020-02-29",
        "2020-02-29T23:59:60Z",
        "2020-02-29T10:00:00.123456789+14:00",
        "2020-01-01T00:00:00-13:59",
    ],
    "decimal": [0, -1, Decimal("1.00"), Decimal("1E-8"), Decimal("1." + "1" * 33), 10**34 - 1, Decimal("0E-6176")],
    "id": ["a", "A-1.b", "a" * 64],
    "instant": ["2020-02-29T10:00:00Z", "2020-02-29T10:00:00.5+05:30"],
    "integer": [0, -(2**31), 2**31 - 1],
    "markdown": ["# x\n\n* y\t", " "],
    "oid": ["urn:oid:1.2.3", "urn:oid:2.0"],
    "positiveInt": [1, 2**31 - 1],
    "string": ["a", "a\r\n\tb", " a ", "नमस्ते", "\u00a0", "x" * 1_048_576],
    "time": ["00:00:00", "23:59:60", "10:00:00.5"],
    "unsignedInt": [0, 2**31 - 1],
    "uri": ["urn:oid:1", "http://example.org/\u00a0", "Patient/1", "#"],
    "url": ["http://example.org"],
    "uuid": ["urn:uuid:c757873d-ec9a-4326-a141-556f43239520"],
    "xhtml": ["<div/>"],
}

REFUSED: dict[str, list[Any]] = {
    "base64Binary": ["", "A", "AAAAA", "AAA!", "A===", "=AAA", "====", "AA=A", "AAAÀ", " ", 1, None],
    "boolean": ["true", 1, 0, None, Decimal(1)],
    "canonical": ["", "a b", "a\tb", 1],
    "code": ["", " a", "a ", "a  b", "a\x00b", "a\n\nb", 1, None, [], {}],
    "date": [
        "",
        "20",
        "2020-13",
        "2020-00-01",
        "2021-02-29",
        "1900-02-29",
        "2020-04-31",
        "0000",
        "2020-1-1",
        "2020-01-01T00:00:00Z",
        "٢٠٢٠",
        2020,
    ],
    "dateTime": [
        "2020-01-01T10:00:00",
        "2020-01-01T10:00Z",
        "2020-01-01 10:00:00Z",
        "2020-01-01T24:00:00Z",
        "2020-01-01T10:00:00+14:01",
        "2020-02-30T10:00:00Z",
        "2020-01-01T10:00:00z",
    ],
    "decimal": [
        True,
        1.5,
        "1",
        Decimal("1." + "1" * 34),
        10**34,
        Decimal("1E+6112"),
        Decimal("1E-6177"),
        Decimal("NaN"),
        Decimal("Infinity"),
        None,
    ],
    "id": ["", "a_b", "a" * 65, "é", "a b", "a\n", 1],
    "instant": ["2020-02-29", "2020-02-29T10:00:00", "2021-02-29T10:00:00Z"],
    "integer": [True, 2**31, -(2**31) - 1, Decimal("1.0"), Decimal(1), "1", 1.0],
    "markdown": ["", "\x0b", 1],
    "oid": ["1.2.3", "urn:oid:3.1", "urn:oid:1.02", "urn:oid:1"],
    "positiveInt": [0, -1, True, 2**31],
    "string": ["", "a\x00", "\x1f", 1, True, None, [], {}, "x" * 1_048_577],
    "time": ["24:00:00", "10:00", "10:00:00Z", "1:00:00"],
    "unsignedInt": [-1, True, 2**31],
    "uri": ["", "a b", "a\nb", "a\x00", 1],
    "url": ["", "http://example.org/a b"],
    "uuid": ["c757873d-ec9a-4326-a141-556f43239520", "urn:uuid:C757873D-EC9A-4326-A141-556F43239520"],
    "xhtml": ["", 1],
}


def cases(table: dict[str, list[Any]]) -> list[Any]:
    return [pytest.param(name, value, id=f"{name} {str(value)[:40]!a}") for name in table for value in table[name]]


@pytest.mark.parametrize(("name", "value"), cases(ACCEPTED))
def test_a_value_of_the_type_is_accepted(name: str, value: Any) -> None:
    assert SHAPES[name](value)


@pytest.mark.parametrize(("name", "value"), cases(REFUSED))
def test_a_value_of_another_shape_is_refused(name: str, value: Any) -> None:
    assert not SHAPES[name](value)


def test_every_primitive_of_the_definitions_has_a_shape(definitions: Definitions) -> None:
    primitives = {name for name in definitions.types if definitions.primitive(name)}
    assert primitives == set(SHAPES) == set(ALLOWED) == set(ACCEPTED) == set(REFUSED)


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("date", "2021-02-29", "there is no such day"),
        ("dateTime", "2020-01-01T10:00:00", "its format is not valid"),
        ("string", "a\x00", "it has a control character"),
        ("string", "", "it is empty"),
        ("string", "x" * 1_048_577, "it has 1048577 characters"),
        ("id", "a" * 65, "it is too long (65 characters)"),
        ("id", "a_b", "it has characters that are not allowed"),
        ("uri", "a b", "it has a space"),
        ("code", "a ", "its spaces are not allowed"),
        ("integer", 2**31, "it is out of range"),
        ("integer", Decimal("1.0"), "it is written with a fraction or an exponent"),
        ("decimal", Decimal("1." + "1" * 34), "it has 35 digits"),
        ("decimal", 10**40, "it has 41 digits"),
        ("decimal", Decimal("1E+7000"), "its exponent is out of range"),
        ("decimal", 1.5, "it is not an exact decimal number"),
        ("decimal", Decimal("NaN"), "it is not an exact decimal number"),
    ],
)
def test_the_reason_is_given(name: str, value: Any, reason: str) -> None:
    assert fault(name, value) == reason


def test_malformed_base64_takes_no_time() -> None:
    with within(0.5):
        assert not SHAPES["base64Binary"]("A" * 1_000_003 + "!")


@pytest.mark.parametrize(
    ("text", "low", "high"),
    [
        ("2020-01-01T10:00:00Z", "2020-01-01T10:00:00+00:00", "2020-01-01T10:00:00.999999+00:00"),
        ("2020-01-01T10:00:00.5+05:30", "2020-01-01T04:30:00.500000+00:00", "2020-01-01T04:30:00.500000+00:00"),
        ("2020-01-01T23:59:60Z", "2020-01-02T00:00:00+00:00", "2020-01-02T00:00:00.999999+00:00"),
        ("2020-02", "2020-01-31T10:00:00+00:00", "2020-03-01T13:59:59.999999+00:00"),
        ("2020", "2019-12-31T10:00:00+00:00", "2021-01-01T13:59:59.999999+00:00"),
        ("0001", "0001-01-01T00:00:00+00:00", "0002-01-01T13:59:59.999999+00:00"),
        ("9999", "9998-12-31T10:00:00+00:00", "9999-12-31T23:59:59.999999+00:00"),
    ],
)
def test_a_time_of_partial_precision_is_an_interval(text: str, low: str, high: str) -> None:
    found = span(text)
    assert found is not None
    assert [moment.isoformat() for moment in found] == [low, high]


@pytest.mark.parametrize("text", ["", "x", "2021-02-29", "2020-01-01T10:00:00"])
def test_what_is_no_time_has_no_interval(text: str) -> None:
    assert span(text) is None


@pytest.mark.parametrize("text", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:60Z", "9999-12-31T23:59:59-14:00"])
def test_the_ends_of_the_calendar_are_no_error(text: str) -> None:
    assert span(text) is not None
