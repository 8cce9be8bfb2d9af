"""The definitions, a validator, and the official examples, read once for each test process."""

import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fhir_server.model.json import decode
from profiles.definitions.registry import Definitions, load
from profiles.validate.validator import Validator

EXAMPLES = "examples/hl7.fhir.r4.examples-4.0.1.instances.tgz"
DEFINITIONS = "definitions/hl7.fhir.r4.core-4.0.1.tgz"


@pytest.fixture(scope="session")
def definitions() -> Definitions:
    """The definitions that are shipped."""
    return load()


@pytest.fixture(scope="session")
def validator(definitions: Definitions) -> Validator:
    """A validator on them."""
    return Validator(definitions)


@pytest.fixture(scope="session")
def examples(test_data: Path) -> dict[str, dict[str, Any]]:
    """The official examples by file name."""
    return dict(_resources(test_data / EXAMPLES))


@pytest.fixture
def published(test_data: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """The definitions that HL7 published, as (file name, resource)."""
    return _resources(test_data / DEFINITIONS)


def _resources(package: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield (file name, resource) for each resource in the folder `package` of an npm package."""
    with tarfile.open(package) as archive:
        for member in archive:
            folder, _, name = member.name.rpartition("/")
            content = archive.extractfile(member) if folder == "package" and name.endswith(".json") else None
            value = decode(content.read()) if content else {}
            if "resourceType" in value:
                yield name, value
