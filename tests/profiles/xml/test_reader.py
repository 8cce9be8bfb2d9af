"""XML is read as what JSON would have said, or refused with the line, the column, the element and what to change."""

import os
import re
import tarfile
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fhir_server.model.json import MAX_DEPTH as LEVELS_OF_JSON
from fhir_server.model.json import encode, parse
from profiles.definitions.registry import load
from profiles.issue import Issue
from profiles.validate.validator import Validator
from profiles.xml import reader as reading
from profiles.xml.reader import Reader, UnreadableError
from profiles.xml.writer import Writer
from tests.acceptance.exact import decode as exactly

NS = 'xmlns="http://hl7.org/fhir"'
XHTML = 'xmlns="http://www.w3.org/1999/xhtml"'
CASES = "testsuites/fhir-test-cases-core.tar.xz"
ROUNDS = int(os.environ.get("FUZZ_ROUNDS", "150"))

DEFINITIONS = load()
READER, WRITER = Reader(DEFINITIONS), Writer(DEFINITIONS)


def refused(xml: str | bytes, *, ordered: bool = True) -> list[tuple[str, str]]:
    """Return (text, expression) of each finding."""
    with pytest.raises(UnreadableError) as caught:
        READER.read(xml.encode() if isinstance(xml, str) else xml, ordered=ordered)
    assert str(caught.value) == caught.value.issues[0].text
    return [(issue.text, issue.expression) for issue in caught.value.issues]


# What is read


def test_values_are_those_of_json(reader: Reader) -> None:
    observation = f"""<?xml version="1.0" encoding="UTF-8" standalone="yes"?>
        <?xml-stylesheet href="a.css"?>
        <!-- outside -->
        <Observation {NS} xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:schemaLocation="http://hl7.org/fhir x.xsd">
          <id value="o1"/> <!-- inside -->
          <contained><Patient><active value="true"/></Patient></contained>
          <contained><Basic><id value="b"/></Basic></contained>
          <code><coding id="c"><code value="8302-2"></code></coding><coding><code value="x"/></coding></code>
          <valueQuantity><value value="185.50"/></valueQuantity>
          <component><valueInteger value="-3"/></component>
        </Observation>"""
    assert reader.read(observation.encode()) == {
        "resourceType": "Observation",
        "id": "o1",
        "contained": [{"resourceType": "Patient", "active": True}, {"resourceType": "Basic", "id": "b"}],
        "code": {"coding": [{"id": "c", "code": "8302-2"}, {"code": "x"}]},
        "valueQuantity": {"value": Decimal("185.50")},
        "component": [{"valueInteger": -3}],
    }


def test_what_primitives_have_besides_a_value_is_their_sibling(reader: Reader) -> None:
    why = '<extension url="http://example.org/why"><valueCode value="masked"/></extension>'
    patient = f"""<Patient {NS}><name><given id="g"/><given value="Ada"/><given>{why}</given></name>
        <name><given value="A"/></name><name><given>{why}</given></name><birthDate value="1984" id="b"/><address>
        <line value="a"/><_line/></address></Patient>"""
    absent = {"extension": [{"url": "http://example.org/why", "valueCode": "masked"}]}
    assert reader.read(patient.replace("<_line/>", "").encode()) == {
        "resourceType": "Patient",
        "name": [
            {"given": [None, "Ada", None], "_given": [{"id": "g"}, None, absent]},
            {"given": ["A"]},
            {"_given": [absent]},
        ],
        "birthDate": "1984",
        "_birthDate": {"id": "b"},
        "address": [{"line": ["a"]}],
    }


def test_prefixes_mean_their_namespaces(reader: Reader) -> None:
    patient = """<f:Patient xmlns:f="http://hl7.org/fhir" xmlns:h="http://www.w3.org/1999/xhtml"><f:text>
        <f:status value="generated"/><h:div class="a&amp;b"><h:p xml:lang="en">1 &lt; 2<!-- x --><h:br/></h:p></h:div>
        </f:text></f:Patient>"""
    div = f'<div {XHTML} class="a&amp;b"><p xml:lang="en">1 &lt; 2<br></br></p></div>'
    text = {"status": "generated", "div": div}
    assert reader.read(patient.encode()) == {"resourceType": "Patient", "text": text}
    assert not any(issue.fails for issue in Validator(DEFINITIONS).check({"resourceType": "Patient", "text": text}))


