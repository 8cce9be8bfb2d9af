"""The CapabilityStatement says what the table, the definitions and the settings say, and is itself a valid resource."""

from datetime import UTC, datetime
from typing import Any

import pytest

from fhir_server.capability.statement import documentation, searchable, statement
from fhir_server.capability.table import TABLE
from fhir_server.search.params import param
from fhir_server.search.types import TYPES
from fhir_server.settings import Record, Search, Server, Settings
from profiles.definitions.registry import Definitions, load
from profiles.validate.validator import Validator

BASE = "http://127.0.0.1:8080/fhir"
STARTED = datetime(2026, 11, 21, 8, 15, 30, tzinfo=UTC)


@pytest.fixture(scope="module")
def definitions() -> Definitions:
    return load()


@pytest.fixture(scope="module")
def stated(definitions: Definitions) -> dict[str, Any]:
    return statement(TABLE, definitions, Settings(), BASE, STARTED)


def of(stated: dict[str, Any], resource_type: str) -> dict[str, Any]:
    found: dict[str, Any] = next(row for row in stated["rest"][0]["resource"] if row["type"] == resource_type)
    return found


def test_it_is_a_valid_resource(stated: dict[str, Any], definitions: Definitions) -> None:
    assert [issue for issue in Validator(definitions).check(stated) if issue.fails] == []


def test_it_describes_this_instance(stated: dict[str, Any]) -> None:
    assert (stated["kind"], stated["status"], stated["fhirVersion"]) == ("instance", "active", "4.0.1")
    assert stated["date"] == "2026-11-21T08:15:30.000Z"
    assert stated["implementation"]["url"] == BASE
    assert stated["format"] == ["application/fhir+json", "application/fhir+xml", "json", "xml"]
    assert stated["patchFormat"] == [
        "application/json-patch+json",
        "application/xml-patch+xml",
        "application/fhir+json",
        "application/fhir+xml",
    ]


def test_every_resource_type_offers_every_interaction_of_the_table(
    stated: dict[str, Any], definitions: Definitions
) -> None:
    rows = stated["rest"][0]["resource"]
    assert [row["type"] for row in rows] == sorted(definitions.resource_types)
    offered = {row.code for row in TABLE if row.level != "system"}
    for row in rows:
        assert {entry["code"] for entry in row["interaction"]} == offered


def test_system_interactions_are_those_of_the_table(stated: dict[str, Any]) -> None:
    offered = {row.code for row in TABLE if row.level == "system"} - {"capabilities"}
    assert {entry["code"] for entry in stated["rest"][0]["interaction"]} == offered


def test_compartments_are_stated_where_they_are_searched(stated: dict[str, Any], definitions: Definitions) -> None:
    names = ("device", "encounter", "patient", "practitioner", "relatedperson")
    assert stated["rest"][0]["compartment"] == [f"http://hl7.org/fhir/CompartmentDefinition/{name}" for name in names]
    rows = tuple(row for row in TABLE if not row.compartment)
    assert "compartment" not in statement(rows, definitions, Settings(), BASE, STARTED)["rest"][0]


def test_conditional_forms_follow_the_table(definitions: Definitions) -> None:
    plain = tuple(row for row in TABLE if not row.conditional)
    for rows, update, delete in ((TABLE, True, "single"), (plain, False, "not-supported")):
        patient = of(statement(rows, definitions, Settings(), BASE, STARTED), "Patient")
        assert patient["conditionalCreate"] is True
        assert patient["conditionalRead"] == "full-support"
        assert patient["conditionalUpdate"] is update
        assert patient["conditionalDelete"] == delete
        assert (patient["versioning"], patient["readHistory"], patient["updateCreate"]) == (
            "versioned-update",
            True,
            True,
        )


def test_reference_policy_follows_the_setting(definitions: Definitions) -> None:
    for policy, stated in (("enforce", ["literal", "logical", "enforced"]), ("off", ["literal", "logical"])):
        settings = Settings(record=Record.model_validate({"references": policy}))
        assert of(statement(TABLE, definitions, settings, BASE, STARTED), "Patient")["referencePolicy"] == stated


def test_cross_origin_support_follows_the_setting(definitions: Definitions) -> None:
    settings = Settings(server=Server(cors_origins=()))
    assert statement(TABLE, definitions, settings, BASE, STARTED)["rest"][0]["security"]["cors"] is False


def test_search_parameters_are_those_that_can_be_searched(stated: dict[str, Any], definitions: Definitions) -> None:
    for row in stated["rest"][0]["resource"]:
        expected = searchable(row["type"], definitions)
        assert [entry["name"] for entry in row["searchParam"]] == [known.code for known in expected]
        assert {entry["type"] for entry in row["searchParam"]} <= set(TYPES)
    birthdate = next(entry for entry in of(stated, "Patient")["searchParam"] if entry["name"] == "birthdate")
    assert birthdate == {
        "name": "birthdate",
        "definition": "http://hl7.org/fhir/SearchParameter/individual-birthdate",
        "type": "date",
        "documentation": "The patient's date of birth",
    }


def test_documentation_of_a_shared_parameter_is_that_of_the_type(definitions: Definitions) -> None:
    code = param("Observation", "code", definitions)
    assert code is not None
    assert documentation(code) == "The code of the observation type"


def test_includes_name_reference_parameters_in_both_directions(stated: dict[str, Any]) -> None:
    assert "Observation:subject" in of(stated, "Observation")["searchInclude"]
    assert "Observation:code" not in of(stated, "Observation")["searchInclude"]
    reverse = of(stated, "Patient")["searchRevInclude"]
    assert "Observation:subject" in reverse
    assert "Observation:encounter" not in reverse
    assert reverse == sorted(set(reverse))


def test_parameters_of_all_types_are_stated_as_they_are_switched(definitions: Definitions) -> None:
    def names(settings: Settings) -> list[str]:
        rows = statement(TABLE, definitions, settings, BASE, STARTED)["rest"][0]["searchParam"]
        assert all(
            row["definition"].startswith("http://hl7.org/fhir/SearchParameter/")
            for row in rows
            if row["name"] == "_filter"
        )
        return [row["name"] for row in rows]

    assert names(Settings()) == ["_filter", "_has", "_list"]
    assert names(Settings(search=Search(text="on"))) == ["_content", "_text", "_filter", "_has", "_list"]
