"""Expressions are read as the grammar says, written as they are read, and nothing else than an error comes of the rest."""

import os
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from profiles.fhirpath.errors import FhirPathError
from profiles.fhirpath.lexer import MOST_CHARACTERS
from profiles.fhirpath.moments import Moment
from profiles.fhirpath.parser import CALENDAR, MOST_DEEP, MOST_NESTED, parse
from profiles.fhirpath.syntax import (
    BINDING,
    Amount,
    Call,
    Context,
    Expression,
    Index,
    Literal,
    Member,
    Operation,
    Polarity,
    TypeTest,
    Variable,
    text,
)

ROUNDS = settings(max_examples=int(os.environ.get("FHIRPATH_ROUNDS", "60")), deadline=None)

names = st.one_of(
    st.sampled_from(
        ["name", "given", "value", "contains", "is", "Patient", "and", "div", "true", "_x", "day", "with space"]
    ),
    st.text(min_size=1, max_size=8),
)
types = st.builds(
    lambda namespace, name: f"{namespace}{name}",
    st.sampled_from(["", "FHIR.", "System."]),
    st.sampled_from(["Quantity", "string", "odd name"]),
)
numbers = st.decimals(min_value=0, max_value=10**9, places=3)
MOMENTS = "2014 2014-02 2014-02-28 2014T 2014-02-28T10 2014-02-28T10:30:01.250+05:30 2014-02-28T10:30Z T10:30 T10:30:59"
moments = st.sampled_from([found for written in MOMENTS.split() if (found := Moment.parse(written))])
literals = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(0, 2**31 - 1),
    numbers,
    st.text(max_size=20),
    moments,
    st.builds(Amount, numbers, st.text(max_size=5)),
    st.builds(
        lambda number, word: Amount(number, word, calendar=True),
        numbers,
        st.sampled_from(sorted(set(CALENDAR.values()))),
    ),
).map(Literal)
leaves = st.one_of(
    literals,
    st.sampled_from(["this", "index", "total"]).map(Context),
    names.map(Variable),
    st.builds(Member, st.none(), names),
)


def grown(inner: st.SearchStrategy[Expression]) -> st.SearchStrategy[Expression]:
    operators = st.sampled_from(sorted(set(BINDING) - {"is", "as"}))
    return st.one_of(
        st.builds(Member, inner, names),
        st.builds(Call, st.none() | inner, names, st.lists(inner, max_size=3).map(tuple)),
        st.builds(Index, inner, inner),
        st.builds(Polarity, st.sampled_from("+-"), inner),
        st.builds(Operation, operators, inner, inner),
        st.builds(TypeTest, st.sampled_from(["is", "as"]), inner, types),
    )


expressions: st.SearchStrategy[Expression] = st.recursive(leaves, grown, max_leaves=12)


@ROUNDS
@given(expressions)
def test_what_is_written_is_read_again(expression: Expression) -> None:
    assert parse(text(expression)) == expression


pieces = st.sampled_from(
    [
        "a",
        ".",
        "(",
        ")",
        "[",
        "]",
        "{",
        "}",
        "'",
        "`",
        "'x'",
        "1",
        "1.5",
        "@2014",
        "@T1",
        "%",
        "$this",
        "and",
        "is",
        "|",
        "-",
        " ",
        "//",
        "/*",
        "\\",
        "é",
        "\x00",
    ]
)


@ROUNDS
@given(st.one_of(st.text(), st.lists(pieces, max_size=25).map("".join)))
def test_any_text_is_an_expression_or_an_error_that_tells_where(written: str) -> None:
    found = read(written)
    if isinstance(found, FhirPathError):
        assert found.when in {"syntax", "limit"}
        assert found.line >= 1
        assert found.column >= 1
        assert 0 <= found.offset <= len(written)
    else:
        assert parse(text(found)) == found


def read(written: str) -> Expression | FhirPathError:
    try:
        return parse(written)
    except FhirPathError as error:
        return error


@pytest.mark.parametrize(
    ("written", "grouped"),
    [
        ("1+2*3+4", "(1 + (2 * 3)) + 4"),
        ("-1.x()", "-(1.x())"),
        ("a or b and c", "a or (b and c)"),
        ("a implies b implies c", "(a implies b) implies c"),
        ("1 > 2 is Boolean", "1 > (2 is Boolean)"),
        ("a | b = c", "(a | b) = c"),
        ("a = b in c", "(a = b) in c"),
        ("a.b[0].c", "(a.b[0]).c"),
        ("repeat(contains) contains 1", "(repeat(`contains`)) contains 1"),
    ],
)
def test_operators_bind_as_the_grammar_says(written: str, grouped: str) -> None:
    assert parse(written) == parse(grouped)


def test_quantities_have_units_of_ucum_or_words_of_the_calendar() -> None:
    assert parse("4.0 'mg'") == Literal(Amount(Decimal("4.0"), "mg"))
    assert parse("2 weeks") == Literal(Amount(Decimal(2), "week", calendar=True))


@pytest.mark.parametrize(
    ("written", "place", "says"),
    [
        ("2 + 2 /", (1, 8), "end of the expression"),
        ("name.\n  first(", (2, 9), "A value, a path"),
        ("2 /* open", (1, 3), "comment is not closed"),
        ("'open", (1, 1), "string is not closed"),
        ('name = "x"', (1, 8), "single quotes"),
        ("'\\s'", (1, 1), "is no escape"),
        ("@2014-02-30", (1, 1), "no date or time"),
        ("@T14:30Z", (1, 1), "no date or time"),
        ("a b", (1, 3), "go on with an operator"),
        ("a and or b", (1, 7), "a name that is a word stands in backticks"),
        ("{1}", (1, 2), "braces hold nothing"),
        ("%", (1, 1), "followed by a name"),
        ("1abc", (1, 1), "letters follow its digits"),
        ("a.1", (1, 3), "A . is followed"),
    ],
)
def test_errors_say_where_and_what_to_write(written: str, place: tuple[int, int], says: str) -> None:
    with pytest.raises(FhirPathError, match=says) as caught:
        parse(written)
    assert caught.value.when == "syntax"
    assert (caught.value.line, caught.value.column) == place


@pytest.mark.parametrize(
    "written",
    [
        "(" * (MOST_NESTED + 1) + "1" + ")" * (MOST_NESTED + 1),
        "-" * 10_000 + "1",
        "a" + ".a" * MOST_DEEP,
        "1" + " + 1" * MOST_DEEP,
        "f(" * 5_000 + ")" * 5_000,
        "a[" * 5_000 + "1" + "]" * 5_000,
        "a" * (MOST_CHARACTERS + 1),
    ],
)
def test_expressions_without_end_are_refused(written: str) -> None:
    with pytest.raises(FhirPathError) as caught:
        parse(written)
    assert caught.value.when == "limit"
