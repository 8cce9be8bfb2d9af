"""The TerminologyCapabilities say which code systems are at hand, and what $expand takes."""

from typing import Any

import httpx
import pytest

from fhir_server.operations.expand import DEFINITION, REFUSED
from fhir_server.vocabulary.capabilities import AT_HAND, EXPANSION, capabilities
from profiles.definitions.registry import load
from profiles.validate.validator import Validator
from terminology.concept import Head

Json = dict[str, Any]

NAMING = {"url", "valueSet", "valueSetVersion", "uuid", "cache-id", "profile-url", "_limit"}
"""Parameters that name the value set, or that change nothing."""


async def test_code_systems_are_told_with_their_versions_the_newest_first(client: httpx.AsyncClient) -> None:
    for version in ("1.9", "1.10"):
        resource = {
            "resourceType": "CodeSystem",
            "id": f"told-{version}",
            "url": "https://example.org/told",
            "version": version,
            "status": "active",
            "content": "complete",
            "concept": [{"code": "a"}],
        }
        assert (await client.put(f"CodeSystem/told-{version}", json=resource)).status_code == 201
    response = await client.get("metadata", params={"mode": "terminology"})
    assert response.status_code == 200
    told: Json = response.json()
    assert [issue for issue in Validator(load()).check(told) if issue.fails] == []
    systems = {row["uri"]: row for row in told["codeSystem"]}
    assert [(row["code"], row["isDefault"]) for row in systems["https://example.org/told"]["version"]] == [
        ("1.10", True),
        ("1.9", False),
    ]
    assert systems["http://hl7.org/fhir/administrative-gender"]["version"][0]["code"] == "4.0.1"
    assert at_hand(systems["https://example.org/told"]) == {"concepts": 1, "source": "stored"}
    gender = {"title": "AdministrativeGender", "concepts": 4, "source": "fhir"}
    assert at_hand(systems["http://hl7.org/fhir/administrative-gender"]) == gender
    assert at_hand(systems["http://unitsofmeasure.org"])["source"] == "known"


def at_hand(system: Json) -> Json:
    """Return what is said of the first version beside R4's elements."""
    (extension,) = system["version"][0]["extension"]
    assert extension["url"] == AT_HAND
    return {row["url"]: value for row in extension["extension"] for key, value in row.items() if key != "url"}


def test_all_parameters_of_expansions_are_told() -> None:
    taken = {row.name for row in DEFINITION.parameters if row.use == "in"}
    assert set(EXPANSION) == taken - NAMING - set(REFUSED)


@pytest.mark.parametrize(("hierarchy", "subsumption"), [("is-a", True), ("part-of", False), ("", False)])
def test_a_hierarchy_subsumes_if_it_means_that(hierarchy: str, subsumption: bool) -> None:
    told = dict.fromkeys(
        ("version", "status", "experimental", "date", "publisher", "kind", "software", "implementation"), "x"
    )
    found = capabilities(told, "http://x", [Head("urn:a", hierarchy=hierarchy, compositional=True, language="de")])
    stored = {"extension": [{"url": AT_HAND, "extension": [{"url": "source", "valueCode": "stored"}]}]}
    assert found["codeSystem"] == [
        {
            "uri": "urn:a",
            "version": [{**stored, "isDefault": True, "compositional": True, "language": ["de"]}],
            "subsumption": subsumption,
        }
    ]
