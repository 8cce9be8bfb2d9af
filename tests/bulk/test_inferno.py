"""What Inferno's Bulk Data 2.0 suite checks, over HTTP, with a token of a backend service (smart.md 2, [Inf])."""

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime
from typing import Any

import httpx
import pytest
import pytest_asyncio

from fhir_server.model import json
from profiles.definitions.registry import load
from profiles.validate.validator import Validator
from tests.bulk.conftest import PATIENTS, Json, Registry

KICK_OFF = {"Accept": "application/fhir+json", "Prefer": "respond-async"}
GROUP, EVERYBODY, SYSTEM = "Group/facility.land/$export", "Patient/$export", "$export"
LEVELS = (GROUP, EVERYBODY, SYSTEM)


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def client(registry: Registry) -> AsyncIterator[httpx.AsyncClient]:
    """A client with a token."""
    shown = {"Authorization": f"Bearer {await registry.token()}"}
    async with httpx.AsyncClient(base_url=f"{registry.base}/", headers=shown, timeout=60) as client:
        yield client


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def stranger(registry: Registry) -> AsyncIterator[httpx.AsyncClient]:
    """A client without a token."""
    async with httpx.AsyncClient(base_url=f"{registry.base}/", timeout=60) as client:
        yield client


async def kicked_off(client: httpx.AsyncClient, path: str, **params: Any) -> str:
    answer = await client.get(path, params=params, headers=KICK_OFF)
    assert answer.status_code == 202, answer.text
    return str(answer.headers["content-location"])


async def completed(client: httpx.AsyncClient, status: str) -> httpx.Response:
    """Poll as the suite does: as often as `Retry-After` lets it."""
    async with asyncio.timeout(60):
        while (answer := await client.get(status)).status_code == 202:
            assert len(answer.headers["x-progress"]) <= 100
            await asyncio.sleep(min(int(answer.headers["retry-after"]), 1))
    assert answer.status_code == 200, answer.text
    return answer


async def manifest(client: httpx.AsyncClient, path: str, **params: Any) -> Json:
    body: Json = (await completed(client, await kicked_off(client, path, **params))).json()
    return body


async def resources(client: httpx.AsyncClient, body: Json) -> dict[str, list[Json]]:
    found: dict[str, list[Json]] = {}
    for row in body["output"]:
        answer = await client.get(row["url"], headers={"Accept": "application/fhir+ndjson"})
        assert answer.status_code == 200, answer.text
        found.setdefault(row["type"], []).extend(json.decode(line) for line in answer.content.splitlines())
    return found


def assert_outcome(answer: httpx.Response) -> None:
    """Check that an error is told as a valid OperationOutcome."""
    assert answer.headers["content-type"].startswith("application/fhir+json")
    body = answer.json()
    assert body["resourceType"] == "OperationOutcome"
    assert not [one for one in Validator(load()).check(body) if one.fails]


async def test_the_capability_statement_states_the_operations(stranger: httpx.AsyncClient) -> None:
    (rest,) = (await stranger.get("metadata")).json()["rest"]
    assert "export" in {one["name"] for one in rest["operation"]}
    by_type = {
        one["type"]: {each["name"]: each["definition"] for each in one.get("operation", ())} for one in rest["resource"]
    }
    assert by_type["Group"]["export"] == "http://hl7.org/fhir/uv/bulkdata/OperationDefinition/group-export"
    assert by_type["Patient"]["export"] == "http://hl7.org/fhir/uv/bulkdata/OperationDefinition/patient-export"


@pytest.mark.parametrize("path", LEVELS)
async def test_without_a_token_nothing_begins(stranger: httpx.AsyncClient, path: str) -> None:
    answer = await stranger.get(path, headers=KICK_OFF)
    assert answer.status_code == 401
    assert_outcome(answer)


@pytest.mark.parametrize("path", LEVELS)
async def test_an_export_begins_is_told_of_and_is_complete(client: httpx.AsyncClient, path: str) -> None:
    status = await kicked_off(client, path)
    assert status.startswith(str(client.base_url))
    answer = await completed(client, status)
    assert answer.headers["content-type"].startswith("application/json")
    assert "expires" in answer.headers
    body = answer.json()
    assert {"transactionTime", "request", "requiresAccessToken", "output", "error"} <= body.keys()
    assert datetime.fromisoformat(body["transactionTime"]).tzinfo is not None
    assert body["request"] == f"{client.base_url}{path}"
    assert body["requiresAccessToken"] is True
    for row in body["output"]:
        assert {"type", "url"} <= row.keys()
        assert row["url"].startswith(str(client.base_url))


@pytest.mark.parametrize("path", LEVELS)
async def test_files_hold_what_the_manifest_says(client: httpx.AsyncClient, path: str) -> None:
    body = await manifest(client, path)
    for row in body["output"]:
        answer = await client.get(row["url"], headers={"Accept": "application/fhir+ndjson"})
        assert answer.headers["content-type"].startswith("application/fhir+ndjson")
        assert answer.content.endswith(b"\n")
        rows = [json.decode(line) for line in answer.content.splitlines()]
        assert {one["resourceType"] for one in rows} == {row["type"]}
        assert len(rows) == row["count"]
        validator = Validator(load())
        assert not [one for each in rows for one in validator.check(each) if one.fails]
    found = await resources(client, body)
    assert len(found["Patient"]) >= 2, "the suite wants two patients or more"
    assert {one["id"] for one in found["Patient"]} >= {f"p{number}" for number in range(PATIENTS)}
    named = [f"{kind}/{one['id']}" for kind, rows in found.items() for one in rows]
    assert len(named) == len(set(named))


