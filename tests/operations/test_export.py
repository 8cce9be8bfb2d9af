"""$export over HTTP: a job writes files, the status tells of it, and what cannot be asked is refused."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
import pytest_asyncio
from pymongo.asynchronous.database import AsyncDatabase

from fhir_server.bulk.task import Task
from fhir_server.operations import export_status
from fhir_server.store import scanning
from fhir_server.store.files import GridFiles
from tests.operations.exports import exported, finished, ids, lines, read

Json = dict[str, Any]
Record = AsyncDatabase[Json]


async def exported_lines(client: httpx.AsyncClient, path: str) -> dict[str, list[bytes]]:
    """Return the lines of an export by type."""
    told = await finished(client, await client.get(path))
    assert told.status_code == 200, told.text
    found: dict[str, list[bytes]] = {}
    for row in told.json()["output"]:
        found.setdefault(row["type"], []).extend(await lines(client, row))
    return found


@pytest_asyncio.fixture(scope="module", loop_scope="session", autouse=True)
async def stored(client: httpx.AsyncClient) -> AsyncIterator[None]:
    for number in range(3):
        await client.put(f"Patient/p{number}", json={"resourceType": "Patient", "id": f"p{number}", "gender": "other"})
        body = {"resourceType": "Observation", "id": f"o{number}", "status": "final", "code": {"text": "a\nb"}}
        await client.put(f"Observation/o{number}", json={**body, "subject": {"reference": f"Patient/p{number}"}})
    await client.put("Patient/p1", json={"resourceType": "Patient", "id": "p1", "gender": "male"})
    yield


async def test_an_export_holds_the_bytes_of_reads(client: httpx.AsyncClient) -> None:
    found = await exported_lines(client, "$export?_type=Patient,Observation")
    assert sorted(found) == ["Observation", "Patient"]
    for name, wanted in (("Patient", ["p0", "p1", "p2"]), ("Observation", ["o0", "o1", "o2"])):
        read = [(await client.get(f"{name}/{one}")).content for one in wanted]
        assert sorted(found[name]) == sorted(read)


async def test_the_manifest_says_what_it_is_of(client: httpx.AsyncClient) -> None:
    kicked = await client.get("$export?_type=Patient&_since=2020-01-01T00:00:00Z", headers={"Prefer": "respond-async"})
    assert kicked.headers["content-location"].startswith("http://localhost/fhir/$export-status?job=")
    told = await finished(client, kicked)
    assert told.headers["content-type"] == "application/json"
    assert told.headers["expires"]
    body = told.json()
    assert body["request"] == "http://localhost/fhir/$export?_type=Patient&_since=2020-01-01T00%3A00%3A00Z"
    assert (body["requiresAccessToken"], body["deleted"], body["error"], body["outcome"]) == (False, [], [], [])
    last = (await client.get("Patient/p1")).json()["meta"]["lastUpdated"]
    assert last <= body["transactionTime"]


@pytest.mark.parametrize(
    ("query", "text"),
    [
        ("_since=yesterday", "is not an instant"),
        ("_type=Patint", "Did you mean"),
        ("_outputFormat=text/csv", "not a format"),
        ("_typeFilter=Patient", "is no filter"),
        ("_type=Patient&_typeFilter=Observation%3Fstatus%3Dfinal", "not among the types"),
        ("_typeFilter=Patient%3F_sort%3D_id", "cannot be part"),
        ("_typeFilter=Patient%3Fnothing%3D1", "nothing"),
        ("_elements=Patient.nothing", "not a top-level element"),
        ("organizeOutputBy=Patient", "no parameter"),
        ("_include=Patient:link", "no parameter"),
    ],
)
async def test_what_cannot_be_asked_is_refused(client: httpx.AsyncClient, query: str, text: str) -> None:
    refused = await client.get(f"$export?{query}")
    assert refused.status_code == 400, refused.text
    assert text in refused.text


async def test_an_export_that_was_given_up_is_not_there(client: httpx.AsyncClient, record: Record) -> None:
    kicked = await client.get("$export?_type=Patient")
    await finished(client, kicked)
    place = kicked.headers["content-location"]
    assert (await client.delete(place)).status_code == 202
    job = httpx.URL(place).params["job"]
    assert [one async for one in GridFiles(record).list(f"export/{job}/")] == []
    for method in ("GET", "DELETE"):
        gone = await client.request(method, place)
        assert gone.status_code == 404
        assert gone.json()["resourceType"] == "OperationOutcome"


async def test_what_is_not_known_is_passed_over_where_that_is_wanted(client: httpx.AsyncClient) -> None:
    asked = "$export?_type=Patient&_include=Patient:link&organizeOutputBy=Patient"
    kicked = await client.get(asked, headers={"Prefer": "respond-async, handling=lenient"})
    assert kicked.headers["preference-applied"] == "handling=lenient"
    body = (await finished(client, kicked)).json()
    (row,) = body["error"]
    texts = [line.decode() for line in await lines(client, row)]
    assert [name in text for name, text in zip(("_include", "organizeOutputBy"), texts, strict=True)] == [True, True]
    assert body["outcome"] == body["error"]


async def test_filters_of_a_type_are_joined_by_or_and_elements_are_left_out(client: httpx.AsyncClient) -> None:
    filters = "_typeFilter=Patient%3Fgender%3Dmale&_typeFilter=Patient%3F_id%3Dp2"
    _, found = await exported(client, f"$export?_type=Patient,Observation&{filters}&_elements=Patient.gender,subject")
    assert ids(found) == {"Observation": ["o0", "o1", "o2"], "Patient": ["p1", "p2"]}
    assert {tuple(one) for one in found["Patient"]} == {("resourceType", "id", "meta", "gender")}
    for one in found["Observation"]:
        assert set(one) == {"resourceType", "id", "meta", "status", "code", "subject"}
        assert one["meta"]["tag"][0]["code"] == "SUBSETTED"


async def test_the_parameters_may_be_posted(client: httpx.AsyncClient) -> None:
    rows = [
        {"name": "_type", "valueString": "Patient"},
        {"name": "_type", "valueCode": "Observation"},
        {"name": "_typeFilter", "valueString": "Observation?_id=o1"},
        {"name": "_outputFormat", "valueString": "application/fhir+ndjson"},
        {"name": "allowPartialManifests", "valueBoolean": False},
    ]
    _, found = await exported(client, "$export", method="POST", json={"resourceType": "Parameters", "parameter": rows})
    assert ids(found) == {"Observation": ["o1"], "Patient": ["p0", "p1", "p2"]}
    refused = await client.post("$export", json={"resourceType": "Patient"})
    assert (refused.status_code, refused.json()["resourceType"]) == (400, "OperationOutcome")


async def test_what_changed_since_comes_with_what_was_deleted(client: httpx.AsyncClient) -> None:
    for name in ("d1", "d2", "d3"):
        await client.put(f"Location/{name}", json={"resourceType": "Location", "id": name})
    first, found = await exported(client, "$export?_type=Location")
    assert ids(found)["Location"] == ["d1", "d2", "d3"]
    for name in ("d1", "d2"):
        assert (await client.delete(f"Location/{name}")).status_code == 204
    await client.put("Location/d2", json={"resourceType": "Location", "id": "d2"})
    second, found = await exported(client, f"$export?_type=Location&_since={first['transactionTime']}")
    assert ids(found) == {"Location": ["d2"]}
    bundles = await read(client, second["deleted"])
    requests = [row["request"] for one in bundles["Bundle"] for row in one["entry"]]
    assert requests == [{"method": "DELETE", "url": "Location/d1"}]
    assert {one["type"] for one in bundles["Bundle"]} == {"transaction"}
    third, found = await exported(client, f"$export?_type=Location&_since={second['transactionTime']}")
    assert (found, third["deleted"]) == ({}, [])
    until = f"_until={second['transactionTime']}"
    _, found = await exported(client, f"$export?_type=Location&{until}&_since={first['transactionTime']}")
    assert ids(found) == {"Location": ["d2"]}


async def test_the_status_of_the_export_may_stand_apart(client: httpx.AsyncClient) -> None:
    kicked = await client.get("$export?_type=Patient", headers={"Prefer": "respond-async, separate-export-status"})
    assert kicked.headers["preference-applied"] == "separate-export-status"
    async with asyncio.timeout(60):
        while (told := await client.get(kicked.headers["content-location"])).headers["x-export-status"] != "200 OK":
            assert (told.status_code, told.headers["x-export-status"]) == (200, "202 Accepted")
            await asyncio.sleep(0.02)
    assert told.json()["output"]


async def test_manifests_may_come_in_pages(client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export_status, "FILES", 1)
    kicked = await client.get("$export?_type=Patient,Observation&allowPartialManifests=true")
    told = await finished(client, kicked)
    types, shown = [], [told.json()]
    while links := shown[-1].get("link"):
        shown.append((await client.get(links[0]["url"])).json())
    types = [row["type"] for page in shown for row in page["output"]]
    assert types == ["Observation", "Patient"]
    assert all(len(page["output"]) <= 1 for page in shown)


READ_TASK = Task.of


async def test_a_file_ends_where_it_is_large_enough(client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Task, "of", lambda payload: replace(READ_TASK(payload), most_bytes=1))
    monkeypatch.setattr(scanning, "AT_ONCE", 2)
    body, found = await exported(client, "$export?_type=Patient")
    assert ids(found) == {"Patient": ["p0", "p1", "p2"]}
    names = [httpx.URL(row["url"]).params["name"] for row in body["output"]]
    assert names == ["Patient-0.ndjson", "Patient-1.ndjson"]


async def test_a_client_may_not_have_too_many_under_way(client: httpx.AsyncClient, record: Record) -> None:
    kicked = [await client.get("$export?_type=Patient")]
    await finished(client, kicked[0])
    job = await record.jobs.find_one({"_id": httpx.URL(kicked[0].headers["content-location"]).params["job"]})
    assert job is not None
    far = datetime.now(UTC) + timedelta(hours=1)
    names = [f"busy-{number}" for number in range(4)]
    await record.jobs.insert_many([{**job, "_id": name, "state": "queued", "due": far} for name in names])
    refused = await client.get("$export?_type=Patient")
    assert (refused.status_code, refused.json()["issue"][0]["code"]) == (429, "throttled")
    assert int(refused.headers["retry-after"]) > 0
    assert (await client.delete(f"$export-status?job={names[0]}")).status_code == 202
    await finished(client, await client.get("$export?_type=Patient"))
    await record.jobs.delete_many({"_id": {"$in": names}})
