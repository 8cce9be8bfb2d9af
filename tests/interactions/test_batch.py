"""batch bundles (R4 3.1.0.11.1)."""

from collections.abc import Callable
from typing import Any

import httpx
from pymongo.asynchronous.database import AsyncDatabase
from structlog.testing import capture_logs

from fhir_server.main import running
from fhir_server.model import json
from fhir_server.model.request import FhirRequest
from fhir_server.settings import Settings
from tests.interactions.conftest import patient, said

Database = AsyncDatabase[dict[str, Any]]
Fresh = Callable[[str], str]


def bundle(*entries: Any, kind: str = "batch") -> dict[str, Any]:
    return {"resourceType": "Bundle", "type": kind, "entry": list(entries)}


def entry(method: str, url: str, resource: Any = None, **request: str) -> dict[str, Any]:
    row: dict[str, Any] = {"request": {"method": method, "url": url, **request}}
    return row if resource is None else {**row, "resource": resource}


async def test_answers_each_entry_in_its_place(client: httpx.AsyncClient, fresh: Fresh) -> None:
    key = fresh("p")
    response = await client.post(
        "",
        json=bundle(
            entry("GET", f"Patient/{key}"),
            entry("PUT", f"Patient/{key}", patient(id=key)),
            entry("POST", "Patient", patient(gender="mail")),
            entry("GET", "Patient/unknown-one"),
            entry("POST", "Patient", patient()),
            {"resource": patient()},
        ),
    )
    assert response.status_code == 200
    body = response.json()
    assert body["type"] == "batch-response"
    statuses = [row["response"]["status"][:3] for row in body["entry"]]
    assert statuses == ["200", "201", "400", "404", "201", "400"]
    created = body["entry"][1]["response"]
    assert created["location"] == f"Patient/{key}/_history/1"
    assert created["etag"] == 'W/"1"'
    assert created["lastModified"].endswith("Z")
    assert body["entry"][0]["resource"]["id"] == key
    refused = body["entry"][2]["response"]["outcome"]
    assert refused["issue"][0]["expression"] == ["Bundle.entry[2].resource.gender"]


async def test_refuses_other_bundles(client: httpx.AsyncClient) -> None:
    collection = await client.post("", json=bundle(kind="collection"))
    assert collection.status_code == 400
    assert "'batch' or 'transaction'" in said(collection)
    assert (await client.post("", json=patient())).status_code == 400
    assert (await client.post("", content="")).status_code == 400


async def test_takes_an_empty_batch(client: httpx.AsyncClient) -> None:
    response = await client.post("", json={"resourceType": "Bundle", "type": "batch"})
    assert response.status_code == 200
    assert "entry" not in response.json()


async def test_a_fault_of_the_server_stays_within_its_entry(settings: Settings, database: Database) -> None:
    await database["Patient"].insert_one({"_id": "broken"})
    rows = [entry("GET", "Patient/broken"), entry("POST", "Patient", patient()), entry("GET", "Patient/nobody")]
    async with running(settings) as service:
        asked = FhirRequest("POST", (), "http://localhost/fhir", body=json.encode(bundle(*rows)), id="request-7")
        with capture_logs() as logs:
            response = await service.dispatch(asked)
    assert response.status == 200
    answers = [row["response"] for row in response.resource["entry"]]
    assert [answer["status"][:3] for answer in answers] == ["500", "201", "404"]
    assert answers[0]["outcome"]["issue"][0]["severity"] == "fatal"
    (line,) = [line for line in logs if line["event"] == "interaction_failed"]
    assert (line["request"], line["entry"]) == ("request-7", 0)


async def test_a_stored_outcome_is_a_resource_like_any_other(client: httpx.AsyncClient, fresh: Fresh) -> None:
    key = fresh("oo")
    stored = {"resourceType": "OperationOutcome", "id": key, "issue": [{"severity": "warning", "code": "lock-error"}]}
    rows = [entry("PUT", f"OperationOutcome/{key}", stored), entry("GET", f"OperationOutcome/{key}")]
    for prefer in ("return=minimal", "return=OperationOutcome"):
        response = await client.post("", json=bundle(*rows), headers={"Prefer": prefer})
        written, read = response.json()["entry"]
        assert "resource" not in written
        assert ("outcome" in written["response"]) == (prefer == "return=OperationOutcome")
        assert read["resource"]["issue"] == stored["issue"]
        assert "outcome" not in read["response"]
