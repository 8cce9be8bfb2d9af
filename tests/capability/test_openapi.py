"""The OpenAPI document has one operation for each row of the table, and every part of it resolves."""

from collections.abc import Iterator
from typing import Any

import pytest
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]  # it has no stubs

from fhir_server.capability.openapi import FORMS, SAME_DOOR, openapi
from fhir_server.capability.table import TABLE
from fhir_server.settings import Search, Settings
from profiles.definitions.registry import Definitions, load

METHODS = ("get", "post", "put", "patch", "delete")


@pytest.fixture(scope="module")
def definitions() -> Definitions:
    return load()


@pytest.fixture(scope="module")
def document(definitions: Definitions) -> dict[str, Any]:
    return openapi(TABLE, definitions, Settings(), "http://127.0.0.1:8080/fhir")


def operations(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, item in document["paths"].items():
        for method in METHODS:
            if method in item:
                yield path, method, item[method]


def references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        if isinstance(value.get("$ref"), str):
            yield value["$ref"]
        for member in value.values():
            yield from references(member)
    elif isinstance(value, list):
        for member in value:
            yield from references(member)


def test_every_row_has_an_operation_and_every_operation_a_row(document: dict[str, Any]) -> None:
    found = {(method.upper(), path) for path, method, _ in operations(document)}
    assert found == {(row.method, "/".join(("/fhir", *row.shape))) for row in TABLE}
    assert set(FORMS) | set(SAME_DOOR) == {row.code for row in TABLE}


def test_operation_ids_are_unique(document: dict[str, Any]) -> None:
    names = [operation["operationId"] for _, _, operation in operations(document)]
    assert len(names) == len(set(names))


def test_every_reference_resolves(document: dict[str, Any]) -> None:
    for reference in set(references(document)):
        target: Any = document
        for part in reference.removeprefix("#/").split("/"):
            target = target[part]


def test_every_component_is_used(document: dict[str, Any]) -> None:
    used = set(references(document))
    for kind, members in document["components"].items():
        for name in members:
            assert f"#/components/{kind}/{name}" in used


def test_path_variables_are_declared(document: dict[str, Any], definitions: Definitions) -> None:
    for path, item in document["paths"].items():
        declared = [row["$ref"].rpartition("/")[2] for row in item.get("parameters", ())]
        assert [f"{{{name}}}" for name in declared] == [part for part in path.split("/") if part.startswith("{")]
    assert document["components"]["parameters"]["type"]["schema"] == {"enum": sorted(definitions.resource_types)}


def test_schemas_are_valid_json_schema(document: dict[str, Any]) -> None:
    for schema in document["components"]["schemas"].values():
        Draft202012Validator.check_schema(schema)
    for parameter in document["components"]["parameters"].values():
        Draft202012Validator.check_schema(parameter["schema"])


def test_every_refusal_is_an_operation_outcome(document: dict[str, Any]) -> None:
    schema = {"$ref": "#/components/schemas/OperationOutcome"}
    outcome = {"application/fhir+json": {"schema": schema}, "application/fhir+xml": {}}
    for _, _, operation in operations(document):
        statuses = {int(status) for status in operation["responses"]}
        assert {400, 401, 403, 404, 405, 406, 503} <= statuses
        for status in statuses:
            if status >= 400:
                assert operation["responses"][str(status)] == {"$ref": f"#/components/responses/{status}"}
                assert document["components"]["responses"][str(status)]["content"] == outcome
    assert "500" not in document["components"]["responses"]


@pytest.mark.parametrize(
    ("method", "path", "statuses"),
    [
        ("get", "/fhir/{type}/{id}", {"200", "304", "410"}),
        ("post", "/fhir/{type}", {"200", "201", "409", "412", "413", "415", "422"}),
        ("put", "/fhir/{type}/{id}", {"200", "201", "409", "412", "413", "415", "422"}),
        ("patch", "/fhir/{type}", {"200", "412", "415", "422"}),
        ("delete", "/fhir/{type}/{id}", {"200", "204", "409", "412"}),
        ("post", "/fhir/{type}/_search", {"200", "413", "415"}),
    ],
)
def test_specific_statuses_are_stated(document: dict[str, Any], method: str, path: str, statuses: set[str]) -> None:
    assert statuses <= set(document["paths"][path][method]["responses"])


def test_a_condition_must_be_given_and_criteria_may(document: dict[str, Any]) -> None:
    named = document["components"]["parameters"]
    assert (named["condition"]["required"], named["condition"]["schema"]["minProperties"]) == (True, 1)
    assert named["criteria"]["required"] is False
    rows = document["paths"]["/fhir/{type}"]
    assert {"$ref": "#/components/parameters/condition"} in rows["put"]["parameters"]
    assert {"$ref": "#/components/parameters/criteria"} in rows["get"]["parameters"]


def test_paths_and_servers_follow_the_base(definitions: Definitions) -> None:
    at_root = openapi(TABLE, definitions, Settings(search=Search(max_count=7)), "https://record.example")
    assert at_root["servers"] == [{"url": "https://record.example"}]
    assert "/" in at_root["paths"]
    assert "/metadata" in at_root["paths"]
    assert "more than 7 " in at_root["components"]["parameters"]["_count"]["description"]
    relative = openapi(TABLE, definitions, Settings(), "/fhir")
    assert relative["servers"] == [{"url": "/"}]
    assert "/fhir/metadata" in relative["paths"]
