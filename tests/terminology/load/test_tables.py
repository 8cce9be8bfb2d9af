"""Releases in tables and XML: what becomes of a small one of each format, and what is refused."""

import json
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path

import pytest

from terminology.concept import Designation, Property
from terminology.load.files import Files
from terminology.load.formats import Options, read, recognised
from terminology.load.mapped import mapping
from terminology.load.release import BrokenRelease, Release, Row
from tests.terminology.load.tables import CLAML, CVX, ICD_10, ICD_10_CM, ICD_11, LOINC, RXNORM, written

NONE = Options()


def loaded(path: Path, said: Options = NONE, name: str = "") -> tuple[Release, dict[str, Row]]:
    with Files([path]) as files:
        release = read(files, said, name)
        return release, {row.code: row for row in release.rows()}


def values(row: Row, code: str) -> list[object]:
    return [one.value for one in row.properties if one.code == code]


@pytest.mark.parametrize(
    ("files", "name"),
    [(LOINC, "loinc"), (RXNORM, "rxnorm"), (ICD_10_CM, "icd-10-cm"), (CLAML, "claml"), (ICD_11, "who"), (ICD_10, "who"), (CVX, "cvx")],
)  # fmt: skip
def test_the_format_is_known_by_the_files(tmp_path: Path, files: Mapping[str, str], name: str) -> None:
    with Files([written(tmp_path, files)]) as opened:
        assert recognised(opened) == name


def test_files_of_no_format_are_told(tmp_path: Path) -> None:
    with (
        Files([written(tmp_path, {"readme.md": "Hello"})]) as opened,
        pytest.raises(BrokenRelease, match=r"readme\.md"),
    ):
        recognised(opened)


def test_loinc_has_terms_parts_answers_and_lists(tmp_path: Path) -> None:
    release, found = loaded(written(tmp_path, LOINC))
    assert release.head.canonical == "http://loinc.org|2.78"
    term = found["1000-9"]
    assert (term.display, term.parents, term.status) == ("Glucose in Serum", ("LP2",), "ACTIVE")
    assert (
        Property("COMPONENT", {"system": "http://loinc.org", "code": "LP2", "display": "Glucose"}, "Coding")
        in term.properties
    )
    assert Property("METHOD_TYP", "Test strip") in term.properties
    assert (values(term, "CLASSTYPE"), values(term, "answer-list")) == (["1"], ["LL1-9"])
    assert Designation("Glukose im Serum", "de-DE") in term.designations
    assert Designation("Sugar", "en", {"system": "http://loinc.org", "code": "RELATEDNAMES2"}) in term.designations
    assert found["1001-7"].inactive
    assert found["LP2"].parents == ("LP1",)
    assert (found["LP1"].display, found["LP1"].abstract) == ("Chemistry", True)
    assert values(term, "LG") == ["LG10-1"]
    assert values(found["LA1-4"], "LIST") == ["LL1-9"]
    assert values(found["LL1-9"], "answers-for") == ["1000-9"]
    with Files([tmp_path]) as files:
        [value_set] = read(files, NONE).resources()
    assert value_set["url"] == "http://loinc.org/vs/LL1-9"
    assert [one["code"] for one in value_set["compose"]["include"][0]["concept"]] == ["LA1-4", "LA2-2"]


def test_rxnorm_has_terms_relations_and_attributes(tmp_path: Path) -> None:
    release, found = loaded(written(tmp_path, RXNORM), Options(version="01022024"))
    assert release.head.canonical == "http://www.nlm.nih.gov/research/umls/rxnorm|01022024"
    assert set(found) == {"161", "198440", "5"}
    tablet = found["198440"]
    assert (tablet.display, values(tablet, "TTY")) == ("acetaminophen 500 MG Oral Tablet", ["PSN", "SCD"])
    assert values(tablet, "has_ingredient") == ["CUI:161"]
    assert values(tablet, "STY") == ["Clinical Drug"]
    assert values(tablet, "RXN_STRENGTH") == ["500 MG"]
    assert values(found["161"], "SAB") == ["MMX", "RXNORM"]
    assert (found["5"].inactive, found["5"].status) == (True, "obsolete")
    with pytest.raises(BrokenRelease, match="does not tell the day"):
        loaded(tmp_path)


