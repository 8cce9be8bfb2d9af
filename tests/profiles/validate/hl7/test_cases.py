"""HL7's validator cases: the same verdict as HL7's own validator, and never an error where it has none.

`FHIR_VALIDATOR_CASES` names another archive of the same form, such as one that holds the rest of the cases; then nothing is
compared with the scoreboard, and what must hold are the two figures.
"""

import json
import logging
import os
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from profiles.definitions.registry import Definitions
from profiles.fhirpath.engine import Engine
from profiles.issue import Issue
from profiles.packages import package as packages
from profiles.packages.library import Library
from profiles.packages.package import Package
from profiles.snapshot.source import Source
from profiles.validate.profile.validator import ProfileValidator
from profiles.validate.questionnaire.validator import QuestionnaireValidator
from profiles.validate.validator import Validator
from terminology.ucum.ucum import Ucum
from tests.profiles.validate.hl7.scope import GROUPS, outside
from tests.profiles.validate.hl7.suite import BadFileError, Case, Suite

ARCHIVE = "testsuites/fhir-test-cases-validator.tar.xz"
OTHER_ARCHIVE = os.environ.get("FHIR_VALIDATOR_CASES", "")
ALWAYS = ("hl7.fhir.uv.extensions.r4", "hl7.terminology.r4")
"""Packages that HL7's validator loads for every case."""
NO_GUIDES = ("org.sql-on-fhir", "hl7.fhir.r4.expansions")
"""One is for R5, the other holds no definitions of its own."""
LEAST_SHARE = 0.9

_LOG = logging.getLogger(__name__)

Board = dict[str, Any]
SCOREBOARD: Board = json.loads((Path(__file__).parent / "scoreboard.json").read_text())


class Verdicts:
    """What is found wrong with the resources of the suite."""

    def __init__(self, suite: Suite, guides: list[Package], definitions: Definitions) -> None:
        self.suite = suite
        self.guides = guides
        self.definitions = definitions
        self.engine = Engine(definitions, units=Ucum.load())
        self.base = Validator(definitions, self.engine)
        self._libraries: dict[frozenset[str], Library] = {}

    def errors(self, case: Case) -> list[str]:
        """Return the errors of a case."""
        try:
            found = self._findings(case)
        except BadFileError:
            return ["The file cannot be read."]
        return [f"{one.expression}: {one.text}" for one in found if one.fails]

    def _findings(self, case: Case) -> list[Issue]:
        resource = self.suite.read(case.row["file"])
        given = self.suite.given(case)
        found = self.base.check(resource, strict=True)
        validator = ProfileValidator(
            Source(self.definitions, self._library(case), given), engine=self.engine, strict=True
        )
        profiles = [self.suite.url(case.profile["source"])] if case.by_profile else []
        found += validator.check(resource, profiles, resolve=self.suite.stored)
        known = {url: one for one in given for url in (one.get("url"), f"{one.get('url')}|{one.get('version')}")}
        return found + QuestionnaireValidator(validator.codes, self.engine).check(resource, known.get)

    def _library(self, case: Case) -> Library:
        if case.packages not in self._libraries:
            wanted = [one for one in self.guides if one.name in ALWAYS or {one.name, one.key} & case.packages]
            own = [one for name in sorted(case.packages) if (one := self.suite.package(name)) is not None]
            self._libraries[case.packages] = Library([*wanted, *own])
        return self._libraries[case.packages]


@pytest.fixture(scope="module")
def suite(test_data: Path, definitions: Definitions) -> Suite:
    return Suite(Path(OTHER_ARCHIVE) if OTHER_ARCHIVE else test_data / ARCHIVE, definitions)


@pytest.fixture(scope="module")
def guides(test_data: Path) -> list[Package]:
    files = [*(test_data / "packages").glob("*.tgz"), *(test_data / "terminology").glob("*.tgz")]
    return [packages.read(file) for file in sorted(files) if not file.name.startswith(NO_GUIDES)]


def test_cases_end_as_hl7s_validator_has_it(suite: Suite, guides: list[Package], definitions: Definitions) -> None:
    verdicts = Verdicts(suite, guides, definitions)
    installed = frozenset(name for guide in guides for name in (guide.name, guide.key))
    left_out: Counter[str] = Counter()
    missed, refused, cases = [], {}, 0
    for case in suite.cases:
        group = outside(case, suite, installed)
        if group:
            left_out[group] += 1
            continue
        cases += 1
        found = verdicts.errors(case)
        if found and not case.errors:
            refused[case.name] = found[:3]
        elif case.errors and not found:
            missed.append(case.name)
    _LOG.info(
        "%d of %d verdicts agree; left out: %s; missed: %s",
        cases - len(missed) - len(refused),
        cases,
        dict(left_out),
        missed,
    )
    assert refused == {}
    assert len(missed) <= (1 - LEAST_SHARE) * cases
    assert set(left_out) <= set(GROUPS)
    if not OTHER_ARCHIVE:
        assert set(missed) == set(SCOREBOARD["missed"])
        assert cases == SCOREBOARD["cases"]
        assert left_out == SCOREBOARD["left_out"]
