"""XML is valid by the official schema, has every element in its place, and can carry whatever JSON carries."""

import importlib
import tarfile
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from fhir_server.model.json import decode, encode
from profiles.xml.reader import Reader
from profiles.xml.writer import UnwritableError, Writer
from tests.acceptance.exact import decode as exactly
from tests.conftest import missing

NS = 'xmlns="http://hl7.org/fhir"'
XHTML = 'xmlns="http://www.w3.org/1999/xhtml"'
SCHEMA = "definitions/xsd-4.0.1/fhir-single.xsd"
EXAMPLES = "examples/hl7.fhir.r4.examples-4.0.1.instances.tgz"
INCOMPLETE = {"ImplementationGuide-fhir.json", "Questionnaire-qs1.json", "ig-r4.json"}
"""Examples that lack elements which they must have, in JSON as in XML (`KNOWN_BAD_EXAMPLES` tells which)."""


def test_elements_stand_in_the_order_of_the_definitions(writer: Writer) -> None:
    patient = {
        "birthDate": "1984-07-09",
        "resourceType": "Patient",
        "_birthDate": {"extension": [{"valueDateTime": "1984-07-09T05:10:00Z", "url": "http://example.org/time"}]},
        "multipleBirthInteger": 2,
        "active": True,
        "name": [{"given": ["Ada", "Augusta"], "id": "n1", "family": 'King & "Lovelace"'}],
        "id": "p1",
    }
    assert writer.write(patient).decode() == (
        f'<Patient {NS}><id value="p1"/><active value="true"/>'
        '<name id="n1"><family value="King &amp; &quot;Lovelace&quot;"/><given value="Ada"/><given value="Augusta"/></name>'
        '<birthDate value="1984-07-09"><extension url="http://example.org/time"><valueDateTime value="1984-07-09T05:10:00Z"/>'
        '</extension></birthDate><multipleBirthInteger value="2"/></Patient>'
    )


def test_primitives_without_a_value_keep_their_place(writer: Writer) -> None:
    absent = {"extension": [{"url": "http://example.org/why", "valueCode": "masked"}]}
    patient = {
        "resourceType": "Patient",
        "name": [{"given": [None, "Ada"], "_given": [absent, None]}],
        "_gender": absent,
        "birthDate": "1984",
        "_birthDate": {"id": "b"},
    }
    why = '<extension url="http://example.org/why"><valueCode value="masked"/></extension>'
    assert writer.write(patient).decode() == (
        f'<Patient {NS}><name><given>{why}</given><given value="Ada"/></name><gender>{why}</gender>'
        '<birthDate id="b" value="1984"/></Patient>'
    )


def test_resources_in_resources_stand_in_an_element_of_their_own(writer: Writer) -> None:
    bundle = {
        "resourceType": "Bundle",
        "type": "collection",
        "entry": [
            {"resource": {"resourceType": "Basic", "contained": [{"resourceType": "Patient", "id": "a"}], "id": "b"}}
        ],
    }
    assert writer.write(bundle).decode() == (
        f'<Bundle {NS}><type value="collection"/><entry><resource><Basic><id value="b"/><contained><Patient>'
        '<id value="a"/></Patient></contained></Basic></resource></entry></Bundle>'
    )


def test_numbers_keep_the_digits_that_they_have(writer: Writer, reader: Reader) -> None:
    for text in ("1.00", "0.10", "-7", "185", "1E-8", "0.000", "123456789012345678901234567890.1234", "0E+3"):
        number = Decimal(text)
        value = int(text) if text in {"-7", "185"} else number
        sent = {"resourceType": "Observation", "valueQuantity": {"value": value}}
        back = reader.read(writer.write(sent))["valueQuantity"]["value"]
        assert (type(back), str(back)) == (type(value), str(value))


@pytest.mark.parametrize(
    "text",
    ["a\r\nb\tc\n", " \t ", "<&>\"'", "नमस्ते \U0001f600", "\x7f\x85\u2028", "]]>", "&amp;lt;", "{&#10;}"],
    ids=repr,
)
def test_any_text_comes_back_as_it_was(writer: Writer, reader: Reader, text: str) -> None:
    sent = {"resourceType": "Basic", "implicitRules": text, "code": {"text": text, "id": text}}
    assert reader.read(writer.write(sent)) == sent
    assert reader.read(writer.write(sent, indented=True)) == sent


def test_what_xml_cannot_carry_becomes_a_replacement_character(writer: Writer, reader: Reader) -> None:
    back = reader.read(writer.write({"resourceType": "Basic", "code": {"text": "a\x00b\x1b\ud800\uffffc"}}))
    assert back["code"]["text"] == "a\ufffdb\ufffd\ufffd\ufffdc"


