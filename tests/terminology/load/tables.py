"""Small releases of the formats that are tables or XML, with invented content."""

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

Written = Mapping[str, str]


def written(path: Path, files: Written) -> Path:
    """Write files into a folder; return it."""
    for name, text in files.items():
        place = path / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text, encoding="utf-8", newline="")
    return path


def comma(names: str, rows: Iterable[Sequence[str]]) -> str:
    """Return a CSV file as LOINC has them: everything quoted."""
    made = io.StringIO()
    writer = csv.writer(made, quoting=csv.QUOTE_ALL)
    writer.writerow(names.split(","))
    writer.writerows(rows)
    return made.getvalue()


LOINC: Written = {
    "LoincTable/Loinc.csv": comma(
        "LOINC_NUM,COMPONENT,PROPERTY,TIME_ASPCT,SYSTEM,SCALE_TYP,METHOD_TYP,CLASS,VersionLastChanged,STATUS,CLASSTYPE,SHORTNAME,"
        "LONG_COMMON_NAME,ORDER_OBS,RELATEDNAMES2,EXTERNAL_COPYRIGHT_NOTICE,DefinitionDescription",
        [
            ["1000-9", "Glucose", "MCnc", "Pt", "Ser", "Qn", "Test strip", "CHEM", "2.78", "ACTIVE", "1", "Glucose Ser",
             "Glucose in Serum", "Both", "Sugar; Glu", "", "Sugar of the blood"],
            ["1001-7", "Old", "MCnc", "Pt", "Ser", "Qn", "", "CHEM", "2.09", "DEPRECATED", "1", "Old Ser", "Old one", "", "", "", ""],
        ],
    ),
    "AccessoryFiles/PartFile/Part.csv": comma(
        "PartNumber,PartTypeName,PartName,PartDisplayName,Status",
        [["LP2", "COMPONENT", "Glucose", "Glucose", "ACTIVE"], ["LP3", "SYSTEM", "Ser", "Serum", "ACTIVE"]],
    ),
    "AccessoryFiles/PartFile/LoincPartLink_Primary.csv": comma(
        "LoincNumber,LongCommonName,PartNumber,PartName,PartCodeSystem,PartTypeName,LinkTypeName,Property",
        [["1000-9", "", "LP2", "Glucose", "http://loinc.org", "COMPONENT", "Primary", ""]],
    ),
    "AccessoryFiles/AnswerFile/AnswerList.csv": comma(
        "AnswerListId,AnswerListName,AnswerStringId,SequenceNumber,DisplayText",
        [["LL1-9", "High or low", "LA1-4", "1", "High"], ["LL1-9", "High or low", "LA2-2", "2", "Low"], ["LL2-7", "Elsewhere", "", "", ""]],
    ),
    "AccessoryFiles/AnswerFile/LoincAnswerListLink.csv": comma(
        "LoincNumber,LongCommonName,AnswerListId,AnswerListName,AnswerListLinkType", [["1000-9", "", "LL1-9", "High or low", "NORMATIVE"]]
    ),
    "AccessoryFiles/GroupFile/GroupLoincTerms.csv": comma(
        "Category,GroupId,Archetype,LoincNumber,LongCommonName", [["Mass-Molar conversion", "LG10-1", "", "1000-9", ""]]
    ),
    "AccessoryFiles/ComponentHierarchyBySystem/ComponentHierarchyBySystem.csv": comma(
        "PATH_TO_ROOT,SEQUENCE,IMMEDIATE_PARENT,CODE,CODE_TEXT",
        [["", "1", "", "LP1", "Chemistry"], ["LP1", "1", "LP1", "LP2", "Glucose"], ["LP1.LP2", "1", "LP2", "1000-9", "Glucose in Serum"]],
    ),
    "AccessoryFiles/LinguisticVariants/LinguisticVariants.csv": comma(
        "ID,ISO_LANGUAGE,ISO_COUNTRY,LANGUAGE_NAME,PRODUCER", [["15", "de", "DE", "German", "X"]]
    ),
    "AccessoryFiles/LinguisticVariants/deDE15LinguisticVariant.csv": comma(
        "LOINC_NUM,COMPONENT,PROPERTY,TIME_ASPCT,SYSTEM,SCALE_TYP,METHOD_TYP,CLASS,SHORTNAME,LONG_COMMON_NAME,LinguisticVariantDisplayName",
        [["1000-9", "Glukose", "", "", "Serum", "", "", "", "", "Glukose im Serum", ""]],
    ),
}  # fmt: skip


def piped(*rows: Sequence[str]) -> str:
    """Return a file in Rich Release Format."""
    return "".join("|".join(row) + "|\n" for row in rows)


def _name(code: str, kind: str, text: str, source: str = "RXNORM", suppressed: str = "N") -> list[str]:
    return [code, "ENG", "", "", "", "", "", f"{code}{kind}", "", "", "", source, kind, code, text, "", suppressed, ""]