def test_a_byte_order_mark_and_entities_of_html_are_taken(reader: Reader) -> None:
    xml = f'\ufeff<Basic {NS}><text><status value="generated"/><div {XHTML}>a&nbsp;b</div></text></Basic>'
    assert reader.read(xml.encode())["text"]["div"] == f"<div {XHTML}>a&#160;b</div>"


def test_published_pairs_of_xml_and_json_say_the_same(reader: Reader, test_data: Path) -> None:
    with tarfile.open(test_data / CASES) as archive:
        files = {
            each.name: file.read()
            for each in archive
            if each.name.startswith("r4/examples/") and (file := archive.extractfile(each))
        }
    pairs = [name for name in files if name.endswith(".xml") and f"{name[:-4]}.json" in files]
    different = {}
    for name in pairs:
        ours, theirs = exactly(encode(reader.read(files[name]))), exactly(files[f"{name[:-4]}.json"])
        keys = {key for key in {*ours, *theirs} if ours.get(key) != theirs.get(key)}
        if keys:
            different[name] = keys
    # This XML has an extension which its JSON lacks, and tells of it in its narrative.
    assert different == {"r4/examples/observation-example.xml": {"extension", "text"}}
    assert len(pairs) == 5
    assert sum(name.endswith(".xml") and bool(reader.read(files[name])) for name in files) == 10


# What is refused


@pytest.mark.parametrize(
    ("inner", "words", "expression"),
    [
        ("<nmae/>", "Line 1, column 38: <nmae> is no element of Patient (did you mean 'name'?)", "Patient"),
        ('<contact><name><family value="a"/><x:y xmlns:x="urn:x"/></name></contact>', "namespace 'urn:x'", "Patient.contact[0].name"),
        ('<name/><name><text value="a"/><text value="b"/></name>', "<text> is given twice", "Patient.name[1]"),
        ('<birthDate value="1984"/><gender value="male"/>', "<gender> stands behind <birthDate>", "Patient"),
        ('<active value="yes"/>', "'yes' is not a boolean. Write true or false", "Patient.active"),
        ('<active value="True"/>', "'True' is not a boolean", "Patient.active"),
        ('<multipleBirthInteger value="two"/>', "'two' is not a number", "Patient.multipleBirth.ofType(integer)"),
        ('<multipleBirthInteger value=" 2"/>', "is not a number", "Patient.multipleBirth.ofType(integer)"),
        ("<active>true</active>", "There is text in <active>: 'true'", "Patient.active"),
        ("<name><family>a<!-- -->b</family></name>", "values are attributes", "Patient.name[0].family"),
        ('<active value="true" lang="en"/>', "<active> must not have the attribute 'lang'", "Patient.active"),
        ("<active/>", "<active> has neither a value nor extensions", "Patient.active"),
        ('<name><given value="a"/><given/></name>', "<given> has neither", "Patient.name[0].given[1]"),
        ('<name url="a"/>', "must not have the attribute 'url'", "Patient.name[0]"),
        ('<name value="a"/>', "must not have the attribute 'value'", "Patient.name[0]"),
        ("<contained/>", "<contained> holds no resource", "Patient.contained[0]"),
        ("<contained><Foo/></contained>", "<Foo> in <contained> is no resource of FHIR R4. Name the resource type", "Patient.contained[0]"),
        ("<contained><Basic/><Basic/></contained>", "<contained> holds a second resource", "Patient.contained[0]"),
        ('<contained id="a"><Basic/></contained>', "must not have the attribute 'id'", "Patient.contained[0]"),
        ('<contained><Basic id="a"/></contained>', "<id value=…/> is an element of a resource", "Patient.contained[0]"),
        ('<text><status value="empty"/><div>a</div></text>', "<div> is no element of Narrative of the namespace", "Patient.text"),
        (f'<text><div {XHTML}><x:b xmlns:x="urn:x"/></div></text>', "<b> in the narrative is not XHTML", "Patient.text"),
        (f"<text><div {XHTML}/><div {XHTML}/></text>", "<div> is given twice", "Patient.text"),
        ('<name xml:lang="en"/>', "must not have the attribute 'lang'", "Patient.name[0]"),
        ("<?target data?>", "There is a processing instruction", "Patient"),
        ('<name><text value="&undefined;"/></name>', "not well-formed XML: undefined entity", ""),
        ("<name>", "not well-formed XML: mismatched tag", ""),
        ("<name></nama>", "mismatched tag", ""),
        ('<name a="1" a="2"/>', "duplicate attribute", ""),
        ("<x:name/>", "unbound prefix", ""),
        ("\x01", "not well-formed", ""),
    ],
)  # fmt: skip
def test_a_refusal_tells_where_what_and_how(inner: str, words: str, expression: str) -> None:
    (text, where), *_ = refused(f"<Patient {NS}>{inner}</Patient>")
    assert re.match(r"Line 1, column \d+: ", text)
    assert words in text
    assert where == expression


