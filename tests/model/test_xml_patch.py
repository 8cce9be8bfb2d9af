"""XML Patch against HL7's cases, and what those leave out."""

import tarfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fhir_server.model import xml_path
from fhir_server.model.errors import BadRequest, Unprocessable
from fhir_server.model.xml_patch import apply, read
from profiles.xml import tree
from profiles.xml.tree import Comment, Element, Node, Text

HL7 = "testsuites/fhir-test-cases-core.tar.xz"
FHIR = "http://hl7.org/fhir"
PATIENT = """<Patient xmlns="http://hl7.org/fhir"><id value="p"/><text><status value="generated"/>
<div xmlns="http://www.w3.org/1999/xhtml"><p class='a'>x<br/>y &#160;</p><!-- z --></div></text>
<name><use value="official"/><family value="Lovelace"/><given value="Ada"/></name>
<name><use value="nickname"/><given value="A"/><given value="B"/></name><birthDate value="1815-12-10"/></Patient>"""


def diff(operations: str) -> bytes:
    return f'<diff xmlns:f="{FHIR}" xmlns="{FHIR}" xmlns:x="http://www.w3.org/1999/xhtml">{operations}</diff>'.encode()


def patched(operations: str, document: str = PATIENT) -> str:
    return tree.serialize(apply(read(diff(operations)), tree.parse(document.encode()))).decode()


def shape(node: Node) -> Any:
    """Return what a node says: without white space between elements, and without prefixes."""
    if isinstance(node, Element):
        children = [child for child in node.children if not isinstance(child, Text) or child.text.strip()]
        return node.space, node.name, node.attributes, [shape(child) for child in children]
    return type(node).__name__, node.text.strip()


def test_the_cases_of_hl7(test_data: Path) -> None:
    with tarfile.open(test_data / HL7) as archive:
        file = archive.extractfile("r4/patch/xml-patch-tests.xml")
        assert file
        cases = [each for each in tree.parse(file.read()).children if isinstance(each, Element)]
    wrong, count = [], 0
    for case in cases:
        parts = {part.name: part for part in case.children if isinstance(part, Element)}
        document = next((each for each in parts["target"].children if isinstance(each, Element)), None)
        if document is None:
            # The server never patches nothing: there is a resource, or 404.
            assert case.attributes["name"] == "Missing target document"
            continue
        count += 1
        result: Element | str
        try:
            result = apply(read(tree.serialize(parts["patch"])), document)
        except (BadRequest, Unprocessable) as error:
            result = str(error)
        if "error" in parts:
            fits = isinstance(result, str)
        else:
            expected = next(each for each in parts["patched"].children if isinstance(each, Element))
            fits = isinstance(result, Element) and shape(result) == shape(expected)
        if not fits:
            wrong.append((case.attributes["name"], result))
    assert wrong == []
    assert (count, len(cases)) == (28, 29)


