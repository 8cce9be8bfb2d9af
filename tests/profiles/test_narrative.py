"""Narratives: what clinicians write passes, and nothing that runs, loads from elsewhere unseen, or hides."""

from typing import Any

import pytest

from profiles.issue import Issue
from profiles.validate.validator import Validator

OPEN = '<div xmlns="http://www.w3.org/1999/xhtml">'


def check(validator: Validator, div: Any) -> list[Issue]:
    patient = {"resourceType": "Patient", "text": {"status": "generated", "div": div}}
    return [issue for issue in validator.check(patient) if issue.fails]


@pytest.mark.parametrize(
    "inner",
    [
        "<p>Text</p>",
        "text",
        "<table border='1'><tbody><tr><td colspan='2'>a</td></tr></tbody></table>",
        "<a href='http://example.org'>x</a><a href='https://example.org'>x</a><a href='#x' name='y'>x</a>",
        "<a href='Patient/1'>x</a><a href='mailto:x@example.org'>x</a><a href='tel:1'>x</a>",
        "<img src='data:image/png;base64,AAAA' alt='x'/>",
        "<img src='#pic'/>",
        "<p style='color: red; background-image: url(data:image/png;base64,AAAA)' class='x' id='y' lang='hi'>नमस्ते</p>",
        "a&nbsp;b &amp; &lt; &#160; &eacute;",
        "&nbsp;",
        "<a href='?a=1&amp;b=2&amp;colon=3' title='&eacute;&lt;'>x</a>",
        "<!-- a remark &nothing; -->x",
        "<ul><li>x</li></ul><ol start='2'><li>x</li></ol><dl><dt>a</dt><dd>b</dd></dl><pre>x</pre><blockquote>x</blockquote>",
        "<h1>x</h1><b>b</b><i>i</i><em>e</em><sub>1</sub><sup>2</sup><br/><hr/><code>c</code>",
    ],
)
def test_basic_formatting_is_accepted(validator: Validator, inner: str) -> None:
    assert check(validator, f"{OPEN}{inner}</div>") == []


@pytest.mark.parametrize(
    ("inner", "message_id"),
    [
        ("<script>alert(1)</script>", "narrative-element"),
        ("<SCRIPT>alert(1)</SCRIPT>", "narrative-element"),
        ("<iframe src='http://example.org'>x</iframe>", "narrative-element"),
        ("<object>x</object>", "narrative-element"),
        ("<form>x</form>", "narrative-element"),
        ("<svg xmlns='http://www.w3.org/2000/svg'>x</svg>", "narrative-element"),
        ("<style>p {}</style>", "narrative-element"),
        ("<link rel='stylesheet' href='x'/>", "narrative-element"),
        ("<base href='x'/>", "narrative-element"),
        ("<x:p xmlns:x='http://www.w3.org/1999/xhtml'>x</x:p>", "narrative-element"),
        ("<p onclick='x()'>x</p>", "narrative-attribute"),
        ("<img src='x' onerror='x()'/>", "narrative-attribute"),
        ("<p ONCLICK='x()'>x</p>", "narrative-attribute"),
        ("<p xmlns='http://www.w3.org/2000/svg'>x</p>", "narrative-attribute"),
        ("<p xlink:href='x'>x</p>", "narrative-attribute"),
        ("<a href='javascript:x()'>x</a>", "narrative-url"),
        ("<a href='JaVaScRiPt:x()'>x</a>", "narrative-url"),
        ("<a href=' &#9;java&#10;script&#58;x()'>x</a>", "narrative-url"),
        ("<a href='&#1;javascript:x()'>x</a>", "narrative-xml"),
        ("<a href='\u200bjavascript:x()'>x</a>", "narrative-url"),
        ("<a href='vbscript:x'>x</a>", "narrative-url"),
        ("<a href='data:text/html,x'>x</a>", "narrative-url"),
        ("<a href='data:image/png;base64,AAAA'>x</a>", "narrative-url"),
        ("<img src='data:text/html,x'/>", "narrative-url"),
        ("<img src='file:///etc/passwd'/>", "narrative-url"),
        ("<q cite='javascript:x()'>x</q>", "narrative-url"),
        ("<p style='width: expression(x())'>x</p>", "narrative-style"),
        ("<p style='width: exp/* */ression(x())'>x</p>", "narrative-style"),
        ("<p style='width: \\65 xpression(x())'>x</p>", "narrative-style"),
        ("<p style='background: url(javascript:x())'>x</p>", "narrative-style"),
        ("<p style='behavior: url(x.htc)'>x</p>", "narrative-style"),
        ("<p style='-moz-binding: url(x)'>x</p>", "narrative-style"),
        ("<?php x ?>x", "narrative-construct"),
        ("<![CDATA[<script>]]>", "narrative-construct"),
        ("&nothing;", "narrative-xml"),
        ("<a href='javascript&colon;x()'>x</a>", "narrative-xml"),
        ("<a href='java&Tab;script:x()'>x</a>", "narrative-xml"),
        ("<a href='java&nbsp;script:x()'>x</a>", "narrative-url"),
        ("<a href='java&shy;script:x()'>x</a>", "narrative-url"),
        (f"<a href='{'&#32;' * 300}javascript:x()'>x</a>", "narrative-url"),
        ("<p>x", "narrative-xml"),
        ("<p>x</b>", "narrative-xml"),
        ("<p class=x>x</p>", "narrative-xml"),
        ("a & b", "narrative-xml"),
        ("<img src='x' src='y'/>", "narrative-xml"),
        (" \n\t ", "narrative-empty"),
        ("<p> </p><br/>", "narrative-empty"),
    ],
)
def test_what_a_narrative_must_not_hold_is_refused(validator: Validator, inner: str, message_id: str) -> None:
    found = check(validator, f"{OPEN}{inner}</div>")
    assert [issue.message_id for issue in found] == [message_id]
    assert found[0].expression == "Patient.text.div"


