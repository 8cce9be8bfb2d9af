"""HL7's validator cases with profiles: the same verdict as HL7's own validator, and never an error that it does not have."""

import json
import tarfile
from pathlib import Path
from typing import Any

import pytest

from fhir_server.model.json import decode
from profiles.definitions.registry import Definitions
from profiles.fhirpath.engine import Engine
from profiles.packages import package as packages
from profiles.packages.library import Library
from profiles.packages.package import Package
from profiles.snapshot.source import Source
from profiles.validate.profile.validator import ProfileValidator
from profiles.validate.validator import Validator
from profiles.xml.reader import Reader
from terminology.ucum.ucum import Ucum

Json = dict[str, Any]

ARCHIVE = "testsuites/fhir-test-cases-validator.tar.xz"
FOLDER = "validator/"
SCOREBOARD = json.loads((Path(__file__).parent / "scoreboard.json").read_text())


class Suite:
    """The files of the suite, and the cases that validate against a profile."""

    def __init__(self, archive: Path, definitions: Definitions) -> None:
        self._reader = Reader(definitions)
        self.files: dict[str, bytes] = {}
        with tarfile.open(archive) as file:
            for member in file:
                content = file.extractfile(member) if member.isfile() else None
                if content is not None:
                    self.files[member.name.removeprefix(FOLDER)] = content.read()
        rows = json.loads(self.files["manifest.json"])["test-cases"]
        self.cases = [row for row in rows if self._in_scope(row)]

    def _in_scope(self, row: Json) -> bool:
        """For R4, JSON or XML, against a profile that the suite holds, and with an outcome to compare with."""
        profile = row.get("profile", {})
        names = [row["file"], *([profile["source"]] if profile else row.get("profiles", []))]
        outcome = f"outcomes/{(profile or row).get('java', '')}"
        return (
            row.get("version", "").startswith("4.0")
            and not row.get("logical")
            and len(names) > 1
            and outcome in self.files
            and all(name.endswith((".json", ".xml")) and name in self.files for name in names)
        )

    def resource(self, name: str) -> Json:
        data = self.files[name]
        if name.endswith(".xml"):
            return self._reader.read(data, ordered=False)
        value: Json = decode(data)
        return value

    def stored(self, reference: str) -> Json | None:
        """The resource that a reference means: the suite's files are named by id."""
        name = reference.rpartition("/")[2]
        found = next((f"{name}{end}" for end in (".json", ".xml") if f"{name}{end}" in self.files), "")
        return self.resource(found) if found else None

    def fails(self, row: Json) -> bool:
        """Whether HL7's validator finds an error."""
        outcome = json.loads(self.files[f"outcomes/{(row.get('profile') or row)['java']}"])
        return any(issue["severity"] in {"error", "fatal"} for issue in outcome.get("issue", ()))

    def given(self, row: Json) -> list[Json]:
        """The definitions that a case comes with, the profile to validate against first."""
        profile = row.get("profile", {})
        names = [profile["source"]] if profile else []
        names += row.get("supporting", []) + row.get("profiles", []) + profile.get("supporting", [])
        return [self.resource(name) for name in names if name.endswith((".json", ".xml"))]


@pytest.fixture(scope="module")
def suite(test_data: Path, definitions: Definitions) -> Suite:
    return Suite(test_data / ARCHIVE, definitions)


@pytest.fixture(scope="module")
def guides(test_data: Path) -> list[Package]:
    files = (test_data / "packages").glob("*.tgz")
    return [packages.read(file) for file in sorted(files) if "us.core" in file.name or "uv.ips" in file.name]


def test_cases_with_profiles_end_as_hl7s_validator_has_it(
    suite: Suite, guides: list[Package], definitions: Definitions
) -> None:
    base, engine = Validator(definitions), Engine(definitions, units=Ucum())
    missed, wrong = [], []
    for row in suite.cases:
        resource, given = suite.resource(row["file"]), suite.given(row)
        wanted = {*row.get("packages", ()), *row.get("profile", {}).get("packages", ())}
        library = Library(guide for guide in guides if guide.key in wanted)
        validator = ProfileValidator(Source(definitions, library, given), engine=engine)
        profiles = [given[0]["url"]] if "profile" in row else []
        found = base.check(resource, strict=True) + validator.check(resource, profiles, resolve=suite.stored)
        fails = any(issue.fails for issue in found)
        if fails and not suite.fails(row):
            wrong.append(row["name"])
        elif suite.fails(row) and not fails:
            missed.append(row["name"])
    assert wrong == []
    assert missed == list(SCOREBOARD["missed"])
    assert len(suite.cases) == SCOREBOARD["cases"]