@pytest.mark.parametrize(
    ("xml", "words"),
    [
        ("", "There is no XML"),
        (" \n", "There is no XML"),
        ("{}", "Line 1, column 1: This is not well-formed XML"),
        ("<Patient/>", "<Patient> is no resource of FHIR R4: it has no namespace. Write it with xmlns="),
        ('<Patient xmlns="urn:hl7-org:v3"/>', "its namespace is 'urn:hl7-org:v3'"),
        (f"<Nothing {NS}/>", "<Nothing> is no resource of FHIR R4. Name the resource type"),
        (f"<HumanName {NS}/>", "<HumanName> is no resource"),
        (f"<DomainResource {NS}/>", "<DomainResource> is no resource"),
        (f'<Patient {NS} id="a"/>', "<Patient> must not have the attribute 'id'"),
        (f"<Patient {NS}/><Patient {NS}/>", "junk after document element"),
        (f'<?xml version="1.0" encoding="ISO-8859-1"?><Patient {NS}/>', "the encoding is 'ISO-8859-1'"),
        (f"<Patient {NS}/>".encode("utf-16"), "The XML is not in UTF-8"),
        (f'<Patient {NS}><id value="é"/></Patient>'.encode("latin-1"), "not well-formed"),
        (f"<!DOCTYPE Patient><Patient {NS}/>", "There is a document type declaration"),
        ('<!DOCTYPE a [<!ENTITY b "c">]><a/>', "There is a document type declaration"),
    ],
)
def test_what_is_no_resource_at_all_is_refused(xml: str | bytes, words: str) -> None:
    assert words in refused(xml)[0][0]


def test_lines_and_columns_are_those_of_an_editor() -> None:
    assert refused(f'<Patient {NS}>\n  <active value="true"/>\n  <nmae/>\n</Patient>')[0][0].startswith(
        "Line 3, column 3: "
    )


def test_all_findings_come_at_once_up_to_twenty() -> None:
    found = refused(f'<Patient {NS}><x1><a/></x1><active value="yes"/><name><y1/></name></Patient>')
    assert [where for _, where in found] == ["Patient", "Patient.active", "Patient.name[0]"]
    assert len(refused(f"<Patient {NS}>{'<x/>' * 1000}</Patient>")) == 20


def test_the_place_in_a_bundle_is_told() -> None:
    entry = "<entry><resource><Patient><name/><name><x/></name></Patient></resource></entry>"
    assert refused(f"<Bundle {NS}>{entry}</Bundle>")[0][1] == "Bundle.entry[0].resource.name[1]"


def test_the_order_may_be_left_to_the_reader() -> None:
    xml = (
        f'<Patient {NS}><birthDate value="1984"/><name><text value="a"/></name><active value="true"/><name/></Patient>'
    )
    assert READER.read(xml.encode(), ordered=False) == {
        "resourceType": "Patient",
        "birthDate": "1984",
        "name": [{"text": "a"}, {}],
        "active": True,
    }
    assert "given twice" in refused(xml.replace("<name/>", '<birthDate value="1"/>'), ordered=False)[0][0]


# What is hostile


def test_entities_are_neither_expanded_nor_fetched(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("secret")
    laughs = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 12))
    for subset in (f'<!ENTITY l0 "lol">{laughs}', f'<!ENTITY l11 SYSTEM "{secret.as_uri()}">'):
        xml = f'<!DOCTYPE Patient [{subset}]><Patient {NS}><id value="&l11;"/></Patient>'
        ((text, _),) = refused(xml)
        assert "document type declaration" in text
    assert "document type declaration" in refused(f'<!DOCTYPE Patient SYSTEM "{secret.as_uri()}"><Patient {NS}/>')[0][0]


