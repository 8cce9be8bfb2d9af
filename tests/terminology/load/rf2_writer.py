"""Small releases of SNOMED CT's format with invented content, as tests need them."""

import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path

HEADERS = {
    "Concept": "id effectiveTime active moduleId definitionStatusId",
    "Description": "id effectiveTime active moduleId conceptId languageCode typeId term caseSignificanceId",
    "TextDefinition": "id effectiveTime active moduleId conceptId languageCode typeId term caseSignificanceId",
    "Relationship": "id effectiveTime active moduleId sourceId destinationId relationshipGroup typeId characteristicTypeId modifierId",
    "RelationshipConcreteValues": "id effectiveTime active moduleId sourceId value relationshipGroup typeId characteristicTypeId "
    "modifierId",
    "cRefset_Language": "id effectiveTime active moduleId refsetId referencedComponentId acceptabilityId",
    "Refset_Simple": "id effectiveTime active moduleId refsetId referencedComponentId",
    "cRefset_Association": "id effectiveTime active moduleId refsetId referencedComponentId targetComponentId",
    "ssRefset_ModuleDependency": "id effectiveTime active moduleId refsetId referencedComponentId sourceEffectiveTime "
    "targetEffectiveTime",
}
CORE, MODEL = "900000000000207008", "900000000000012004"
PRIMITIVE, DEFINED = "900000000000074008", "900000000000073002"
INFERRED, STATED = "900000000000011006", "900000000000010007"
FSN, SYNONYM = "900000000000003001", "900000000000013009"
US, GB = "900000000000509007", "900000000000508004"
PREFERRED, ACCEPTABLE = "900000000000548007", "900000000000549004"
ROOT, IS_A, SITE, SAME_AS = "138875005", "116680003", "363698007", "900000000000527005"

Tables = Mapping[str, Sequence[Sequence[str]]]


def name(table: str, kind: str, space: str, date: str) -> str:
    """Return how a file of a table is called."""
    prefix = "der2" if "Refset" in table else "sct2"
    underscore = "" if "Refset" in table else "_"
    tail = "-en" if table in {"Description", "TextDefinition", "cRefset_Language"} else ""
    return f"{prefix}_{table}{underscore}{kind}{tail}_{space}_{date}.txt"


def text(table: str, rows: Sequence[Sequence[str]]) -> str:
    """Return the content of a file."""
    return "".join("\t".join(row) + "\r\n" for row in [HEADERS[table].split(), *rows])


def folder(path: Path, tables: Tables, kind: str = "Snapshot", space: str = "INT", date: str = "20240101") -> Path:
    """Write a release as a folder; return it."""
    for table, rows in tables.items():
        place = path / kind / ("Refset" if "Refset" in table else "Terminology")
        place.mkdir(parents=True, exist_ok=True)
        (place / name(table, kind, space, date)).write_text(text(table, rows), newline="")
    return path


def zipped(path: Path, source: Path) -> Path:
    """Write a folder as a zip file; return it."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for place in sorted(source.rglob("*.txt")):
            archive.write(place, f"SnomedCT/{place.relative_to(source).as_posix()}")
    return path


def concept(
    code: str, time: str = "20200131", active: str = "1", module: str = CORE, status: str = PRIMITIVE
) -> list[str]:
    """Return a row of the table of concepts."""
    return [code, time, active, module, status]


def words(
    code: str, of: str, term: str, kind: str = SYNONYM, time: str = "20200131", active: str = "1", language: str = "en"
) -> list[str]:
    """Return a row of the table of descriptions."""
    return [code, time, active, CORE, of, language, kind, term, "900000000000448009"]


def edge(
    code: str, source: str, kind: str, target: str, time: str = "20200131", active: str = "1", nature: str = INFERRED
) -> list[str]:
    """Return a row of the table of relationships."""
    return [code, time, active, CORE, source, target, "0", kind, nature, "900000000000451002"]


def member(code: str, refset: str, component: str, *more: str, time: str = "20200131", active: str = "1") -> list[str]:
    """Return a row of a reference set."""
    return [code, time, active, CORE, refset, component, *more]


LUNG, DISEASE, COUGH, OLD, PAIN = "39607008", "64572001", "49727002", "1000004", "22253000"

SMALL: Tables = {
    "Concept": [
        concept(ROOT), concept(DISEASE), concept(COUGH, status=DEFINED), concept(LUNG), concept(OLD, "20230731", "0"),
    ],
    "Description": [
        words("680946014", ROOT, "SNOMED CT Concept (SNOMED RT+CTV3)", FSN),
        words("680947017", ROOT, "SNOMED CT Concept"),
        words("1001014", DISEASE, "Disease (disorder)", FSN),
        words("1002019", DISEASE, "Disease"),
        words("1003012", DISEASE, "Illness"),
        words("1004018", DISEASE, "Malady", active="0"),
        words("2001010", COUGH, "Colour cough", time="20210131"),
        words("2002015", COUGH, "Color cough"),
        words("2003013", COUGH, "Cough (finding)", FSN),
        words("3001016", LUNG, "Lung"),
        words("4001011", OLD, "Old cough"),
    ],
    "TextDefinition": [words("9001013", COUGH, "A sudden expulsion of air.", "900000000000550004")],
    "Relationship": [
        edge("101024", DISEASE, IS_A, ROOT),
        edge("102028", COUGH, IS_A, DISEASE),
        edge("103022", LUNG, IS_A, ROOT),
        edge("104029", COUGH, SITE, LUNG),
        edge("105027", COUGH, IS_A, LUNG, active="0"),
        edge("106026", LUNG, IS_A, DISEASE, nature=STATED),
    ],
    "RelationshipConcreteValues": [
        ["201021", "20210731", "1", CORE, COUGH, "#2.50", "1", "1142135004", INFERRED, "900000000000451002"],
        ["202025", "20210731", "1", CORE, COUGH, '"dry"', "1", "1142136003", INFERRED, "900000000000451002"],
    ],
    "cRefset_Language": [
        *(
            member(f"l{number}-{refset}", refset, code, PREFERRED)
            for number, code in enumerate(["680946014", "680947017", "1001014", "1002019", "2003013", "3001016"])
            for refset in (US, GB)
        ),
        member("l20", US, "1003012", ACCEPTABLE),
        member("l21", GB, "1003012", ACCEPTABLE),
        member("l22", GB, "2001010", PREFERRED),
        member("l23", US, "2002015", PREFERRED),
    ],
    "Refset_Simple": [member("r1", "723264001", LUNG), member("r2", "723264001", COUGH, active="0")],
    "cRefset_Association": [member("a1", SAME_AS, OLD, COUGH)],
}  # fmt: skip
