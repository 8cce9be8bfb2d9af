"""Expressions that are made to take long, or much: each ends soon, with an error that says of what there was too much."""

import re
from pathlib import Path
from typing import Any

import pytest

from profiles.definitions.registry import Definitions
from profiles.fhirpath import lexer, patterns
from profiles.fhirpath.engine import Engine
from profiles.fhirpath.errors import FhirPathError
from profiles.fhirpath.functions.table import FUNCTIONS
from profiles.fhirpath.parser import MOST_DEEP, MOST_NESTED
from profiles.fhirpath.scope import Limits
from tests.effort import within

PATIENT: dict[str, Any] = {
    "resourceType": "Patient",
    "name": [{"family": "X", "given": ["Peter", "James"]}] * 50,
}

LONGEST = 3.0
"""Seconds of the processor; the budget is a third of it, and the machine may be slow."""


@pytest.fixture(scope="module")
def bounded(definitions: Definitions) -> Engine:
    return Engine(definitions, limits=Limits(seconds=1.0))


@pytest.mark.parametrize(
    ("expression", "says"),
    [
        ("'a'" + ".replace('a', 'aaaaaaaaaa')" * 100, "more than 1048576 characters"),
        ("name.aggregate($total & $total & 'abcdefghij', 'abc')", "more than 1048576 characters"),
        (
            "''.replaceMatches('x*', '" + "y" * 1000 + "')" + ".replaceMatches('y', 'zzzz$0$0$0')" * 20,
            "more than",
        ),
        ("1.repeat($this + 1)", "more than"),
        ("'a'.repeat($this & 'a')", "more than"),
        ("name" + ".select($this.combine($this))" * 30, "more than"),
        ("%context.name" + ".select(%context.name)" * 6, "more than"),
        ("name.select(" + "%context.name.select(" * 5 + "given" + ")" * 6, "more than"),
        ("name.where(" + "%context.name.exists(" * 5 + "given = 'none'" + ")" * 6, "more than"),
        ("name.aggregate($total.combine($total).combine($this), %context.name)", "more than"),
        ("1 'kg'" + " * 2 'm'" * 150, "unit of a product"),
        ("'a'.matches('" + "a" * 3000 + "')", "3000 characters"),
    ],
)
def test_what_grows_without_bound_is_ended(bounded: Engine, expression: str, says: str) -> None:
    with within(LONGEST):
        with pytest.raises(FhirPathError, match=says) as caught:
            bounded.compile(expression).evaluate(PATIENT)
        assert caught.value.when == "limit"


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("'" + "a" * 5_000 + "!'.matches('(a+)+$')", [False]),
        ("'" + "a" * 5_000 + "'.replaceMatches('(a|aa)+b', 'x').length()", [5_000]),
        ("10.power(1000000000)", []),
        ("10.0.power(5999).power(5999)", []),
        ("1000.exp().exp().exp()", []),
        ("2147483647 + 1", []),
        ("1 / 0", []),
        ("@9999-12-31 + 1 day", []),
        ("@2014-01-01 + 99999999999 years", []),
        ("@2014-01-31 + 10.0.power(5000).toQuantity('day')", []),
        ("descendants()" + ".descendants()" * 100, []),
    ],
)
def test_what_is_bounded_gives_a_result_soon(bounded: Engine, expression: str, expected: list[Any]) -> None:
    with within(LONGEST):
        assert bounded.compile(expression).evaluate(PATIENT) == expected


@pytest.mark.parametrize(
    "pattern", ["(?=a)", "(a)\\\\1", "(", "a{1001}", "((a{100}){100}){100}", "\\ud800"], ids=range(6)
)
def test_patterns_that_only_backtracking_can_match_are_refused(bounded: Engine, pattern: str) -> None:
    with pytest.raises(FhirPathError, match="is no regular expression here"):
        bounded.compile(f"'a'.matches('{pattern}')").evaluate({})


def test_the_deepest_expression_that_is_read_is_also_evaluated(bounded: Engine) -> None:
    assert bounded.compile("1" + " + 1" * (MOST_DEEP - 1)).evaluate({}) == [MOST_DEEP]
    assert bounded.compile("name" + ".where(true)" * (MOST_DEEP - 2) + ".count()").evaluate(PATIENT) == [50]
    assert bounded.compile("iif(true, " * 55 + "1" + ", 2)" * 55).evaluate({}) == [1]
    assert bounded.compile("1.where(" * 55 + "true" + ")" * 55).evaluate({}) == [1]


def test_resources_that_are_nested_too_deeply_give_an_error(bounded: Engine) -> None:
    form: dict[str, Any] = {"resourceType": "Questionnaire"}
    node = form
    for _ in range(2_000):
        node["item"] = [{"linkId": "1"}]
        node = node["item"][0]
    assert bounded.compile("repeat(item).count()", "Questionnaire").evaluate(form) == [2_000]
    with pytest.raises(FhirPathError, match="nested too deeply"):
        bounded.compile("item.distinct() | item", "Questionnaire").evaluate(form)


def test_a_budget_of_steps_is_kept(definitions: Definitions) -> None:
    engine = Engine(definitions, limits=Limits(steps=20_000))
    compiled = engine.compile("name.select(%context.name.given).count()", "Patient")
    assert compiled.evaluate(PATIENT) == [5_000]
    with pytest.raises(FhirPathError, match="more than 20000 steps"):
        engine.compile("name.select(%context.name.select(%context.name.count())).count()", "Patient").evaluate(PATIENT)


def test_the_page_tells_the_limits() -> None:
    page = (Path(__file__).parents[3] / "docs" / "fhirpath.md").read_text(encoding="utf-8")
    told = {int(number.replace(",", "")) for number in re.findall(r"^\| [^|]+ \| ([0-9,]+) \|$", page, re.MULTILINE)}
    limits = Limits()
    assert told == {
        lexer.MOST_CHARACTERS,
        MOST_NESTED,
        MOST_DEEP,
        limits.steps,
        int(limits.seconds),
        limits.items,
        limits.characters,
        patterns.MOST_CHARACTERS,
    }
    functions = set(re.findall(r"`([a-zA-Z]+)`", page[page.index("Of its later drafts") : page.index("`%context`")]))
    assert functions <= set(FUNCTIONS) | {"sort"}