@pytest.mark.parametrize(
    ("operations", "before", "after"),
    [
        ('<replace sel="f:Patient/f:birthDate/@value">1815-12-11</replace>', "1815-12-10", "1815-12-11"),
        ('<replace sel="/f:Patient/f:name[1]/f:family/@value">King</replace>', "Lovelace", "King"),
        ('<replace sel="Patient/name[use/@value=\'nickname\']/given[last()]/@value">C</replace>', '"B"', '"C"'),
        ('<replace sel=\'*/f:name[f:use/@value="nickname"][1]/*[2]/@value\'>C</replace>', '"A"', '"C"'),
        ('<remove sel="f:Patient/f:name[2]/f:given[@value=\'A\']"/>', '<given value="A"></given>', ""),
        ('<remove sel="f:Patient/f:name[not]"/>', None, None),
        ('<remove sel="f:Patient/f:name[f:family]/f:use"/>', '<use value="official"></use>', ""),
        ('<add sel="f:Patient/f:birthDate" type="@id">b</add>', '1815-12-10"', '1815-12-10" id="b"'),
        ('<add sel="f:Patient/f:birthDate" pos="before"> <gender value="female"/> </add>', "<birthDate", '<gender value="female"></gender><birthDate'),
        ('<add sel="f:Patient/f:name[1]" pos="prepend"><text value="A"/></add>', '<name><use value="official">', '<name><text value="A"></text><use value="official">'),
        ('<add sel="f:Patient/f:name[1]/f:given" pos="after"><given value="X"/><given value="Y"/></add>', 'Ada"></given>', 'Ada"></given><given value="X"></given><given value="Y"></given>'),
        ('<replace sel="f:Patient/f:birthDate"><deceasedBoolean value="true"/></replace>', '<birthDate value="1815-12-10"></birthDate>', '<deceasedBoolean value="true"></deceasedBoolean>'),
        ('<replace sel="f:Patient/f:text/x:div/x:p/text()[1]"> w </replace>', "<p class='a'>x<br/>y &#160;</p>", '<p class="a"> w <br></br>y \xa0</p>'),
        ('<remove sel="f:Patient/f:text/h:div/h:p/h:br"/>', "<p class='a'>x<br/>y &#160;</p>", '<p class="a">xy \xa0</p>'),
        ('<remove sel="f:Patient/f:text/x:div/comment()"/>', "<p class='a'>x<br/>y &#160;</p><!-- z -->", '<p class="a">x<br></br>y \xa0</p>'),
        ('<add sel="f:Patient" type="namespace::p">urn:x</add>', "", ""),
    ],
)  # fmt: skip
def test_what_operations_make(operations: str, before: str | None, after: str | None) -> None:
    if before is None or after is None:
        with pytest.raises(Unprocessable, match="selects nothing"):
            patched(operations)
        return
    unchanged = tree.serialize(tree.parse(PATIENT.encode())).decode()
    assert before in unchanged
    assert patched(operations) == unchanged.replace(before, after, 1)


def test_a_narrative_that_no_operation_enters_stays_letter_by_letter() -> None:
    written = PATIENT[PATIENT.index("<div") : PATIENT.index("</text>")]
    assert written in patched('<remove sel="f:Patient/f:birthDate"/>')
    assert written in patched('<replace sel="f:Patient/f:text/f:status/@value">additional</replace>')
    assert written not in patched('<remove sel="f:Patient/f:text/x:div/x:p/@class"/>')


def test_a_patch_can_be_applied_twice() -> None:
    operations = read(diff('<add sel="f:Patient"><contact><gender value="female"/></contact></add>'))
    first = tree.serialize(apply(operations, tree.parse(PATIENT.encode())))
    again = apply(operations, apply(operations, tree.parse(PATIENT.encode())))
    assert tree.serialize(apply(operations, tree.parse(PATIENT.encode()))) == first
    assert tree.serialize(again).count(b"<contact>") == 2


@pytest.mark.parametrize(
    ("operations", "words"),
    [
        ('<remove sel="f:Patient/f:name"/>', "selects 2 places instead of one"),
        ('<remove sel="f:Patient/f:photo"/>', "Operation 0 of the patch, remove f:Patient/f:photo, does not fit .*: it selects nothing"),
        ('<remove sel="f:Patient/f:name[1]/@value"/>', "selects nothing"),
        ('<remove sel="f:Patient"/>', "cannot be removed. Send a DELETE"),
        ('<replace sel="f:Patient">text</replace>', "can only be replaced by another element|replaced by one element"),
        ('<replace sel="f:Patient/f:birthDate">1815</replace>', "can only be replaced by one element"),
        ('<replace sel="f:Patient/f:birthDate"><a/><b/></replace>', "can only be replaced by one element"),
        ('<add sel="f:Patient" pos="after"><a/></add>', "nothing can stand beside the resource"),
        ('<add sel="f:Patient/f:birthDate/@value">x</add>', "nothing can be added to an attribute"),
        ('<add sel="f:Patient/f:birthDate" type="@value">x</add>', "has this attribute already"),
        ('<add sel="f:Patient/f:text/x:div/comment()"><a/></add>', "nothing can be put into a text or comment"),
    ],
)  # fmt: skip
def test_what_does_not_fit_the_document(operations: str, words: str) -> None:
    with pytest.raises(Unprocessable, match=words):
        patched(operations)