def test_icd_10_cm_makes_the_codes_with_a_seventh_character(tmp_path: Path) -> None:
    release, found = loaded(written(tmp_path, ICD_10_CM))
    assert release.head.canonical == "http://hl7.org/fhir/sid/icd-10-cm|2026-04"
    assert list(found) == ["19", "S00-S09", "S00", "S00.0", "S00.00", "S00.00XA", "S00.00XD", "S00.01"]
    assert found["S00.00XA"].display == "Unspecified injury of scalp, initial encounter"
    assert (values(found["S00.00XA"], "billable"), values(found["S00.00"], "billable")) == ([True], [False])
    assert (found["S00"].parents, found["S00-S09"].parents) == (("S00-S09",), ("19",))
    assert found["S00-S09"].abstract
    assert values(found["S00"], "excludes1") == ["injury of eye (S05.-)"]
    assert [one.value for one in found["S00.01"].designations] == ["Graze of scalp"]


def test_icd_10_cm_without_the_list_of_codes_follows_its_rules(tmp_path: Path) -> None:
    alone = {name: text for name, text in ICD_10_CM.items() if name.endswith("xml")}
    _, found = loaded(written(tmp_path, alone))
    assert {"S00.00XA", "S00.00XD", "S00.01XA", "S00.01XD"} <= set(found)


def test_a_code_that_the_tabular_list_lacks_is_told(tmp_path: Path) -> None:
    names = {**ICD_10_CM, "code-list.txt": ICD_10_CM["code-list.txt"] + "S0999\n"}
    with pytest.raises(BrokenRelease, match=r"1 codes that it names are not in the tabular list, such as S09\.99"):
        loaded(written(tmp_path, names))


def test_an_order_file_of_icd_10_cm_has_its_hierarchy_in_its_codes(tmp_path: Path) -> None:
    lines = [
        ("00001", "A00", "0", "Cholera", "Cholera"),
        ("00002", "A000", "1", "Cholera due to V", "Cholera due to Vibrio"),
    ]
    text = "".join(f"{number} {code:7} {bill} {short:60} {long}\n" for number, code, bill, short, long in lines)
    release, found = loaded(written(tmp_path, {"icd10cm-order-2026.txt": text}))
    assert release.head.version == "2026"
    assert (found["A00.0"].parents, values(found["A00.0"], "billable")) == (("A00",), [True])


def test_claml_has_classes_rubrics_and_modifiers(tmp_path: Path) -> None:
    release, found = loaded(written(tmp_path, CLAML))
    assert release.head.canonical == "http://hl7.org/fhir/sid/icd-10|2019"
    assert found["E10-E14"].parents == ("IV",)
    assert (found["E10"].display, values(found["E10"], "exclusion")) == (
        "Type 1 diabetes mellitus",
        ["neonatal (P70.2)"],
    )
    assert found["E10.0"].display == "Type 1 diabetes mellitus: With coma"
    assert "E10.1" not in found
    assert not found["E10"].abstract
    assert found["IV"].abstract


def test_icd_11_has_its_hierarchy_from_dashes(tmp_path: Path) -> None:
    release, found = loaded(written(tmp_path, ICD_11))
    assert release.head.canonical == "http://id.who.int/icd/release/11/mms|2024-01"
    assert {code: row.parents for code, row in found.items()} == {
        "01": (), "BlockL1-1A0": ("01",), "1A00": ("BlockL1-1A0",), "1A03": ("BlockL1-1A0",), "1A03.0": ("1A03",), "02": (),
    }  # fmt: skip
    assert found["1A03.0"].display == "Enteropathogenic infection"
    assert (found["01"].abstract, found["1A00"].abstract) == (True, False)
    assert values(found["1A03.0"], "residual") == [True]


