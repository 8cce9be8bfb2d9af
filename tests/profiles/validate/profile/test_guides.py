"""The examples of guides conform to the profiles of their guide, as their publishers say.

Some of each guide by default, spread by the hash of their names; with `FHIR_ALL_EXAMPLES` in the environment all.
"""

import os
from pathlib import Path
from zlib import crc32

import pytest

from profiles.definitions.registry import Definitions
from profiles.fhirpath.engine import Engine
from profiles.packages import package as packages
from profiles.packages.library import Library
from profiles.packages.package import Package
from profiles.snapshot.source import Source
from profiles.validate.profile.validator import ProfileValidator

DEFINITIONS = frozenset({
    "StructureDefinition", "ValueSet", "CodeSystem", "ImplementationGuide", "SearchParameter", "CapabilityStatement",
    "OperationDefinition",
})  # fmt: skip

ALL = "FHIR_ALL_EXAMPLES" in os.environ
EVERY = 8

FAILING: dict[tuple[str, str], str] = {}


@pytest.fixture(scope="module")
def guides(test_data: Path) -> list[Package]:
    files = sorted((test_data / "packages").glob("*.tgz"))
    return [packages.read(file, examples=True) for file in files if not file.name.startswith("org.sql-on-fhir")]


def test_examples_of_guides_conform_as_their_publishers_say(definitions: Definitions, guides: list[Package]) -> None:
    engine = Engine(definitions)
    found, count = {}, 0
    for guide in guides:
        installed = Library(other for other in guides if other is guide or other.name != guide.name)
        carin = "hl7.fhir.us.core" in guide.dependencies
        library = (
            Library(other for other in guides if "us.core" not in other.name or "3.1.1" in other.key)
            if carin
            else installed
        )
        validator = ProfileValidator(Source(definitions, library), engine=engine)
        for entry in guide.instances:
            name = guide.key, entry.file.rpartition("/")[2]
            taken = ALL or name in FAILING or crc32(entry.file.encode()) % EVERY == 0
            if entry.resource_type in DEFINITIONS or not taken:
                continue
            count += 1
            failing = [one.message_id for one in validator.check(entry.read()) if one.fails]
            if failing:
                found[name] = ", ".join(failing)
    assert found == FAILING
    assert count > (900 if ALL else 900 / EVERY / 2)
