"""`_text` and `_content`: what the words of a resource are, and the language that asks for them."""

import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fhir_server.model.errors import FhirError, InvalidParameter
from fhir_server.search import text, words
from fhir_server.search.expression import Expression, InText
from fhir_server.search.match import matches
from fhir_server.search.unknown import UnknownParameter
from profiles.definitions.registry import load
from terminology.words import fold

DEFINITIONS = load()

RESOURCE: dict[str, Any] = {
    "resourceType": "Condition",
    "id": "secret",
    "meta": {"tag": [{"display": "unread"}]},
    "text": {
        "status": "generated",
        "div": "<div xmlns='http://www.w3.org/1999/xhtml'><p class='hidden'>Tumour of the <b>left</b> knee&nbsp;&amp; hip</p>"
        "<!-- not shown --><p>राम कुमार</p></div>",
    },
    "contained": [
        {
            "resourceType": "Patient",
            "id": "p",
            "text": {"div": "<div>inner <i>story</i></div>"},
            "name": [{"family": "Müller"}],
        }
    ],
    "code": {
        "coding": [{"system": "http://loinc.org", "code": "8302-2", "display": "Body height"}],
        "text": "Größe",
    },
    "subject": {"reference": "Patient/77", "display": "Zoë"},
    "recordedDate": "2020-05-17",
    "note": [{"time": "2020-05-17T10:00:00Z", "text": "x" * 65 + " seen_twice"}],
    "extension": [
        {"url": "http://acme.org/e", "valueString": "left over"},
        {"url": "http://acme.org/b", "valueBase64Binary": "Zm9v/YmFy+cXV1eA=="},
    ],
}


def stored(resource: dict[str, Any]) -> dict[str, Any]:
    return {"_id": "1", "s": words.entries(resource)}


def asked(name: str, value: str, resource_type: str = "Condition") -> Expression:
    found = text.expression(resource_type, name, value, DEFINITIONS, stored=True)
    assert isinstance(found, InText)
    return found.item


def test_the_words_are_those_that_people_read() -> None:
    found = words.entries(RESOURCE)
    assert found["_text"] == " tumour of the left knee hip राम कुमार "
    assert set(found["_words"]) == set(found["_content"].split())
    assert set(found["_words"]) == {
        "tumour", "of", "the", "left", "knee", "hip", "राम", "कुमार", "inner", "story", "muller", "8302", "2", "body", "height",
        "grosse", "zoe", "seen", "twice", "over",
    }  # fmt: skip


def test_a_resource_without_words_has_none() -> None:
    assert words.entries({"resourceType": "Basic", "id": "1"}) == {"_words": [], "_text": "", "_content": ""}


@pytest.mark.parametrize(
    ("name", "value", "found"),
    [
        ("_text", "knee", True),
        ("_text", "KNÉE", True),
        ("_text", "kne", False),
        ("_text", "kne*", True),
        ("_text", "muller", False),
        ("_content", "müller", True),
        ("_content", "muller knee", True),
        ("_text", "(bone OR knee) and tumour", True),
        ("_text", "bone or knee tumour", True),
        ("_text", "bone or knee missing", False),
        ("_text", "bone,knee", True),
        ("_text", "bone,hip*", True),
        ("_text", '"left knee"', True),
        ("_text", '"knee left"', False),
        ("_text", '"of the left"', True),
        ("_text", "not bone", True),
        ("_text", "not knee", False),
        ("_text", "tumour not (bone or heart)", True),
        ("_text", "tumour AND NOT bone", True),
        ("_text", "class", False),
        ("_text", "hidden", False),
        ("_text", "shown", False),
        ("_text", "राम", True),
        ("_text", "रम", False),
        ("_content", "8302-2", True),
        ("_content", "2-8302", False),
        ("_content", "story", True),
        ("_content", "unread", False),
        ("_content", "secret", False),
        ("_content", "loinc", False),
        ("_content", '"body height" OR nothing', True),
        ("_content", '"height body"', False),
        ("_content", "hei* bod*", True),
        ("_content", '"or"', False),
    ],
)
def test_what_is_asked_for_is_found(name: str, value: str, found: bool) -> None:
    assert matches(asked(name, value), stored(RESOURCE)) is found


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("(bone", "a parenthesis is not closed"),
        ("bone)", "a parenthesis is closed that was not opened"),
        ('"bone', "a quote is not closed"),
        ("bone and", "a word is missing"),
        ("or bone", "a word is missing"),
        ("()", "a word is missing"),
        ("not", "a word is missing"),
        ("bone ---", "'---' has no letters or digits in it"),
        ("x " * 101, "A value of '_content' has more than 100 words."),
        ("(" * 22 + "x" + ")" * 22, "more than 20 parentheses stand inside of each other"),
    ],
)
def test_what_is_malformed_is_refused(value: str, message: str) -> None:
    with pytest.raises(InvalidParameter) as refused:
        asked("_content", value)
    assert message in str(refused.value)


def test_where_words_are_not_stored_the_refusal_says_so() -> None:
    with pytest.raises(UnknownParameter, match=re.escape("The setting search.text switches it on.")):
        text.expression("Condition", "_text", "x", DEFINITIONS, stored=False)
    with pytest.raises(UnknownParameter, match="A Bundle has no narrative, hence no '_text'"):
        text.expression("Bundle", "_text", "x", DEFINITIONS, stored=True)
    with pytest.raises(InvalidParameter, match=r"The parameter '_text' has no modifiers\. Leave ':exact' out\."):
        asked("_text:exact", "x")


ATOMS = st.sampled_from(["knee", "left", "bone", '"left knee"', "kn*", "Müller", "of"])
QUERIES = st.recursive(
    ATOMS,
    lambda inner: st.one_of(
        st.builds("({})".format, inner),
        st.builds("not {}".format, inner),
        st.builds("{} {}".format, inner, inner),
        st.builds("{} and {}".format, inner, inner),
        st.builds("{} or {}".format, inner, inner),
    ),
    max_leaves=8,
)


@settings(max_examples=200, deadline=None, database=None)
@given(QUERIES, st.lists(st.sampled_from(["knee", "left", "bone", "müller", "of", "knit"]), max_size=6))
def test_a_query_means_what_its_words_say(query: str, told: list[str]) -> None:
    resource = {"resourceType": "Condition", "text": {"div": f"<div>{' '.join(told)}</div>"}}
    assert matches(asked("_text", query), stored(resource)) is meant(query, [fold(word) for word in told])


def meant(query: str, told: list[str]) -> bool:
    """Return what a query says of some words: as a Python expression, whose operators bind alike."""
    line = f" {' '.join(told)} "
    found: list[str] = []
    previous = ""
    for token in re.findall(r'"[^"]*"|[()]|[^\s()]+', query):
        starts = token not in {"and", "or", ")"}
        if previous not in {"", "and", "or", "not", "("} and starts:
            found.append("and")
        if token in {"and", "or", "not", "(", ")"}:
            found.append(token)
        else:
            wanted = fold(token.strip('"'))
            found.append(str(f" {wanted.rstrip('*')}" in line if wanted.endswith("*") else f" {wanted} " in line))
        previous = token
    return bool(eval(" ".join(found)))


@settings(max_examples=300, deadline=None, database=None)
@given(st.text(alphabet='ab *"()-,|not and or', max_size=30) | st.text(max_size=12))
def test_whatever_is_sent_is_answered_or_refused(value: str) -> None:
    try:
        asked("_content", value)
    except FhirError as error:
        if error.status != 400:
            raise
