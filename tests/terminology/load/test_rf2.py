"""SNOMED CT releases: what becomes of their tables, which state counts, and what is refused."""

from decimal import Decimal
from pathlib import Path

import pytest

from terminology.concept import Designation, Property
from terminology.load.files import Files
from terminology.load.release import BrokenRelease, Row
from terminology.load.rf2 import read
from tests.terminology.load import rf2_writer as rf2


def rows(*paths: Path) -> dict[str, Row]:
    with Files(paths) as files:
        return {row.code: row for row in read(files).rows()}


def words(row: Row) -> list[tuple[str, str]]:
    return [(one.value, one.language) for one in row.designations]


def values(row: Row, code: str) -> list[object]:
    return [one.value for one in row.properties if one.code == code]


def test_a_snapshot_becomes_concepts(tmp_path: Path) -> None:
    with Files([rf2.zipped(tmp_path / "release.zip", rf2.folder(tmp_path / "release", rf2.SMALL))]) as files:
        release = read(files)
        found = {row.code: row for row in release.rows()}
        again = list(release.rows())
    assert release.head.canonical == "http://snomed.info/sct|http://snomed.info/sct/900000000000207008/version/20240101"
    assert (release.head.count, release.head.hierarchy) == (5, "is-a")
    assert set(found) == {rf2.ROOT, rf2.DISEASE, rf2.COUGH, rf2.LUNG, rf2.OLD}
    assert again == list(found.values())
    cough = found[rf2.COUGH]
    assert cough.parents == (rf2.DISEASE,)
    assert cough.definition == "A sudden expulsion of air."
    assert values(cough, rf2.SITE) == [rf2.LUNG]
    assert values(cough, "1142135004") == [Decimal("2.50")]
    assert Property("1142136003", "dry", "string") in cough.properties
    assert Property("sufficientlyDefined", True, "boolean") in cough.properties
    assert values(cough, "normalFormTerse") == [
        f'{rf2.DISEASE}:{rf2.SITE}={rf2.LUNG},{{1142135004=#2.50,1142136003="dry"}}'
    ]
    assert values(found[rf2.LUNG], "normalFormTerse") == []
    assert values(cough, "memberOf") == []
    assert values(found[rf2.LUNG], "memberOf") == ["723264001"]
    assert values(found[rf2.LUNG], "effectiveTime") == ["2020-01-31"]
    assert release.head.properties[rf2.SITE].kind == "code"
    assert release.head.properties["1142135004"].kind == "decimal"


def test_dialects_say_which_words_are_preferred_where(tmp_path: Path) -> None:
    found = rows(rf2.folder(tmp_path, rf2.SMALL))
    assert found[rf2.DISEASE].display == "Disease"
    assert words(found[rf2.DISEASE]) == [("Disease", "en"), ("Illness", "en"), ("Disease (disorder)", "en")]
    assert found[rf2.COUGH].display == "Color cough"
    assert words(found[rf2.COUGH])[:2] == [("Color cough", "en-US"), ("Colour cough", "en-GB")]
    assert found[rf2.DISEASE].designations[2] == Designation(
        "Disease (disorder)",
        "en",
        {"system": "http://snomed.info/sct", "code": rf2.FSN, "display": "Fully specified name"},
    )


def test_an_inactive_concept_says_what_it_is_the_same_as(tmp_path: Path) -> None:
    old = rows(rf2.folder(tmp_path, rf2.SMALL))[rf2.OLD]
    assert (old.inactive, old.status, old.display) == (True, "inactive", "Old cough")
    assert values(old, rf2.SAME_AS) == [rf2.COUGH]


def full(path: Path) -> Path:
    tables = {
        **rf2.SMALL,
        "Concept": [*rf2.SMALL["Concept"], rf2.concept(rf2.COUGH, "20230131", "0"), rf2.concept(rf2.PAIN, "20230131")],
        "Description": [
            *rf2.SMALL["Description"],
            rf2.words("1002019", rf2.DISEASE, "Disorder", time="20230131"),
            rf2.words("5001015", rf2.PAIN, "Pain", time="20230131"),
        ],
        "Relationship": [
            *rf2.SMALL["Relationship"],
            rf2.edge("103022", rf2.LUNG, rf2.IS_A, rf2.ROOT, "20230131", "0"),
            rf2.edge("107029", rf2.LUNG, rf2.IS_A, rf2.DISEASE, "20230131"),
        ],
        "cRefset_Language": [
            *rf2.SMALL["cRefset_Language"],
            rf2.member("l20", rf2.US, "1003012", rf2.PREFERRED, time="20230131"),
            rf2.member(f"l3-{rf2.US}", rf2.US, "1002019", rf2.ACCEPTABLE, time="20230131"),
        ],
    }
    return rf2.folder(path, tables, "Full")


