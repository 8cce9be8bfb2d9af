"""Which types' entries a search rests on."""

import pytest

from fhir_server.search.parse import parse
from fhir_server.search.reliance import relied_on
from fhir_server.settings import Search
from profiles.definitions.registry import Definitions


def relied(
    resource_type: str, query: str, definitions: Definitions, restricted: frozenset[str] = frozenset()
) -> list[str]:
    pairs = tuple((name, value) for name, _, value in (part.partition("=") for part in query.split("&") if part))
    request = parse(resource_type, pairs, definitions, Search(), strict=True)
    return sorted(relied_on([request], definitions, restricted.__contains__))


@pytest.mark.parametrize(
    ("resource_type", "query", "types"),
    [
        ("Patient", "", []),
        ("Patient", "_id=1&_lastUpdated=ge2020&_sort=-_lastUpdated", []),
        ("Patient", "_id:missing=true", []),
        ("Patient", "family=x", ["Patient"]),
        ("Patient", "family:missing=true", ["Patient"]),
        ("Patient", "gender:not=male", ["Patient"]),
        ("Patient", "_filter=family eq x or _id eq 1", ["Patient"]),
        ("Patient", "_sort=family", ["Patient"]),
        ("Observation", "subject:Patient.family=x", ["Observation", "Patient"]),
        ("Observation", "subject:Patient._id=x", ["Observation"]),
        ("Patient", "_has:Observation:subject:encounter.location.name=x", ["Encounter", "Location", "Observation"]),
        ("Patient", "_list=1", ["List"]),
        ("Patient", "_include=Patient:organization", ["Patient"]),
        ("Patient", "_revinclude=Observation:subject", ["Observation"]),
        ("Encounter", "location:below=Location/1", ["Encounter", "Location"]),
        ("Condition", "code:in=http://hl7.org/fhir/ValueSet/condition-code", ["Condition"]),
    ],
)
def test_a_search_rests_on_the_entries_of_what_it_asks_by_more_than_ids(
    resource_type: str, query: str, types: list[str], definitions: Definitions
) -> None:
    assert relied(resource_type, query, definitions) == types


def test_a_restricted_caller_rests_on_what_the_restriction_reads(definitions: Definitions) -> None:
    restricted = frozenset({"Patient", "Observation", "Organization"})
    assert relied("Patient", "_id=1", definitions, restricted) == ["Patient"]
    assert relied("Patient", "", definitions, restricted) == ["Patient"]
    assert relied("Observation", "subject:Patient._id=x", definitions, frozenset({"Patient"})) == [
        "Observation",
        "Patient",
    ]
    assert relied("Patient", "_include=Patient:organization", definitions, restricted) == ["Organization", "Patient"]
    assert relied("Observation", "_include=Observation:subject:Group", definitions, frozenset({"Patient"})) == [
        "Observation"
    ]


def test_what_is_contained_rests_on_whatever_may_contain_it(definitions: Definitions) -> None:
    assert relied("Organization", "_contained=true&name=x", definitions) == sorted(definitions.resource_types)
