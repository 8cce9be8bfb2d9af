"""What becomes of writes that do not conform to profiles: by type, by facility, and in every interaction that writes."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio
from pydantic import SecretStr

from fhir_server.main import Service, running
from fhir_server.model import json
from fhir_server.model.request import FhirRequest, FhirResponse
from fhir_server.settings import Profiled, Settings, Validation
from tests.serving import alone, own

Json = dict[str, Any]

CORE = "http://hl7.org/fhir/StructureDefinition"
PRESSURE, WEIGHT, ACTUAL = f"{CORE}/bp", f"{CORE}/bodyweight", f"{CORE}/actualgroup"
UNKNOWN = "https://clinic.example/StructureDefinition/nowhere"
BASE = "http://localhost/fhir"
OUTCOME = {"Prefer": "return=OperationOutcome"}
RULES = Validation(
    profiles="warn",
    types={"Observation": "enforce", "DiagnosticReport": "ignore"},
    required={"Group": (ACTUAL,)},
    facilities={
        "strict": Profiled(profiles="enforce"),
        "ward": Profiled(types={"Group": "ignore"}, required={"Observation": (WEIGHT,)}),
        "lenient": Profiled(profiles="ignore", types={"Group": "warn"}, required={"Group": ()}),
    },
)


@pytest.fixture(scope="module")
def own_settings(data_dir: Path, mongo_url: SecretStr) -> Settings:
    return own(data_dir, "conformance", validation=RULES)


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def client(own_settings: Settings) -> AsyncIterator[httpx.AsyncClient]:
    async with alone(own_settings) as client:
        yield client


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def service(client: httpx.AsyncClient, own_settings: Settings) -> AsyncIterator[Service]:
    """Another process of the same record, which may say for which facility it writes."""
    for name, above in (("strict", ""), ("ward", "strict"), ("room", "ward"), ("lenient", "strict")):
        parent = {"partOf": {"reference": f"Organization/{above}"}} if above else {}
        body = {"resourceType": "Organization", "id": name, "name": name, **parent}
        assert (await client.put(f"Organization/{name}", json=body)).status_code == 201
    async with running(own_settings) as service:
        yield service


def observation(*profiles: str, **more: Any) -> Json:
    meta = {"meta": {"profile": [*profiles]}} if profiles else {}
    return {"resourceType": "Observation", **meta, "status": "final", "code": {"text": "x"}, **more}


def group(*profiles: str, actual: bool = False) -> Json:
    meta = {"meta": {"profile": [*profiles]}} if profiles else {}
    return {"resourceType": "Group", **meta, "type": "person", "actual": actual}


def told(response: httpx.Response | FhirResponse, *severities: str) -> list[str]:
    """Return what findings of these severities say, but for the advice to have a narrative."""
    content = response.content if isinstance(response, httpx.Response) else response.body
    rows = [row for row in json.decode(content)["issue"] if row["severity"] in severities]
    return [row["details"]["text"] for row in rows if "dom-6" not in row["details"]["text"]]


async def test_what_is_enforced_is_refused_by_every_interaction_that_writes(client: httpx.AsyncClient) -> None:
    wrong = observation(PRESSURE)
    created = await client.post("Observation", json=wrong)
    assert created.status_code == 422, created.text
    assert any(PRESSURE in text for text in told(created, "error"))
    assert "enforced here" in told(created, "information")[-1]
    conditional = await client.post("Observation", json=wrong, headers={"If-None-Exist": "identifier=urn:x|none"})
    assert conditional.status_code == 422
    assert (await client.put("Observation/claimed", json={**wrong, "id": "claimed"})).status_code == 422
    assert (await client.put("Observation?identifier=urn:x|none", json=wrong)).status_code == 422

    assert (await client.put("Observation/plain", json={**observation(), "id": "plain"})).status_code == 201
    assert (await client.put("Observation/plain", json={**wrong, "id": "plain"})).status_code == 422
    patch = [{"op": "add", "path": "/meta/profile", "value": [PRESSURE]}]
    headers = {"Content-Type": "application/json-patch+json"}
    assert (await client.patch("Observation/plain", json=patch, headers=headers)).status_code == 422
    meta = {"resourceType": "Parameters", "parameter": [{"name": "meta", "valueMeta": {"profile": [PRESSURE]}}]}
    assert (await client.post("Observation/plain/$meta-add", json=meta)).status_code == 422
    assert (await client.get("Observation/plain")).headers["etag"] == 'W/"1"'

    entry = {"fullUrl": "urn:uuid:1f9f1f4c-6a7c-4f0e-9f54-0c5d4e4f7a11", "resource": wrong}
    entry |= {"request": {"method": "POST", "url": "Observation"}}
    for kind in ("batch", "transaction"):
        answer = await client.post("", json={"resourceType": "Bundle", "type": kind, "entry": [entry]})
        if kind == "transaction":
            assert answer.status_code == 422, answer.text
        else:
            (row,) = answer.json()["entry"]
            assert row["response"]["status"].startswith("422")
    assert (await client.get("Observation?_summary=count")).json()["total"] == 1


async def test_what_is_warned_of_is_stored_and_told_to_who_asks(client: httpx.AsyncClient) -> None:
    response = await client.post("Group", json=group(), headers=OUTCOME)
    assert response.status_code == 201, response.text
    assert told(response, "error", "fatal") == []
    assert any(ACTUAL in text for text in told(response, "warning")), "nobody claimed it, it is required"
    assert told(await client.post("Group", json=group(actual=True), headers=OUTCOME), "warning") == []
    entry = {"resource": group(), "request": {"method": "POST", "url": "Group"}}
    answer = await client.post("", json={"resourceType": "Bundle", "type": "batch", "entry": [entry]}, headers=OUTCOME)
    (row,) = answer.json()["entry"]
    assert any(ACTUAL in one["details"]["text"] for one in row["response"]["outcome"]["issue"])


async def test_what_is_ignored_is_not_looked_at(client: httpx.AsyncClient) -> None:
    body = {"resourceType": "DiagnosticReport", "meta": {"profile": [UNKNOWN, PRESSURE]}}
    body |= {"status": "final", "code": {"text": "x"}}
    response = await client.post("DiagnosticReport", json=body, headers=OUTCOME)
    assert response.status_code == 201
    assert told(response, "warning", "error") == []


async def test_a_profile_that_is_not_known_is_told_by_its_name_with_the_remedy(client: httpx.AsyncClient) -> None:
    response = await client.post("Observation", json=observation(f"{CORE}/bodyweigth"))
    assert response.status_code == 422
    (text,) = told(response, "error")
    for words in (f"'{CORE}/bodyweigth'", "fhir-server package install", f"Did you mean '{CORE}/bodyweight'?"):
        assert words in text
    warned = await client.post("Group", json=group(UNKNOWN, actual=True), headers=OUTCOME)
    assert warned.status_code == 201
    (text,) = told(warned, "warning")
    assert UNKNOWN in text


async def test_what_a_contained_resource_claims_counts(client: httpx.AsyncClient) -> None:
    inner = {**observation(PRESSURE), "id": "inner"}
    outer = observation(contained=[inner], hasMember=[{"reference": "#inner"}])
    response = await client.post("Observation", json=outer)
    assert response.status_code == 422, response.text
    assert any("contained[0]" in place for one in response.json()["issue"] for place in one.get("expression", ()))


async def written(service: Service, facility: str, body: Json) -> FhirResponse:
    request = FhirRequest(
        "POST", (body["resourceType"],), BASE, headers={"prefer": "return=OperationOutcome"}, resource=body
    )
    return await service.dispatch(request, facility)


@pytest.mark.parametrize(
    ("facility", "body", "status", "warned"),
    [
        ("", group(), 201, True),
        ("strict", group(), 422, False),
        ("strict", group(actual=True), 201, False),
        ("ward", group(), 201, False),
        ("room", group(), 201, False),
        ("lenient", group(), 201, False),
        ("lenient", group(ACTUAL), 201, True),
        ("lenient", observation(PRESSURE), 201, False),
        ("strict", observation(), 201, False),
        ("ward", observation(), 422, False),
        ("room", observation(), 422, False),
    ],
)
async def test_the_nearest_facility_that_says_something_wins(
    service: Service, facility: str, body: Json, status: int, *, warned: bool
) -> None:
    response = await written(service, facility, body)
    assert response.status == status, response.body
    if status == 201:
        assert bool(told(response, "warning")) == warned


async def test_the_facility_that_keeps_it_decides_whoever_changes_it(service: Service) -> None:
    kept = await written(service, "lenient", observation(PRESSURE))
    name = told(kept, "information")[0].partition("/")[2].partition(" ")[0]
    again = FhirRequest("PUT", ("Observation", name), BASE, resource={**observation(PRESSURE), "id": name})
    assert (await service.dispatch(again, "strict")).status == 200


async def test_what_is_moved_in_the_hierarchy_goes_by_its_new_place(
    service: Service, client: httpx.AsyncClient
) -> None:
    body = {"resourceType": "Organization", "id": "moved", "name": "x", "partOf": {"reference": "Organization/lenient"}}
    assert (await client.put("Organization/moved", json=body)).status_code == 201
    await service.repository.house.now()
    assert (await written(service, "moved", observation(PRESSURE))).status == 201
    body["partOf"] = {"reference": "Organization/strict"}
    assert (await client.put("Organization/moved", json=body)).status_code == 200
    await service.repository.house.now()
    assert (await written(service, "moved", observation(PRESSURE))).status == 422


def test_types_that_there_are_not_are_refused_in_the_settings() -> None:
    with pytest.raises(ValueError, match="'Pacient' is no resource type, did you mean Patient"):
        Validation(types={"Pacient": "warn"})
    with pytest.raises(ValueError, match="no resource type"):
        Profiled(required={"Nothing": ()})


async def test_nothing_is_asked_of_the_database_for_it(service: Service) -> None:
    """The hierarchy that was read a moment ago does."""
    first = await service.repository.house.lately(60)
    assert await service.repository.house.lately(60) is first


async def test_rules_that_lead_nowhere_are_told_at_the_start(
    service: Service, own_settings: Settings, capfd: pytest.CaptureFixture[str]
) -> None:
    required = {"Patient": (UNKNOWN, PRESSURE), "Group": (ACTUAL,)}
    rules = Validation(required=required, facilities={"nowhere": Profiled(profiles="warn")})
    async with running(own_settings.model_copy(update={"validation": rules})):
        log = "".join(capfd.readouterr())
    assert log.count("validation_rule_unmet") == 3
    assert f"the required profile '{UNKNOWN}' is not installed" in log
    assert f"the profile '{PRESSURE}' is required of every Patient, and is for Observation" in log
    assert "there is no Organization/nowhere" in log
    async with running(own_settings):
        assert "validation_rule_unmet" not in "".join(capfd.readouterr())
