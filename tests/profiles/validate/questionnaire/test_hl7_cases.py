"""HL7's validator cases of Questionnaires and their responses: the same verdict, and never an error that it does not have."""

import json
import tarfile
from pathlib import Path
from typing import Any

import pytest

from fhir_server.model.json import decode
from profiles.definitions.registry import Definitions
from profiles.fhirpath.engine import Engine
from profiles.snapshot.source import Source
from profiles.validate.profile.codes import Codes
from profiles.validate.questionnaire.validator import QuestionnaireValidator
from profiles.validate.validator import Validator
from profiles.xml.reader import Reader
from terminology.ucum.ucum import Ucum

Json = dict[str, Any]

FOLDER = "validator/"
MISSED = {
    "nested-questionnaire-nested-valueset": "Unknown extensions are information here, and an error there.",
    "choice-async-qr": "The display of a code in a system that is not at hand (ISO 3166).",
    "open-choice-gender-coding-async-qr": "Displays of codes are for a terminology service.",
    "quantity-qr": "Quantities whose units are the same words are compared; there they are an error without a code.",
}
"""Cases in which HL7's validator finds an error, and none is found here."""


@pytest.fixture(scope="module")
def files(test_data: Path) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    with tarfile.open(test_data / "testsuites/fhir-test-cases-validator.tar.xz") as archive:
        for member in archive:
            content = archive.extractfile(member) if member.isfile() else None
            if content is not None:
                found[member.name.removeprefix(FOLDER)] = content.read()
    return found


def test_cases_of_questionnaires_end_as_hl7s_validator_has_it(
    files: dict[str, bytes], definitions: Definitions
) -> None:
    engine, base, reader = Engine(definitions, units=Ucum.load()), Validator(definitions), Reader(definitions)
    rows = [
        row
        for row in json.loads(files["manifest.json"])["test-cases"]
        if row.get("module") == "questionnaire" and row.get("version", "4.0").startswith("4.0")
    ]
    wrong, missed = {}, []

    def resource(name: str) -> Json:
        value: Json = decode(files[name]) if name.endswith(".json") else reader.read(files[name], ordered=False)
        return value

    for row in rows:
        supporting = [resource(name) for name in row.get("supporting", ())]
        known = {url: one for one in supporting for url in (one.get("url"), f"{one.get('url')}|{one.get('version')}")}
        validator = QuestionnaireValidator(Codes(Source(definitions, resources=supporting)), engine)
        subject = resource(row["file"])
        found = base.check(subject)
        found += validator.check(subject, known.get)
        outcome = json.loads(files[f"outcomes/{row['java']}"])
        expected = any(issue["severity"] in {"error", "fatal"} for issue in outcome.get("issue", ()))
        errors = [one for one in found if one.fails]
        if errors and not expected:
            wrong[row["name"]] = errors
        elif expected and not errors:
            missed.append(row["name"])
    assert wrong == {}
    assert sorted(missed) == sorted(MISSED)
    assert len(rows) >= 49
