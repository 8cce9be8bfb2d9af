"""Value sets in the ValueSet Compose Language."""

from contextlib import suppress
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from terminology.collection import Collection
from terminology.complete import Complete
from terminology.issue import TxError
from terminology.valueset import vcl
from terminology.valueset.expand import Asked, expand

COLOURS = {
    "resourceType": "CodeSystem",
    "url": "http://example.org/colours",
    "status": "active",
    "content": "complete",
    "property": [{"code": "warm", "type": "boolean"}],
    "concept": [
        {"code": "red", "property": [{"code": "warm", "valueBoolean": True}], "concept": [{"code": "dark-red"}]},
        {"code": "blue", "property": [{"code": "warm", "valueBoolean": False}]},
        {"code": "sea.green"},
    ],
}
C = "(http://example.org/colours)"


def only(system: str, *rules: tuple[str, str, str]) -> dict[str, Any]:
    return {"system": system, "filter": [{"property": name, "op": op, "value": value} for name, op, value in rules]}


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("(http://loinc.org)SCALE_TYP=DOC", {"include": [only("http://loinc.org", ("SCALE_TYP", "=", "DOC"))]}),
        ("(http://loinc.org)*", {"include": [{"system": "http://loinc.org"}]}),
        ("(http://loinc.org)", {"include": [{"system": "http://loinc.org"}]}),
        ("(http://loinc.org|2.80)41995-2", {"include": [{"system": "http://loinc.org", "version": "2.80", "concept": [{"code": "41995-2"}]}]}),
        ("(http://a.b)(x;y)", {"include": [{"system": "http://a.b", "concept": [{"code": one}]} for one in "xy"]}),
        ('(http://a.b)x<<y, (http://a.b)z/"E1.*"', {"include": [only("http://a.b", ("x", "is-a", "y"), ("z", "regex", "E1.*"))]}),
        ("(http://a.b)((x=1;y=2),z?true)", {"include": [only("http://a.b", ("x", "=", "1"), ("z", "exists", "true")), only("http://a.b", ("y", "=", "2"), ("z", "exists", "true"))]}),
        ("(http://a.b)(x<y - x<z)", {"include": [only("http://a.b", ("x", "descendent-of", "y"))], "exclude": [only("http://a.b", ("x", "descendent-of", "z"))]}),
        ("^http://v.s/one", {"include": [{"valueSet": ["http://v.s/one"]}]}),
        ("(http://a.b)*, ^(http://v.s/one)", {"include": [{"system": "http://a.b", "valueSet": ["http://v.s/one"]}]}),
        ('(http://a.b)x^{a,b,"c d"}', {"include": [only("http://a.b", ("x", "in", "a,b,c d"))]}),
        ("(http://a.b)<<y", {"include": [only("http://a.b", ("concept", "is-a", "y"))]}),
    ],
)  # fmt: skip
def test_an_expression_becomes_a_compose(text: str, wanted: dict[str, Any]) -> None:
    assert vcl.compose(text) == wanted


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "Found the end"),
        ("x", "does not say of which code system"),
        ("(http://a.b)x,(http://c.d)y", "join them by a semicolon"),
        ("(http://a.b)x;y,z", "','"),
        ("(http://a.b)x={a,b}", "does not go with a list"),
        ("(http://a.b)x.y", "cannot be said"),
        ("(http://a.b)((x - y);z)", "Only from the whole"),
        ("(http://a.b)" + "(" * 5_000, "nests more than"),
        ("(http://a.b)(" + ";".join("x" * 300) + ")", "more than 200 includes"),
        ("(http://a.b)" + ",".join(["(x;y)"] * 40), "more than 200 includes"),
        ("(http://a.b)x § y", "has no meaning"),
        ("(http://a.b", "not )"),
        ("x" * 9_000, "8000 are the most"),
    ],
)
def test_errors_say_what_was_found_and_where(text: str, reason: str) -> None:
    with pytest.raises(vcl.InvalidExpression) as raised:
        vcl.compose(text)
    assert reason in str(raised.value)


@settings(deadline=None)
@given(
    st.lists(
        st.sampled_from(
            [
                "(http://a.b)",
                "(",
                ")",
                "{",
                "}",
                "x",
                "y-1",
                "<<",
                "<",
                "^",
                "-",
                ";",
                ",",
                "*",
                '"q"',
                "=",
                ".",
                " ",
                "é",
            ]
        ),
        max_size=25,
    ).map("".join)
)
def test_no_text_breaks_the_parser(text: str) -> None:
    with suppress(vcl.InvalidExpression):
        assert vcl.compose(text)["include"]


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        (f"{C}<<red", ["red", "dark-red"]),
        (f"{C}(warm=true;blue)", ["red", "blue"]),
        (f"{C}(* - <<red)", ["blue", "sea.green"]),
        (f'{C}"sea.green"', ["sea.green"]),
        (f"{C}(<<red, warm?true)", ["red"]),
    ],
)  # fmt: skip
async def test_a_url_with_an_expression_is_a_value_set(text: str, wanted: list[str]) -> None:
    catalogue = Complete(Collection([COLOURS]))
    (value_set,) = await catalogue.value_sets(vcl.BASE + quote(text))
    found = await expand(value_set, catalogue, Asked(flat=True))
    assert [one["code"] for one in found["expansion"]["contains"]] == wanted


async def test_a_url_with_an_expression_that_is_none_says_why() -> None:
    with pytest.raises(TxError) as raised:
        await Complete(Collection([])).value_sets(f"{vcl.BASE}x")
    assert "does not say of which code system" in str(raised.value.issues[0].row)
