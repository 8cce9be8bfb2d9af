"""The grammar of expression constraints, and what is said of texts that do not follow it."""

from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from terminology.ecl import expression
from terminology.ecl.parser import parse
from terminology.ecl.tokens import InvalidConstraint

PIECES = st.sampled_from(
    [
        "404684003", "363698007", " ", "|a term|", "<", "<<", "<!", ">>!", "!!>", "^", "*", "(", ")", "{", "}", "{{", "}}", "[0..1]",
        "[", "]", "..", "1", "AND", "or", "MINUS", ",", ":", "=", "!=", "<=", "#5", "#-2.5", '"x"', "wild:", "term", "C", "D", "M", "active",
        "R", ".", "+", "HISTORY-MIN", "/* c */", "true", "é", "language", "moduleId",
    ]
)  # fmt: skip
TEXTS = st.lists(PIECES, max_size=30).map(" ".join) | st.lists(PIECES, max_size=30).map("".join) | st.text(max_size=60)


@settings(deadline=None)
@given(TEXTS)
def test_no_text_breaks_the_parsers(text: str) -> None:
    with suppress(InvalidConstraint):
        parse(text)
    try:
        found = expression.parse(text)
    except expression.InvalidExpression:
        return
    assert expression.parse(found.normal).normal == found.normal


@pytest.mark.parametrize(
    "text",
    [
        "(" * 5_000 + "404684003",
        "(" * 40 + "404684003" + ")" * 40 + " : " + "(" * 5_000,
        "404684003 : " + "{" * 5_000,
        "<< " * 5_000,
        "404684003 : " + "(404684003 : " * 1_300,
        "404684003 {{ term = (" * 900,
        "404684003 : 363698007 = (" * 750,
    ],
)
def test_deep_nesting_is_refused_at_once(text: str) -> None:
    with pytest.raises(InvalidConstraint):
        parse(text)
    with pytest.raises(expression.InvalidExpression):
        expression.parse(text)


@pytest.mark.parametrize(
    ("long", "short"),
    [
        ("descendantOrSelfOf 404684003 |Clinical finding|", "<< 404684003"),
        ("ancestorOf 404684003 AND memberOf 700043003", "> 404684003 AND ^ 700043003"),
        ("childOrSelfOf (any): reverseOf 363698007 = parentOf 404684003", "<<! (*): R 363698007 = >! 404684003"),
    ],
)
def test_operators_may_be_spelled_out(long: str, short: str) -> None:
    assert parse(long) == parse(short)


def test_a_constraint_may_be_long() -> None:
    assert parse(" OR ".join(["<< 404684003"] * 1_000))
    with pytest.raises(InvalidConstraint, match="20000 are the most"):
        parse(" OR ".join(["<< 404684003"] * 2_000))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "Found the end"),
        ("<<", "Found the end"),
        ("< 12", "'12' at character 3. An identifier of SNOMED CT has 6 to 18 digits"),
        ("404684003 AND 64572001 OR 22298006", "'OR' at character 24 after another operator"),
        ("404684003 MINUS 64572001 MINUS 22298006", "'MINUS' at character 26"),
        ("404684003 64572001", "where the constraint should end"),
        ("<< 404684003 AND 64572001 : 363698007 = *", "Put what is refined in brackets"),
        ("404684003 : 363698007", "An attribute needs =, !="),
        ("404684003 : 363698007 > 64572001", "> needs a number"),
        ("404684003 : 363698007 = *, 116676008 = * OR 116676008 = *", "put brackets around one"),
        ("404684003 : [3..1] 363698007 = *", "1 at most, but 3 at least"),
        ("404684003 : [x] 363698007 = *", "is written as"),
        ("404684003 : { { 363698007 = * } }", "cannot hold another"),
        ("(404684003", "is not closed"),
        ("404684003 |Clinical finding", "term at character 11 is not closed"),
        ('404684003 {{ term = "x }}', "text at character 21 is not closed"),
        ("404684003 /* x", "comment at character 11 is not closed"),
        ("|Clinical finding|", "follows no concept"),
        ("404684003 {{ colour = red }}", "A filter goes by term"),
        ('404684003 {{ term = " " }}', "is empty"),
        ("404684003 {{ type = abc }}", "type is syn or fsn or def"),
        ('404684003 {{ C effectiveTime = "2024" }}', "a day"),
        ('404684003 {{ M mapTarget = "x" }}', "not kept here"),
        ("^ [mapTarget] 700043003", "not kept here"),
        ("404684003 {{ + FUTURE }}", "HISTORY-MIN"),
        ("404684003 {{ dialect = en-gb (prefer) }}", "Acceptability"),
        ("404684003 é", "has no meaning"),
    ],
)  # fmt: skip
def test_errors_say_what_was_found_where_and_what_to_write(text: str, reason: str) -> None:
    with pytest.raises(InvalidConstraint) as raised:
        parse(text)
    assert reason in str(raised.value)


@pytest.mark.parametrize(
    ("text", "normal"),
    [
        ("404684003", "404684003"),
        ("=== 404684003 |Clinical finding|", "404684003"),
        ("64572001 + 22298006", "22298006+64572001"),
        ("64572001:363698007=80891009,116676008=55641003", "64572001:116676008=55641003,363698007=80891009"),
        ("64572001:{363698007=80891009,116676008=55641003}", "64572001:{116676008=55641003,363698007=80891009}"),
        ("64572001: 246112005 = 24484000 {363698007=80891009}", "64572001:246112005=24484000,{363698007=80891009}"),
        ("64572001:363698007=(80891009:272741003=7771000)", "64572001:363698007=(80891009:272741003=7771000)"),
        ('763158003:1142135004=#5, 774159003="x"', '763158003:1142135004=#5,774159003="x"'),
        ("<<< 64572001:363698007=80891009", "<<< 64572001:363698007=80891009"),
    ],
)  # fmt: skip
def test_an_expression_has_one_normal_spelling(text: str, normal: str) -> None:
    assert expression.parse(text).normal == normal


@pytest.mark.parametrize(
    "text", ["", "abc", "404684003:", "404684003:363698007", "404684003:363698007=", "12", "404684003 64572001"]
)
def test_what_is_no_expression_is_refused(text: str) -> None:
    with pytest.raises(expression.InvalidExpression):
        expression.parse(text)