@pytest.mark.parametrize(
    "div",
    [
        f"<div {XHTML}>a</div>",
        f"<div {XHTML}/>",
        f"<div {XHTML} />",
        f"<div {XHTML}><br/></div >",
        "<div id='x' xmlns='http://www.w3.org/1999/xhtml'><!-- <p>--> <p>a &lt;&#160;</p>\r\n\t<div>b</div><p>é</p></div>",
    ],
)
def test_narrative_comes_back_letter_by_letter(writer: Writer, reader: Reader, div: str) -> None:
    sent = {"resourceType": "Basic", "text": {"status": "generated", "div": div}}
    assert f'<status value="generated"/>{div}</text>' in writer.write(sent).decode()
    assert reader.read(writer.write(sent)) == sent
    assert reader.read(writer.write(sent, indented=True)) == sent


def test_entities_of_html_become_numbers(writer: Writer, reader: Reader) -> None:
    sent = {"resourceType": "Basic", "text": {"status": "generated", "div": f"<div {XHTML}>a&nbsp;&amp;&eacute;</div>"}}
    assert reader.read(writer.write(sent))["text"]["div"] == f"<div {XHTML}>a&#160;&amp;&#233;</div>"


@pytest.mark.parametrize(
    "div",
    [
        "plain & simple",
        "<div>a</div>",
        f"<div {XHTML}>a",
        f"<div {XHTML}>a</div><b/>",
        f"<!DOCTYPE a><div {XHTML}/>",
        "\ud800",
    ],
)
def test_a_narrative_that_is_none_breaks_nothing(writer: Writer, reader: Reader, div: str) -> None:
    back = reader.read(writer.write({"resourceType": "Basic", "text": {"status": "generated", "div": div}}))
    assert back["text"]["div"].startswith(f"<div {XHTML}>")


@pytest.mark.parametrize(
    ("resource", "words"),
    [
        ({"resourceType": "Nothing"}, "'Nothing' is not a resource type"),
        ({"resourceType": "Patient.contact"}, "not a resource type"),
        ({"resourceType": "DomainResource"}, "not a resource type"),
        ({"method": "GET"}, "'None' is not a resource type"),
        ({"resourceType": "Patient", "colour": "red"}, "Patient has no element 'colour'"),
        ({"resourceType": "Patient", "_name": {}}, "Patient has no element '_name'"),
        ({"resourceType": "Patient", "name": ["Ada"]}, "'name' is no object"),
        ({"resourceType": "Patient", "gender": {"a": 1}}, "'gender' has no simple value"),
        ({"resourceType": "Patient", "name": [{"given": [None]}]}, "'given' has neither"),
        ({"resourceType": "Patient", "contained": ["a"]}, "not a resource type"),
    ],
)
def test_what_is_no_resource_is_not_written(writer: Writer, resource: dict[str, Any], words: str) -> None:
    with pytest.raises(UnwritableError, match=words):
        writer.write(resource)


def test_the_layout_for_people_is_indented(writer: Writer) -> None:
    text = {"status": "generated", "div": f"<div {XHTML}>\n<p>a</p></div>"}
    patient = {"resourceType": "Patient", "text": text, "contained": [{"resourceType": "Basic", "id": "b"}]}
    assert writer.write(patient, indented=True).decode() == (
        f'<Patient {NS}>\n  <text>\n    <status value="generated"/>\n    <div {XHTML}>\n<p>a</p></div>\n  </text>\n'
        '  <contained>\n    <Basic>\n      <id value="b"/>\n    </Basic>\n  </contained>\n</Patient>'
    )


@pytest.fixture(scope="module")
def examples(writer: Writer, test_data: Path) -> list[tuple[str, bytes, bytes]]:
    """Name, JSON and XML of each official example."""
    with tarfile.open(test_data / EXAMPLES) as archive:
        files = ((Path(each.name), archive.extractfile(each)) for each in archive)
        found = [(path.name, file.read()) for path, file in files if file and path.suffix == ".json"]
    return [(name, raw, writer.write(decode(raw))) for name, raw in found if b'"resourceType"' in raw]


def test_official_examples_come_back_with_every_value_and_digit(
    reader: Reader, examples: list[tuple[str, bytes, bytes]]
) -> None:
    different = [name for name, raw, xml in examples if exactly(encode(reader.read(xml))) != exactly(raw)]
    assert different == []
    assert len(examples) == 720


def test_official_examples_are_valid_by_the_official_schema(
    examples: list[tuple[str, bytes, bytes]], test_data: Path
) -> None:
    try:
        etree = importlib.import_module("lxml.etree")
    except ModuleNotFoundError:
        missing("lxml, which checks XML by its schema, is not there")
    schema = etree.XMLSchema(etree.parse(str(test_data / SCHEMA)))
    large = etree.XMLParser(huge_tree=True)
    assert {name for name, _, xml in examples if not schema.validate(etree.fromstring(xml, large))} == INCOMPLETE
