"""The official cases of FHIRPath Patch (FHIR/fhir-test-cases)."""

import tarfile
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from profiles.definitions.registry import Definitions
from profiles.fhirpath.engine import Engine
from profiles.patch.editing import apply
from profiles.patch.errors import PatchError
from profiles.patch.operations import read
from profiles.xml.reader import Reader

ARCHIVE = "testsuites/fhir-test-cases-core.tar.xz"
CASES = 33


@pytest.fixture(scope="module")
def cases(test_data: Path) -> list[ET.Element]:
    with tarfile.open(test_data / ARCHIVE) as archive:
        file = next(one for one in archive if one.name.endswith("r4/patch/fhir-patch-tests.xml"))
        content = archive.extractfile(file)
        assert content is not None
        return ET.fromstring(content.read()).findall("case")


def resource(node: ET.Element | None, definitions: Definitions) -> Any:
    assert node is not None
    return Reader(definitions).read(ET.tostring(node[0]), ordered=False)


def plain(found: Any) -> Any:
    """Return the resource with its narrative in canonical XML: which characters are escaped is not what the cases are about."""
    if "text" in found:
        found["text"]["div"] = ET.canonicalize(found["text"]["div"])
    return found


def test_every_official_case_gives_what_it_says(cases: list[ET.Element], definitions: Definitions) -> None:
    engine = Engine(definitions)
    assert len(cases) == CASES
    for case in cases:
        before = resource(case.find("input"), definitions)
        asked = resource(case.find("diff"), definitions)
        operations = read(asked, engine, before["resourceType"])
        if case.find("error") is not None:
            with pytest.raises(PatchError, match="leads to no element"):
                apply(operations, before)
            continue
        assert plain(apply(operations, before)) == plain(resource(case.find("output"), definitions)), case.get("name")
