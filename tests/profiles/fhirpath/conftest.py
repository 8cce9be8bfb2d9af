"""An engine on the shipped definitions, and the files that the official tests are evaluated on."""

import tarfile
from pathlib import Path
from typing import Any

import pytest

from fhir_server.model.json import decode
from profiles.definitions.registry import Definitions
from profiles.fhirpath.engine import Engine
from terminology.ucum.ucum import Ucum
from tests.profiles.fhirpath import xml

CASES = "testsuites/fhir-test-cases-core.tar.xz"


@pytest.fixture(scope="session")
def engine(definitions: Definitions) -> Engine:
    """An engine with units of measure."""
    return Engine(definitions, units=Ucum())


@pytest.fixture(scope="session")
def inputs(test_data: Path, definitions: Definitions) -> dict[str, dict[str, Any]]:
    """The resources in the folder `r4` of the official test cases, by file name."""
    found: dict[str, dict[str, Any]] = {}
    with tarfile.open(test_data / CASES) as archive:
        for member in archive:
            folder, _, name = member.name.rpartition("/")
            content = archive.extractfile(member) if folder == "r4" and name in FILES else None
            if content is not None:
                text = content.read()
                found[name] = xml.resource(text, definitions) if name.endswith(".xml") else decode(text)
            if len(found) == len(FILES):
                break
    return found


FILES = frozenset(
    {
        "appointment-examplereq.json",
        "codesystem-example.xml",
        "explanationofbenefit-example.json",
        "observation-example.xml",
        "parameters-example-types.xml",
        "patient-container-example.json",
        "patient-example-period.xml",
        "patient-example.xml",
        "patient-name-extensions.json",
        "questionnaire-example.xml",
        "valueset-example-expansion.xml",
    }
)