RXNORM: Written = {
    "rrf/RXNCONSO.RRF": piped(
        _name("161", "IN", "acetaminophen"),
        _name("161", "FN", "Acetaminophen", "MMX"),
        _name("198440", "PSN", "acetaminophen 500 mg tablet"),
        _name("198440", "SCD", "acetaminophen 500 MG Oral Tablet"),
        _name("5", "IN", "forgotten", suppressed="O"),
        _name("7", "FN", "somebody else's", "MMX"),
    ),
    "rrf/RXNREL.RRF": piped(
        ["161", "", "CUI", "RO", "198440", "", "CUI", "has_ingredient", "1", "", "RXNORM", "RXNORM", "", "", "N", ""],
        ["198440", "", "CUI", "RO", "161", "", "CUI", "ingredient_of", "2", "", "RXNORM", "RXNORM", "", "", "N", ""],
    ),
    "rrf/RXNSTY.RRF": piped(["198440", "T200", "A1", "Clinical Drug", "AT1", ""]),
    "rrf/RXNSAT.RRF": piped(
        ["198440", "", "", "", "CUI", "198440", "", "", "RXN_STRENGTH", "RXNORM", "500 MG", "N", ""]
    ),
}

ICD_10_CM: Written = {
    "icd10cm-tabular-April-2026.xml": """<?xml version="1.0" encoding="utf-8"?>
<ICD10CM.tabular><version>2026</version><introduction><note>Not a code</note></introduction>
<chapter><name>19</name><desc>Injury (S00-T88)</desc>
<sectionIndex><sectionRef first="S00" last="S09" id="S00-S09">Injuries to the head</sectionRef></sectionIndex>
<section id="S00-S09"><desc>Injuries to the head (S00-S09)</desc>
<diag><name>S00</name><desc>Superficial injury of head</desc><excludes1><note>injury of eye (S05.-)</note></excludes1>
<sevenChrDef><extension char="A">initial encounter</extension><extension char="D">subsequent encounter</extension></sevenChrDef>
<diag><name>S00.0</name><desc>Superficial injury of scalp</desc>
<diag><name>S00.00</name><desc>Unspecified injury of scalp</desc></diag>
<diag><name>S00.01</name>
<desc>Abrasion of scalp</desc>
<inclusionTerm><note>Graze of
 scalp</note></inclusionTerm></diag>
</diag></diag></section>
</chapter></ICD10CM.tabular>
""",
    "code-list.txt": "19\nS00-S09\nS00\nS000\nS0000\nS0000XA\nS0000XD\nS0001\n",
}

CLAML: Written = {
    "icd10.xml": """<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE ClaML SYSTEM "ClaML.dtd">
<ClaML version="2.0.0"><Meta name="lang" value="en"/><Title name="ICD-10-WHO" date="2018-08-01" version="2019">ICD-10</Title>
<Modifier code="S4"/>
<ModifierClass modifier="S4" code=".0"><SuperClass code="S4"/><Rubric kind="preferred"><Label>With coma</Label></Rubric></ModifierClass>
<ModifierClass modifier="S4" code=".1"><SuperClass code="S4"/><Rubric kind="preferred"><Label>With more</Label></Rubric></ModifierClass>
<Class code="IV" kind="chapter"><SubClass code="E10-E14"/><Rubric kind="preferred"><Label>Endocrine</Label></Rubric></Class>
<Class code="E10-E14" kind="block"><SuperClass code="IV"/><Rubric kind="preferred"><Label>Diabetes mellitus</Label></Rubric></Class>
<Class code="E10" kind="category"><SuperClass code="E10-E14"/>
<ModifiedBy code="S4" all="false"><ValidModifierClass code=".0"/></ModifiedBy>
<Rubric kind="preferred"><Label xml:lang="en">Type 1 <Term class="i">diabetes</Term> mellitus</Label></Rubric>
<Rubric kind="exclusion"><Label>neonatal <Reference>(P70.2)</Reference></Label></Rubric></Class>
</ClaML>
""",
}

_URI = "http://id.who.int/icd/release/11/2024-01/mms"
ICD_11: Written = {
    "mms.txt": "\n".join(
        "\t".join(row)
        for row in [
            ["Foundation URI", "Linearization URI", "Code", "BlockId", "Title", "ClassKind", "DepthInKind", "IsResidual", "ChapterNo"],
            ["", f"{_URI}/1", "", "", "Certain infectious diseases", "chapter", "1", "False", "01"],
            ["", f"{_URI}/2", "", "BlockL1-1A0", "- Gastroenteritis", "block", "1", "False", "01"],
            ["", f"{_URI}/3", "1A00", "", "- - Cholera", "category", "1", "False", "01"],
            ["", f"{_URI}/4", "1A03", "", "- - Intestinal infections", "category", "1", "False", "01"],
            ["", f"{_URI}/5", "1A03.0", "", "- - - Enteropathogenic infection", "category", "2", "True", "01"],
            ["", f"{_URI}/6", "", "", "Neoplasms", "chapter", "1", "False", "02"],
        ]
    )
}  # fmt: skip

ICD_10: Written = {
    "icd102019syst_chapters.txt": "01;Certain infectious diseases\n",
    "icd102019syst_groups.txt": "A00;A09;01;Intestinal infectious diseases\n",
    "icd102019syst_codes.txt": "3;N;X;01;A00;A00.-;A00;A00;Cholera;001;4-002;3-003;2-001;1-002\n"
    "4;T;X;01;A00;A00.0;A00.0;A000;Cholera due to Vibrio;001;4-002;3-003;2-001;1-002\n",
}

CVX: Written = {
    "cvx.txt": "01 |DTP|diphtheria, tetanus|  |Inactive|False|2010/05/28\n"
    "43 |Hep B, adult|hepatitis B vaccine, adult||Active|False|2024/03/15\n"
    "998|no vaccine administered|no vaccine administered||Active|True|2010/05/28\n",
}