def test_icd_10_tables_of_who_have_chapters_blocks_and_codes(tmp_path: Path) -> None:
    release, found = loaded(written(tmp_path, ICD_10))
    assert release.head.canonical == "http://hl7.org/fhir/sid/icd-10|2019"
    assert {code: row.parents for code, row in found.items()} == {
        "1": (), "A00-A09": ("1",), "A00": ("A00-A09",), "A00.0": ("A00",),
    }  # fmt: skip


def test_cvx_says_which_vaccines_are_given_no_more(tmp_path: Path) -> None:
    release, found = loaded(written(tmp_path, CVX))
    assert release.head.canonical == "http://hl7.org/fhir/sid/cvx|20240315"
    assert (found["01"].display, found["01"].inactive, found["01"].status) == ("DTP", True, "Inactive")
    assert values(found["998"], "nonVaccine") == [True]
    assert Designation("hepatitis B vaccine, adult", "en") in found["43"].designations


def test_cvx_in_xml_says_the_same(tmp_path: Path) -> None:
    text = (
        "<CVXCodes><CVXInfo><ShortDescription>DTP</ShortDescription><FullVaccinename>diphtheria, tetanus</FullVaccinename>"
        "<CVXCode>01</CVXCode><Notes/><Status>Inactive</Status><LastUpdated>5/28/2010</LastUpdated></CVXInfo></CVXCodes>"
    )
    release, found = loaded(written(tmp_path, {"vaccines.xml": text}))
    assert (release.head.version, found["01"].inactive) == ("20100528", True)


TABLE = "Key;Name;Above;Weight;Deutsch\nA;Animal;;;Tier\nB;Bear;A;350.50;Bär\nC;Cub;A,B;;\n"
MAPPING = {
    "url": "http://zoo.example/animals", "version": "1", "title": "Animals", "separator": ",",
    "columns": {"code": "Key", "display": "Name", "parent": "Above", "property:weight": "Weight", "designation:de": "Deutsch"},
    "types": {"weight": "decimal"},
}  # fmt: skip


def said(**changed: object) -> Options:
    return Options(columns=mapping(json.dumps({**MAPPING, **changed}).encode(), "mapping.json"))


def test_a_table_is_read_with_its_mapping(tmp_path: Path) -> None:
    release, found = loaded(written(tmp_path, {"animals.csv": TABLE}), said())
    assert (release.head.canonical, release.head.title, release.head.hierarchy) == (
        "http://zoo.example/animals|1",
        "Animals",
        "is-a",
    )
    assert found["B"].properties == (Property("weight", Decimal("350.50"), "decimal"),)
    assert found["B"].designations == (Designation("Bär", "de"),)
    assert found["C"].parents == ("A", "B")


def test_a_table_may_name_its_columns_itself(tmp_path: Path) -> None:
    table = "code\tdisplay\tinactive\tproperty:legs\nA\tAnt\tno\t6\nB\tBeetle\tyes\t6\n"
    release, found = loaded(written(tmp_path, {"x.tsv": table}), Options(url="http://zoo.example/insects"))
    assert (release.head.url, found["B"].inactive, values(found["A"], "legs")) == (
        "http://zoo.example/insects",
        True,
        ["6"],
    )


@pytest.mark.parametrize(
    ("table", "changed", "reason"),
    [
        (
            "Key;Name\nA;x\n",
            {},
            r"animals\.csv, line 1: The first line does not name the column Above, Weight, Deutsch",
        ),
        (f"{TABLE}A;Again;;;\n", {}, r"animals\.csv, line 5: The code A is there twice"),
        (f"{TABLE};None;;;\n", {}, "line 5: The row has no code"),
        (f"{TABLE}D;Dog;;heavy;\n", {}, "line 5: 'heavy' is no decimal"),
        (f"{TABLE}D;Dog\n", {}, "line 5: The row has 2 columns, and the first line names 5"),
        (TABLE, {"url": ""}, "The URL of the code system is not said"),
        (TABLE, {"columns": {"display": "Name"}}, "No column is the code"),
        (TABLE, {"columns": {"colour": "Name"}}, "A column cannot be 'colour'"),
        (TABLE, {"types": {"weight": "kilos"}}, "cannot be of type 'kilos'"),
        (TABLE, {"colums": {}}, "A mapping has no 'colums'"),
    ],
)
def test_what_is_wrong_in_a_table_is_told(tmp_path: Path, table: str, changed: dict[str, object], reason: str) -> None:
    with pytest.raises(BrokenRelease, match=reason):
        loaded(written(tmp_path, {"animals.csv": table}), said(**changed))


