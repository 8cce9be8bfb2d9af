"""Our snapshots against those that guides were published with: a scoreboard with a reason for each disagreement."""

import json
from pathlib import Path
from typing import Any

import pytest

from profiles.definitions.registry import Definitions
from profiles.packages import package as packages
from profiles.packages.library import Library
from profiles.packages.package import Package
from profiles.snapshot.generate import Snapshots
from profiles.snapshot.source import Source
from tests.profiles.snapshot import cases
from tests.profiles.snapshot.comparison import FACTS, differences

Json = dict[str, Any]

SCOREBOARD = json.loads((Path(__file__).parent / "scoreboard.json").read_text())
CASES = "testsuites/fhir-test-cases-core.tar.xz"
CORE = "definitions/hl7.fhir.r4.core-4.0.1.tgz"
OF_ANOTHER_VERSION = ("type", "binding", "constraint")
"""The cases were made for R4B: where a profile leaves an element alone, these facts are those of another base."""


@pytest.fixture(scope="module")
def guides(test_data: Path) -> list[Package]:
    """The guides for R4 that are there; one is for R5."""
    files = sorted((test_data / "packages").glob("*.tgz"))
    return [packages.read(file) for file in files if not file.name.startswith("org.sql-on-fhir")]


def _profiles(package: Package) -> list[Json]:
    rows = (entry.read() for entry in package.of_type("StructureDefinition") if entry.kind != "logical")
    return [row for row in rows if row.get("derivation") == "constraint"]


def _board(package: Package, snapshots: Snapshots) -> dict[str, list[str]]:
    """The profiles without a snapshot, or with another than was published, and the kinds of difference."""
    found = {}
    for row in _profiles(package):
        made = snapshots.find(f"{row['url']}|{row.get('version', package.version)}")
        assert made is not None
        if made.fails:
            found[row["id"]] = ["none"]
        elif "snapshot" in row:
            differ = differences(made.rows, row["snapshot"]["element"])
            if differ:
                found[row["id"]] = sorted(differ)
    return found


def test_guides_have_the_snapshots_that_they_were_published_with(
    definitions: Definitions, guides: list[Package]
) -> None:
    snapshots = Snapshots(Source(definitions, Library(guides)))
    found = {package.key: _board(package, snapshots) for package in guides}
    expected = {key: {name: row["differs"] for name, row in rows.items()} for key, rows in SCOREBOARD["guides"].items()}
    assert {key: rows for key, rows in found.items() if rows} == expected
    assert sum(len(_profiles(package)) for package in guides) == SCOREBOARD["profiles"]


def test_the_profiles_of_r4_have_the_snapshots_that_they_were_published_with(
    definitions: Definitions, test_data: Path
) -> None:
    package = packages.read(test_data / CORE)
    snapshots = Snapshots(Source(definitions))
    found = {}
    for row in _profiles(package):
        made = snapshots.find(row["url"])
        assert made is not None
        assert made.rows
        differ = differences(made.rows, row["snapshot"]["element"]) if "snapshot" in row else {}
        if differ:
            found[row["id"]] = sorted(differ)
    assert found == {name: row["differs"] for name, row in SCOREBOARD["core"].items()}


def test_cases_of_hl7_end_as_they_say(definitions: Definitions, test_data: Path) -> None:
    everything = cases.read(test_data / CASES, definitions)
    profiles = tuple(case.profile for case in everything)
    found = {case.name: _case(case, definitions, profiles) for case in everything}
    assert len(found) == SCOREBOARD["cases"]
    assert {name: kinds for name, kinds in found.items() if kinds} == {
        name: row["differs"] for name, row in SCOREBOARD["disagreements"].items()
    }


def _case(case: cases.Case, definitions: Definitions, profiles: tuple[Json, ...]) -> list[str]:
    made = Snapshots(Source(definitions, resources=(*case.others, *profiles))).make(case.profile)
    if case.refused:
        return [] if any(issue.fails for issue in made.issues) else ["not refused"]
    if made.fails:
        return ["none"]
    if any(issue.fails for issue in made.issues):
        return ["refused"]
    expected = (case.expected or {}).get("snapshot", {}).get("element", [])
    rows = [{"id": row["path"], **row} for row in expected]
    differ = differences(made.rows, rows) if rows else {}
    said = {row.get("id", row["path"]) for row in case.profile.get("differential", {}).get("element", ())}
    ours = {row["id"]: row for row in made.rows}
    for kind in OF_ANOTHER_VERSION:
        left = [key for key in differ.get(kind, ()) if key in said or not _as_in_r4(ours.get(key), kind, definitions)]
        differ = {name: keys for name, keys in {**differ, kind: left}.items() if keys}
    return sorted(differ)


def _as_in_r4(row: Json | None, kind: str, definitions: Definitions) -> bool:
    if row is None:
        return False
    path = row.get("base", {}).get("path", row["path"])
    structure = definitions.structure(f"http://hl7.org/fhir/StructureDefinition/{path.partition('.')[0]}")
    rows: list[Json] = structure["snapshot"]["element"] if structure else []
    return any(FACTS[kind](one) == FACTS[kind](row) for one in rows if one["path"] == path)