@pytest.mark.parametrize(
    ("operations", "words"),
    [
        ("", "has no operations"),
        ("text", "has no operations"),
        ('<move sel="a"/>', "Operation 0 of the patch is <move>. XML Patch knows add, replace and remove"),
        ("<remove/>", "has no attribute sel"),
        ('<remove sel=""/>', "has a selector that cannot be read"),
        ('<remove sel="/"/>', "cannot be read"),
        ('<remove sel="//f:name"/>', "cannot be read"),
        ('<remove sel="f:name["/>', "cannot be read"),
        ('<remove sel="f:name[0]"/>', "cannot be read"),
        ('<remove sel="f:name[position()=1]"/>', "cannot be read"),
        ('<remove sel="f:name[1]]"/>', "cannot be read"),
        ('<remove sel="f:a | f:b"/>', "cannot be read"),
        ('<remove sel="f:name/@"/>', "cannot be read"),
        ('<remove sel="f:name/@*"/>', "cannot be read"),
        ('<remove sel="f:a[f:b=f:c]"/>', "cannot be read"),
        ('<remove sel="q:name"/>', "the prefix 'q' in it is not declared"),
        ('<remove sel="a" pos="before"/>', "which only add has"),
        ('<add sel="a" pos="beside"/>', "may be before, after or prepend"),
        ('<add sel="a" type="child"/>', "may be an attribute"),
        ('<add sel="a" type="@a b"/>', "Attributes of FHIR are"),
        (f'<remove sel="{"a/" * 3000}a"/>', "more than 4000 characters"),
        (f'<remove sel="{"a[" * 900}a{"]" * 900}"/>', "cannot be read"),
        ("<a>" * 300 + "</a>" * 300, "more than 200 levels"),
        ("<remove", "not well-formed XML"),
        ("<?a b?>", "processing instruction"),
    ],
)
def test_what_is_no_patch(operations: str, words: str) -> None:
    with pytest.raises(BadRequest, match=words):
        read(diff(operations))


@pytest.mark.parametrize("data", [b"", b"{}", b"<!DOCTYPE diff><diff/>", b"<Patient/>", b"\xff"])
def test_what_is_no_xml_patch_at_all(data: bytes) -> None:
    with pytest.raises(BadRequest):
        read(data)


def test_a_patch_has_a_limit_of_depth_and_of_time() -> None:
    deep = "".join(
        f'<add sel="{"/".join(["*", *["a"] * level])}">{"<a>" * 50}{"</a>" * 50}</add>'
        for level in (0, 50, 100, 150, 200)
    )
    with pytest.raises(Unprocessable, match="more than 200 levels deep"):
        patched(deep)
    wide = f'<Bundle xmlns="{FHIR}">{"<entry><a/></entry>" * 2000}</Bundle>'
    with pytest.raises(Unprocessable, match="takes too long"):
        patched("<add sel='Bundle/entry[a][1]'><b/></add>" * 100, wide)


@settings(max_examples=200, deadline=None)
@given(st.text(alphabet="f:/@[]='\"().*a1 -<", max_size=30))
def test_any_selector_is_read_or_refused(text: str) -> None:
    try:
        selector = xml_path.read(text, {})
        xml_path.Finder().one(tree.parse(PATIENT.encode()), selector)
    except xml_path.SelectorError as error:
        assert str(error)  # noqa: PT017 - any text may be refused


def test_texts_that_come_to_stand_side_by_side_are_one() -> None:
    found = tree.joined([Text("a"), Text(""), Text("b"), Comment("c"), Text("d")])
    assert [(type(each).__name__, each.text) for each in found] == [("Text", "ab"), ("Comment", "c"), ("Text", "d")]