async def test_files_are_for_who_shows_a_token(client: httpx.AsyncClient, stranger: httpx.AsyncClient) -> None:
    body = await manifest(client, GROUP, _type="Patient")
    url = body["output"][0]["url"]
    answer = await stranger.get(url, headers={"Accept": "application/fhir+ndjson"})
    assert answer.status_code == 401
    assert_outcome(answer)


async def test_another_service_finds_neither_status_nor_files(registry: Registry, client: httpx.AsyncClient) -> None:
    await registry.register("other")
    status = await kicked_off(client, GROUP, _type="Patient")
    url = (await completed(client, status)).json()["output"][0]["url"]
    shown = {"Authorization": f"Bearer {await registry.token(client_id='other')}"}
    async with httpx.AsyncClient(headers=shown) as other:
        for answer in (await other.get(status), await other.delete(status), await other.get(url)):
            assert answer.status_code == 404
            assert_outcome(answer)
    assert (await client.get(url)).status_code == 200


@pytest.mark.parametrize("path", LEVELS)
async def test_a_running_export_is_stopped_and_gone(client: httpx.AsyncClient, path: str) -> None:
    status = await kicked_off(client, path)
    assert (await client.delete(status)).status_code == 202
    for answer in (await client.get(status), await client.delete(status)):
        assert answer.status_code == 404
        assert_outcome(answer)


async def test_a_complete_export_is_given_up_with_its_files(client: httpx.AsyncClient) -> None:
    status = await kicked_off(client, GROUP, _type="Patient")
    url = (await completed(client, status)).json()["output"][0]["url"]
    assert (await client.delete(status)).status_code == 202
    for answer in (await client.get(status), await client.get(url)):
        assert answer.status_code == 404
        assert_outcome(answer)


@pytest.mark.parametrize("form", ["application/fhir+ndjson", "application/ndjson", "ndjson"])
async def test_formats_are_taken_by_their_three_names(client: httpx.AsyncClient, form: str) -> None:
    assert (
        await client.delete(await kicked_off(client, GROUP, _outputFormat=form, _type="Patient"))
    ).status_code == 202
    raw = await client.get(f"{GROUP}?_outputFormat={form}&_type=Patient", headers=KICK_OFF)
    assert raw.status_code == 202, "also with a plus sign that arrives as a space"


async def test_since_is_taken_and_means_what_came_later(client: httpx.AsyncClient, registry: Registry) -> None:
    first = await manifest(client, GROUP, _type="Patient,Condition")
    await registry.put("east", {"resourceType": "Patient", "id": "p0", "active": False})
    later = await resources(
        client, await manifest(client, GROUP, _type="Patient,Condition", _since=first["transactionTime"])
    )
    assert [one["id"] for one in later["Patient"]] == ["p0"]
    assert "Condition" not in later
    await registry.put("east", {"resourceType": "Patient", "id": "p0", "active": True})
    refused = await client.get(GROUP, params={"_since": "yesterday"}, headers=KICK_OFF)
    assert refused.status_code == 400
    assert_outcome(refused)


async def test_what_is_asked_wrongly_is_refused(client: httpx.AsyncClient) -> None:
    for path, params, status in (
        (GROUP, {"_type": "Nonsense"}, 400),
        (GROUP, {"_outputFormat": "text/csv"}, 400),
        (GROUP, {"unknown": "x"}, 400),
        (GROUP, {"_type": "Patient", "_typeFilter": "Patient?_sort=family"}, 400),
        ("Group/nowhere/$export", {}, 404),
        ("Group/facility.nowhere/$export", {}, 404),
    ):
        answer = await client.get(path, params=params, headers=KICK_OFF)
        assert answer.status_code == status, (path, params, answer.text)
        assert_outcome(answer)


async def test_a_group_holds_its_members_and_nobody_else(client: httpx.AsyncClient) -> None:
    found = await resources(client, await manifest(client, "Group/facility.west/$export", _type="Patient,Observation"))
    assert {one["id"] for one in found["Patient"]} == {"p1", "p3", "p5"}
    assert {one["subject"]["reference"] for one in found["Observation"]} == {"Patient/p1", "Patient/p3", "Patient/p5"}


async def test_a_service_for_some_types_gets_those(registry: Registry) -> None:
    await registry.register("narrow", "system/Patient.rs system/Group.rs")
    shown = {"Authorization": f"Bearer {await registry.token('system/Patient.rs system/Group.rs', 'narrow')}"}
    async with httpx.AsyncClient(base_url=f"{registry.base}/", headers=shown, timeout=60) as narrow:
        body = await manifest(narrow, GROUP)
        assert {row["type"] for row in body["output"]} <= {"Patient", "Group"}
        refused = await narrow.get(GROUP, params={"_type": "Observation"}, headers=KICK_OFF)
        assert refused.status_code == 403
        assert_outcome(refused)


async def test_an_export_that_finds_nothing_is_complete_without_files(client: httpx.AsyncClient) -> None:
    body = await manifest(client, GROUP, _type="Immunization")
    assert (body["output"], body["error"]) == ([], [])
