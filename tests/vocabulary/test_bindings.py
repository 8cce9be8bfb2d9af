"""What checks of resources ask of the vocabulary: on $validate, on writes where profiles are enforced, and for displays."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from pydantic import SecretStr

from fhir_server.main import Service, running
from fhir_server.model import json
from fhir_server.model.request import FhirRequest, FhirResponse
from fhir_server.settings import Record, Validation
from tests.conftest import dropped
from tests.guides.packages import Publisher
from tests.serving import own

Json = dict[str, Any]
SYSTEM, SET, LOST = "https://clinic.example/cs", "https://clinic.example/vs", "https://clinic.example/lost"
PROFILE = "https://clinic.example/StructureDefinition/coded"
CONCEPTS = [
    {"code": "a", "display": "Alpha", "concept": [{"code": "b", "display": "Beta"}]},
    {"code": "c", "display": "Gamma"},
]


def profile(name: str, strength: str, value_set: str) -> Json:
    path = "Observation.method"
    rows: list[Json] = [{"id": "Observation", "path": "Observation"}]
    rows.append({"id": path, "path": path, "binding": {"strength": strength, "valueSet": value_set}})
    return {
        "resourceType": "StructureDefinition", "url": f"{PROFILE}-{name}", "name": name.title(), "status": "active",
        "version": "1.0.0", "fhirVersion": "4.0.1", "kind": "resource", "abstract": False, "type": "Observation",
        "baseDefinition": "http://hl7.org/fhir/StructureDefinition/Observation", "derivation": "constraint",
        "differential": {"element": rows},
    }  # fmt: skip


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def service(data_dir: Path, mongo_url: SecretStr) -> AsyncIterator[Service]:
    validation = Validation(types={"Observation": "enforce"}, bindings="extensible")
    settings = own(data_dir, "bindings", validation=validation, record=Record(fill_displays="on"))
    async with running(settings) as service:
        structures = [
            profile("required", "required", SET),
            profile("extensible", "extensible", SET),
            profile("lost", "required", LOST),
        ]
        await service.packages.install(Publisher("bound").package("1.0.0", *structures))
        include = [{"system": SYSTEM, "filter": [{"property": "concept", "op": "is-a", "value": "a"}]}]
        for one in (
            {
                "resourceType": "CodeSystem",
                "id": "cs",
                "url": SYSTEM,
                "status": "active",
                "content": "complete",
                "concept": CONCEPTS,
            },
            {"resourceType": "ValueSet", "id": "vs", "url": SET, "status": "active", "compose": {"include": include}},
        ):
            await service.repository.update(str(one["resourceType"]), str(one["id"]), one)
        yield service
    await dropped(settings.data_dir, settings.mongo.database)


def observation(code: str, name: str = "", system: str = SYSTEM, **coding: Any) -> Json:
    meta = {"meta": {"profile": [f"{PROFILE}-{name}"]}} if name else {}
    method = {"coding": [{"system": system, "code": code, **coding}]}
    return {"resourceType": "Observation", **meta, "status": "final", "code": {"text": "x"}, "method": method}


async def sent(service: Service, *path: str, **resource: Any) -> FhirResponse:
    headers = {"prefer": "return=OperationOutcome"}
    return await service.dispatch(
        FhirRequest("POST", path, "http://localhost/fhir", headers=headers, body=json.encode(resource))
    )


def told(response: FhirResponse) -> list[tuple[str, str]]:
    """Return severity and expression of the findings about codes."""
    rows = json.decode(response.body)["issue"]
    return [
        (row["severity"], row["expression"][0])
        for row in rows
        if row["code"] in {"code-invalid", "not-found", "invalid"}
    ]


METHOD = "Observation.method"


@pytest.mark.parametrize(
    ("resource", "found"),
    [
        (observation("b", "required"), []),
        (observation("b", "required", display="Beta"), []),
        (observation("c", "required"), [("error", METHOD)]),
        (observation("c", "extensible"), [("warning", METHOD)]),
        (observation("c"), []),
        (observation("z"), [("error", f"{METHOD}.coding[0].code")]),
        (observation("b", display="Gamma"), [("warning", f"{METHOD}.coding[0].display")]),
        (observation("b", "lost"), [("warning", METHOD)]),
        (observation("b", system="urn:unknown"), []),
    ],
)
async def test_validate_tells_what_the_vocabulary_knows(
    service: Service, resource: Json, found: list[tuple[str, str]]
) -> None:
    response = await sent(service, "Observation", "$validate", **resource)
    assert response.status == 200, response.body
    assert told(response) == found


@pytest.mark.parametrize(
    ("code", "found"),
    [("AMB", []), ("ACCTRECEIVABLE", [("warning", "Encounter.class")])],
)
async def test_validate_warns_of_extensible_bindings_of_types_by_setting(
    service: Service, code: str, found: list[tuple[str, str]]
) -> None:
    kind = {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": code}
    encounter = {"resourceType": "Encounter", "status": "finished", "class": kind}
    assert told(await sent(service, "Encounter", "$validate", **encounter)) == found


@pytest.mark.parametrize("code", ["a", "b", "c", "z"])
async def test_validate_agrees_with_validate_code(service: Service, code: str) -> None:
    asked = {"url": SET, "system": SYSTEM, "code": code}
    query = tuple(asked.items())
    answer = await service.dispatch(
        FhirRequest("GET", ("ValueSet", "$validate-code"), "http://localhost/fhir", query=query)
    )
    rows = {row["name"]: row for row in json.decode(answer.body)["parameter"]}
    checked = await sent(service, "Observation", "$validate", **observation(code, "required"))
    assert rows["result"]["valueBoolean"] is not any(severity == "error" for severity, _ in told(checked))


async def test_a_write_is_refused_for_a_code_that_is_not_of_a_required_set(service: Service) -> None:
    assert (await sent(service, "Observation", **observation("b", "required"))).status == 201
    refused = await sent(service, "Observation", **observation("c", "required"))
    assert refused.status == 422
    assert told(refused) == [("error", METHOD)]
    warned = await sent(service, "Observation", **observation("c", "extensible"))
    assert (warned.status, told(warned)) == (201, [("warning", METHOD)])
    unknown = await sent(service, "Observation", **observation("b", "lost"))
    assert (unknown.status, told(unknown)) == (201, [("warning", METHOD)])


async def test_displays_are_filled_where_there_is_none(service: Service) -> None:
    given = observation("b")
    given["method"]["coding"] += [
        {"system": SYSTEM, "code": "c", "display": "mine"},
        {"system": SYSTEM, "code": "z"},
        {"system": "urn:unknown", "code": "b"},
        {"code": "b"},
    ]
    quantity = {"value": 1, "system": SYSTEM, "code": "a"}
    inner = {
        "resourceType": "Observation",
        "id": "in",
        "status": "final",
        "code": {"coding": [{"system": SYSTEM, "code": "a"}]},
    }
    label = {"system": SYSTEM, "code": "a"}
    more = {
        "valueQuantity": quantity,
        "contained": [inner],
        "hasMember": [{"reference": "#in"}],
        "meta": {"tag": [label]},
    }
    response = await service.dispatch(
        FhirRequest(
            "PUT",
            ("Observation", "filled"),
            "http://localhost/fhir",
            body=json.encode({**given, **more, "id": "filled"}),
        )
    )
    assert response.status == 201, response.body
    stored = json.decode((await service.repository.read("Observation", "filled")).body)
    assert [one.get("display") for one in stored["method"]["coding"]] == ["Beta", "mine", None, None, None]
    assert stored["contained"][0]["code"]["coding"][0]["display"] == "Alpha"
    assert "display" not in stored["valueQuantity"]
    assert stored["meta"]["tag"] == [label]
    patch = json.encode([{"op": "add", "path": "/category", "value": [{"coding": [{"system": SYSTEM, "code": "c"}]}]}])
    headers = {"content-type": "application/json-patch+json"}
    patched = await service.dispatch(
        FhirRequest("PATCH", ("Observation", "filled"), "http://localhost/fhir", headers=headers, body=patch)
    )
    assert patched.status == 200, patched.body
    stored = json.decode((await service.repository.read("Observation", "filled")).body)
    assert stored["category"][0]["coding"][0]["display"] == "Gamma"