def test_depth_has_the_limit_of_json() -> None:
    assert reading.MAX_DEPTH == LEVELS_OF_JSON
    for levels in (48, 49):
        xml = f"<Patient {NS}>{'<extension>' * levels}{'</extension>' * levels}</Patient>"
        parse(encode(READER.read(xml.encode())))
    assert (
        "more than 100 levels deep"
        in refused(f"<Patient {NS}>{'<extension>' * 50}{'</extension>' * 50}</Patient>")[0][0]
    )
    assert "more than 100 levels" in refused(f"<Patient {NS}>{'<extension>' * 100_000}")[0][0]
    contained = "<Basic><contained>" * 100_000
    assert "more than 100 levels" in refused(f"<Basic {NS}><contained>{contained}")[0][0]


def test_depth_is_limited_where_nothing_is_kept_too() -> None:
    deep = "<p>" * 499
    xml = f"<Basic {NS}><text><div {XHTML}>{deep}{'</p>' * 499}</div></text></Basic>"
    assert READER.read(xml.encode())["text"]["div"].count("<p>") == 499
    for prefix in ("", "h:"):
        opened = (
            f'<Basic {NS} xmlns:h="http://www.w3.org/1999/xhtml"><text><{prefix}div {XHTML}>' + f"<{prefix}p>" * 100_000
        )
        assert "elements of the narrative stand in each other" in refused(opened)[0][0]
    texts = [text for text, _ in refused(f"<Basic {NS}>{'<x>' * 100_000}")]
    assert "More than 500 elements stand in each other" in texts[-1]


@pytest.mark.parametrize(
    "digits", ["1" * 5000, "1e99999999999999999999", "1e+", "0x10", "NaN", "1_000", "٣", "01", "+1"]
)
def test_numbers_are_digits_within_reason(digits: str) -> None:
    xml = f'<Observation {NS}><valueQuantity><value value="{digits}"/></valueQuantity></Observation>'
    assert "is not a number" in refused(xml)[0][0]


SEEDS = [
    WRITER.write(
        {
            "resourceType": "Bundle",
            "type": "collection",
            "entry": [
                {
                    "resource": {
                        "resourceType": "Patient",
                        "text": {"status": "generated", "div": f'<div {XHTML}><p class="a">b &amp;</p><br/></div>'},
                        "contained": [{"resourceType": "Basic", "id": "b"}],
                        "name": [{"given": ["A", None], "_given": [None, {"id": "x", "extension": [{"url": "u"}]}]}],
                        "multipleBirthInteger": 2,
                    }
                },
                {"resource": {"resourceType": "Parameters", "parameter": [{"name": "a", "valueDecimal": Decimal("1.0")}]}},
            ],
        }
    )
]  # fmt: skip
PIECES = [
    b"<", b">", b"/", b'"', b"&", b"&nbsp;", b"&x;", b"&#0;", b"<?a b?>", b"<!DOCTYPE a>", b"<![CDATA[x]]>", b"<!-- -->",
    b' xmlns="x"', b' xmlns:h="http://www.w3.org/1999/xhtml"', b"<h:div/>", b"\x00", b"\xff", b"\xef\xbb\xbf", b"<contained>",
    b"</contained>", b'<div xmlns="http://www.w3.org/1999/xhtml">', b"</div>", b' value="1"', b"<extension/>", b"<given/>",
    b"<Patient/>", b"<Patient>", b"</Patient>", b'<valueBoolean value="true"/>',
]  # fmt: skip
CHANGES = st.lists(
    st.tuples(st.floats(0, 1), st.integers(0, 20), st.sampled_from(PIECES) | st.binary(max_size=3)), max_size=6
)


@settings(max_examples=ROUNDS, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from(SEEDS), CHANGES)
def test_damaged_xml_is_read_or_refused_and_nothing_else(seed: bytes, changes: list[tuple[float, int, bytes]]) -> None:
    data = seed
    for place, length, piece in changes:
        at = int(place * len(data))
        data = data[:at] + piece + data[at + length :]
    check(data)


@settings(max_examples=ROUNDS, deadline=None)
@given(st.binary(max_size=200) | st.text(max_size=200).map(lambda text: text.encode(errors="replace")))
def test_anything_else_is_refused(data: bytes) -> None:
    check(data)


def check(data: bytes) -> None:
    """Read, and write what was read: it must come back the same."""
    issues: tuple[Issue, ...] = ()
    found: dict[str, Any] = {}
    try:
        found = READER.read(data)
    except UnreadableError as error:
        issues = error.issues
    assert bool(found) is not bool(issues)
    assert len(issues) <= 20
    assert all(issue.text.startswith("Line ") and len(issue.text) < 500 for issue in issues)
    if found:
        parse(encode(found))
        assert READER.read(WRITER.write(found)) == found