@pytest.mark.parametrize(
    ("text", "message_id"),
    [
        ("<div>x</div>", "narrative-root"),
        ("<div xmlns='http://example.org'>x</div>", "narrative-root"),
        ("<p xmlns='http://www.w3.org/1999/xhtml'>x</p>", "narrative-root"),
        ("plain text", "narrative-xml"),
        (f"{OPEN}x</div>{OPEN}y</div>", "narrative-xml"),
        (f"{OPEN}x</div>y", "narrative-xml"),
        (f"<?xml version='1.0'?>{OPEN}x</div>", "narrative-construct"),
        (f"<!DOCTYPE div>{OPEN}x</div>", "narrative-construct"),
        (f'<!DOCTYPE div [<!ENTITY x "y">]>{OPEN}&x;</div>', "narrative-construct"),
        (f'<!DOCTYPE div SYSTEM "http://example.org/x.dtd">{OPEN}x</div>', "narrative-construct"),
    ],
)
def test_a_narrative_is_one_div_and_no_document(validator: Validator, text: str, message_id: str) -> None:
    assert [issue.message_id for issue in check(validator, text)] == [message_id]


def test_an_entity_bomb_is_never_expanded(validator: Validator) -> None:
    entities = "".join(f'<!ENTITY a{i + 1} "{f"&a{i};" * 10}">' for i in range(12))
    bomb = f'<!DOCTYPE div [<!ENTITY a0 "x">{entities}]>{OPEN}&a12;</div>'
    assert [issue.message_id for issue in check(validator, bomb)] == ["narrative-construct"]


def test_all_that_is_wrong_is_told_up_to_twenty(validator: Validator) -> None:
    found = check(validator, OPEN + "<p onclick='x'>x</p><script/>" * 3 + "</div>")
    assert [issue.message_id for issue in found] == ["narrative-attribute", "narrative-element"] * 3
    assert len(check(validator, OPEN + "<script/>" * 1000 + "</div>")) == 20


def test_an_issue_says_what_and_what_to_do(validator: Validator) -> None:
    (found,) = check(validator, f"{OPEN}<p onclick='x()'>x</p></div>")
    assert (found.severity, found.code) == ("error", "security")
    assert found.text == (
        "Invalid attribute name in the XHTML ('onclick' on 'p'). Remove the attribute; scripts and event handlers are never "
        "allowed."
    )


def test_malformed_xhtml_names_line_and_column(validator: Validator) -> None:
    (found,) = check(validator, f"{OPEN}\n<p>x</div>")
    assert found.text == "Error parsing XHTML: mismatched tag (line 2, column 7). Send well-formed XHTML in one <div>."


@pytest.mark.parametrize("value", [1, True, None, [], {}, ["<div/>"], {"x": 1}])
def test_a_div_is_text(validator: Validator, value: Any) -> None:
    assert [issue.expression for issue in check(validator, value)] == ["Patient.text.div"]


def test_the_narrative_of_a_section_is_checked_too(validator: Validator) -> None:
    composition = {
        "resourceType": "Composition",
        "status": "final",
        "type": {"text": "x"},
        "date": "2020",
        "author": [{"display": "x"}],
        "title": "x",
        "section": [{"text": {"status": "generated", "div": f"{OPEN}<script/>x</div>"}}],
    }
    (found,) = [issue for issue in validator.check(composition) if issue.fails]
    assert found.expression == "Composition.section[0].text.div"
