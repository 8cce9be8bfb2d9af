"""Definitions and official examples for the tests of search."""

import tarfile
from pathlib import Path
from typing import Any

import pytest

from fhir_server.model.json import decode
from fhir_server.search.index import Indexer
from profiles.definitions.registry import Definitions, load

Resource = dict[str, Any]


@pytest.fixture(scope="session")
def definitions() -> Definitions:
    """The shipped definitions."""
    return load()


@pytest.fixture(scope="session")
def indexer(definitions: Definitions) -> Indexer:
    """An indexer of a server at https://example.org/fhir."""
    return Indexer(definitions, "https://example.org/fhir")


@pytest.fixture(scope="session")
def examples(test_data: Path, definitions: Definitions) -> dict[str, Resource]:
    """The official R4 examples by `Type/id`."""
    found: dict[str, Resource] = {}
    with tarfile.open(test_data / "examples" / "hl7.fhir.r4.examples-4.0.1.instances.tgz") as archive:
        for member in archive:
            file = archive.extractfile(member) if member.name.endswith(".json") else None
            resource = decode(file.read()) if file else {}
            if resource.get("resourceType") in definitions.resource_types:
                found[f"{resource['resourceType']}/{resource['id']}"] = resource
    return found