def test_of_a_full_release_the_newest_state_counts(tmp_path: Path) -> None:
    found = rows(full(tmp_path))
    assert found[rf2.COUGH].inactive
    assert found[rf2.PAIN].display == "Pain"
    assert found[rf2.LUNG].parents == (rf2.DISEASE,)
    assert found[rf2.DISEASE].display == "Illness"
    assert ("Disorder", "en-GB") in words(found[rf2.DISEASE])


def test_a_full_release_tells_of_earlier_days(tmp_path: Path) -> None:
    with Files([full(tmp_path)]) as files:
        release = read(files, date="20221231")
        found = {row.code: row for row in release.rows()}
    assert release.head.version.endswith("/version/20221231")
    assert not found[rf2.COUGH].inactive
    assert rf2.PAIN not in found
    assert (found[rf2.DISEASE].display, found[rf2.LUNG].parents) == ("Disease", (rf2.ROOT,))


def test_a_delta_is_laid_over_its_base(tmp_path: Path) -> None:
    base = rf2.folder(tmp_path / "base", rf2.SMALL)
    delta = rf2.folder(
        tmp_path / "delta",
        {
            "Concept": [rf2.concept(rf2.PAIN, "20240201")],
            "Description": [
                rf2.words("5001015", rf2.PAIN, "Pain", time="20240201"),
                rf2.words("3001016", rf2.LUNG, "Lung", time="20240201", active="0"),
                rf2.words("3002011", rf2.LUNG, "Lung structure", time="20240201"),
            ],
            "Relationship": [rf2.edge("108028", rf2.PAIN, rf2.IS_A, rf2.DISEASE, "20240201")],
        },
        "Delta",
        date="20240201",
    )
    with Files([base, delta]) as files:
        release = read(files)
        found = {row.code: row for row in release.rows()}
    assert release.head.version.endswith("/version/20240201")
    assert len(found) == len(rf2.SMALL["Concept"]) + 1
    assert found[rf2.PAIN].parents == (rf2.DISEASE,)
    assert words(found[rf2.LUNG]) == [("Lung structure", "en")]
    assert found[rf2.COUGH].display == "Color cough"
    with pytest.raises(BrokenRelease, match="a delta only"):
        rows(delta)


def test_an_extension_makes_an_edition_with_what_it_builds_on(tmp_path: Path) -> None:
    module = "11000001104"
    base = rf2.folder(tmp_path / "base", rf2.SMALL)
    extension = rf2.folder(
        tmp_path / "extension",
        {
            "Concept": [
                rf2.concept(module, module=module), rf2.concept("21000001106", module=module), rf2.concept("31000001109", module=rf2.CORE),
            ],
            "Description": [rf2.words("91000001114", "21000001106", "Hosta", language="sv")],
            "Relationship": [rf2.edge("81000001124", "21000001106", rf2.IS_A, rf2.COUGH)],
            "ssRefset_ModuleDependency": [
                ["m1", "20240301", "1", module, "900000000000534007", rf2.CORE, "20240301", "20240101"],
            ],
        },
        space="SE1000001",
        date="20240301",
    )  # fmt: skip
    with Files([base, extension]) as files:
        release = read(files, language="sv")
        found = {row.code: row for row in release.rows()}
    assert release.head.version == f"http://snomed.info/sct/{module}/version/20240301"
    assert found["21000001106"].display == "Hosta"
    assert found["21000001106"].parents == (rf2.COUGH,)
    assert found[rf2.DISEASE].display == "Disease"


@pytest.mark.parametrize(
    ("table", "row", "reason"),
    [
        ("Concept", ["1", "20240101", "1"], "line 7: The row has 3 columns, and the first line names 5"),
        ("Concept", rf2.concept("x1"), "line 7: 'x1' is no SNOMED CT identifier"),
        ("Concept", rf2.concept("1", "2024"), "line 7: The effective time '2024' is no day"),
        ("Description", rf2.words("1", "2", "3", active="yes"), "line 13: A state is active, 1 or 0"),
        ("Concept", rf2.concept(rf2.LUNG), f"{rf2.LUNG} is there twice"),
        ("RelationshipConcreteValues", ["1", "20240101", "1", "1", "1", "#x", "1", "1", rf2.INFERRED, "1"], "'#x' is no number"),
    ],
)  # fmt: skip
def test_a_broken_row_is_told_with_its_line(tmp_path: Path, table: str, row: list[str], reason: str) -> None:
    with pytest.raises(BrokenRelease, match=reason):
        rows(rf2.folder(tmp_path, {**rf2.SMALL, table: [*rf2.SMALL[table], row]}))


def test_a_release_without_descriptions_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BrokenRelease, match="no table of descriptions"):
        rows(rf2.folder(tmp_path, {"Concept": rf2.SMALL["Concept"]}))