@pytest.mark.parametrize(
    ("files", "name", "old", "new", "reason"),
    [
        (LOINC, "LoincTable/Loinc.csv", "1001-7", "x", "line 3: 'x' is no LOINC code"),
        (LOINC, "LoincTable/Loinc.csv", "STATUS", "STATE", "line 1: The first line does not name the column STATUS"),
        (LOINC, "LoincTable/Loinc.csv", '"1001-7"', '"1001-7', "is no valid CSV"),
        (RXNORM, "rrf/RXNCONSO.RRF", "161|ENG|", "161|", "line 1: The row has 17 columns, and RXNCONSO has 18"),
        (RXNORM, "rrf/RXNSTY.RRF", "198440|", "x|", "line 1: 'x' is no RXCUI"),
        (ICD_10_CM, "icd10cm-tabular-April-2026.xml", "</chapter>", "</chap>", "line 15: The XML is not well-formed: mismatched tag"),
        (ICD_10_CM, "icd10cm-tabular-April-2026.xml", "<desc>Abrasion of scalp</desc>", "", "A diag in the chapter that ends here has no desc"),
        (ICD_10_CM, "code-list.txt", "S000\n", "S?\n", "line 4: 'S\\?' is no code"),
        (CLAML, "icd10.xml", 'code="E10" kind', 'code="E10-E14" kind', "The class E10-E14 is there twice"),
        (ICD_11, "mms.txt", "category", "thing", "line 4: 'thing' is no kind of class"),
        (ICD_10, "icd102019syst_codes.txt", "4;T", "9;T", "line 2: A row begins with the level"),
        (CVX, "cvx.txt", "Inactive", "Gone", "line 1: 'Gone' is no status"),
    ],
)  # fmt: skip
def test_a_broken_file_is_told_with_its_line(
    tmp_path: Path, files: Mapping[str, str], name: str, old: str, new: str, reason: str
) -> None:
    broken = {**files, name: files[name].replace(old, new, 1)}
    with pytest.raises(BrokenRelease, match=reason):
        loaded(written(tmp_path, broken), Options(version="1"))


def test_a_code_system_in_a_file_is_read(tmp_path: Path) -> None:
    resource = {
        "resourceType": "CodeSystem", "url": "http://zoo.example/cats", "version": "3", "content": "complete", "status": "active",
        "property": [{"code": "status", "type": "code"}],
        "concept": [
            {"code": "cat", "display": "Cat", "concept": [{"code": "lion", "designation": [{"language": "de", "value": "Löwe"}]}]},
            {"code": "dodo", "property": [{"code": "status", "valueCode": "retired"}]},
        ],
    }  # fmt: skip
    release, found = loaded(written(tmp_path, {"cats.json": json.dumps(resource)}))
    assert (release.head.canonical, release.head.count) == ("http://zoo.example/cats|3", 3)
    assert found["lion"].parents == ("cat",)
    assert found["lion"].designations == (Designation("Löwe", "de"),)
    assert found["dodo"].inactive
    bare = {**resource, "content": "not-present", "concept": []}
    with pytest.raises(BrokenRelease, match="its concepts are elsewhere"):
        loaded(written(tmp_path, {"cats.json": json.dumps(bare)}))
    with pytest.raises(BrokenRelease, match=r"cats\.json.*is no resource"):
        loaded(written(tmp_path, {"cats.json": '{"resourceType": "CodeSystem", '}))
