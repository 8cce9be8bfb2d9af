"""What `_include` and `_revinclude` ask for."""

from typing import Any

import pytest

from fhir_server.search.compile import compile as compiled
from fhir_server.search.expression import Criterion, Nothing, Or
from fhir_server.search.include import Include, sources, targets
from fhir_server.search.index import Indexer
from profiles.definitions.registry import Definitions
from tests.search.shelf import Shelf


@pytest.fixture
def observation(indexer: Indexer) -> dict[str, Any]:
    return indexer.entries(
        {
            "resourceType": "Observation",
            "id": "o",
            "subject": {"reference": "Patient/1"},
            "encounter": {"reference": "Encounter/2/_history/7"},
            "performer": [
                {"reference": "Practitioner/3"},
                {"reference": "https://example.org/fhir/Organization/4"},
                {"reference": "https://other.org/fhir/Practitioner/5"},
                {"reference": "#contained"},
                {"reference": "urn:uuid:6"},
                {"identifier": {"value": "7"}},
                {"reference": "Practitioner/3"},
            ],
        }
    )


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ([Include("Observation", "subject")], ["Patient/1"]),
        ([Include("Observation", "patient")], ["Patient/1"]),
        ([Include("Observation", "subject", "Group")], []),
        ([Include("Observation", "encounter")], ["Encounter/2"]),
        ([Include("Observation", "performer")], ["Practitioner/3", "Organization/4"]),
        ([Include("Observation", "performer", "Organization")], ["Organization/4"]),
        ([Include("Observation", "device")], []),
        ([Include("Patient", "organization", iterate=True)], []),
        ([Include("Observation", "*", "Practitioner")], ["Practitioner/3"]),
        ([Include("Observation", "encounter"), Include("Observation", "patient")], ["Encounter/2", "Patient/1"]),
    ],
)
def test_the_references_that_are_followed(
    definitions: Definitions, observation: dict[str, Any], asked: list[Include], expected: list[str]
) -> None:
    assert targets(asked, "Observation", observation, definitions) == expected


def test_a_wildcard_follows_every_reference_parameter(definitions: Definitions, observation: dict[str, Any]) -> None:
    found = targets([Include("Observation", "*")], "Observation", observation, definitions)
    assert sorted(found) == ["Encounter/2", "Organization/4", "Patient/1", "Practitioner/3"]


def test_what_points_to_the_page(definitions: Definitions) -> None:
    found = sources(Include("Provenance", "target"), "Patient", ["1", "2"], definitions)
    assert isinstance(found, Criterion)
    assert compiled(found, "Provenance", definitions).clause["rf"] == {"$in": ["Patient/1", "Patient/2"]}
    assert sources(Include("Provenance", "target", "Observation"), "Patient", ["1"], definitions) == Nothing()
    assert sources(Include("Provenance", "target"), "Patient", [], definitions) == Nothing()
    assert isinstance(sources(Include("Observation", "*"), "Patient", ["1"], definitions), Or)


async def test_what_points_to_a_patient_is_found_by_the_patient_index(shelf: Shelf) -> None:
    rows = [
        {"resourceType": "Observation", "id": f"o{number}", "subject": {"reference": f"Patient/{number % 3}"}}
        for number in range(9)
    ]
    await shelf.put(*rows)
    expression = sources(Include("Observation", "subject"), "Patient", ["0", "1"], shelf.definitions)
    where = compiled(expression, "Observation", shelf.definitions)
    found = [row["_id"] async for row in shelf.database["Observation"].find(dict(where.clause))]
    assert sorted(found) == ["o0", "o1", "o3", "o4", "o6", "o7"]
