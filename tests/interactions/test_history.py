"""history of an instance, a type and the system (R4 3.1.0.12)."""

import asyncio
from collections.abc import Callable
from typing import Any

import httpx

from tests.interactions.conftest import patient, said

Fresh = Callable[[str], str]


async def pages(client: httpx.AsyncClient, url: str) -> list[Any]:
    found: list[Any] = []
    while url:
        body = (await client.get(url)).json()
        assert body["type"] == "history"
        found += body.get("entry", [])
        url = next((link["url"] for link in body["link"] if link["relation"] == "next"), "")
    return found


async def test_lists_versions_newest_first(client: httpx.AsyncClient, fresh: Fresh) -> None:
    key = fresh("p")
    for active in (True, False, True):
        await client.put(f"Patient/{key}", json=patient(id=key, active=active))
    await client.delete(f"Patient/{key}")
    body = (await client.get(f"Patient/{key}/_history")).json()
    assert body["total"] == 4
    assert [row["response"]["status"][:3] for row in body["entry"]] == ["204", "200", "200", "201"]
    assert "resource" not in body["entry"][0]
    assert body["entry"][1]["fullUrl"] == f"http://localhost/fhir/Patient/{key}"


async def test_of_what_never_was_is_404(client: httpx.AsyncClient, fresh: Fresh) -> None:
    assert (await client.get(f"Patient/{fresh('p')}/_history")).status_code == 404


async def test_pages_lead_to_the_end_without_gap_or_repetition(client: httpx.AsyncClient, fresh: Fresh) -> None:
    key = fresh("p")
    for _ in range(7):
        await client.put(f"Patient/{key}", json=patient(id=key))
    rows = await pages(client, f"Patient/{key}/_history?_count=3")
    assert [int(row["resource"]["meta"]["versionId"]) for row in rows] == [7, 6, 5, 4, 3, 2, 1]


async def test_pages_of_a_type_are_stable_under_writes(client: httpx.AsyncClient) -> None:
    for _ in range(10):
        await client.post("Basic", json={"resourceType": "Basic", "code": {"text": "x"}})
    before = [row["fullUrl"] for row in await pages(client, "Basic/_history?_count=1000")]
    seen: list[str] = []
    url = "Basic/_history?_count=3"
    while url:
        body = (await client.get(url)).json()
        seen += [row["fullUrl"] for row in body["entry"]]
        url = next((link["url"] for link in body["link"] if link["relation"] == "next"), "")
        await client.post("Basic", json={"resourceType": "Basic", "code": {"text": "x"}})
    assert seen == before


async def test_since_takes_what_came_after(client: httpx.AsyncClient, fresh: Fresh) -> None:
    first, second = fresh("p"), fresh("p")
    await client.put(f"Patient/{first}", json=patient(id=first))
    await asyncio.sleep(0.01)
    moment = (await client.put(f"Patient/{second}", json=patient(id=second))).json()["meta"]["lastUpdated"]
    rows = await pages(client, f"Patient/_history?_since={moment}")
    urls = [row["fullUrl"].rsplit("/", 1)[1] for row in rows]
    assert second in urls
    assert first not in urls


async def test_repeated_since_polls_miss_nothing(client: httpx.AsyncClient) -> None:
    """A client that continues from the bundle's own lastUpdated sees every concurrent write."""
    made: set[str] = set()

    async def write() -> None:
        for _ in range(30):
            response = await client.post("Basic", json={"resourceType": "Basic", "code": {"text": "x"}})
            made.add(response.json()["id"])

    seen: set[str] = set()
    start = (await client.get("Basic/_history?_count=1")).json()["meta"]["lastUpdated"]
    writers = [asyncio.create_task(write()) for _ in range(4)]
    while True:
        finished = all(task.done() for task in writers)
        body = (await client.get("Basic/_history", params={"_since": start, "_count": 1000})).json()
        seen |= {row["resource"]["id"] for row in body.get("entry", [])}
        start = body["meta"]["lastUpdated"]
        if finished:
            break
    assert made <= seen


async def test_at_takes_what_was_current_then(client: httpx.AsyncClient, fresh: Fresh) -> None:
    key = fresh("p")
    moments = []
    for _ in range(3):
        response = await client.put(f"Patient/{key}", json=patient(id=key))
        moments.append(response.json()["meta"]["lastUpdated"])
        await asyncio.sleep(0.01)
    rows = await pages(client, f"Patient/{key}/_history?_at={moments[1]}")
    assert [row["resource"]["meta"]["versionId"] for row in rows] == ["2"]


async def test_the_system_history_has_every_type(client: httpx.AsyncClient) -> None:
    await client.post("Basic", json={"resourceType": "Basic", "code": {"text": "x"}})
    await client.post("Patient", json=patient())
    rows = (await client.get("_history?_count=5")).json()["entry"]
    assert {row["resource"]["resourceType"] for row in rows[:2]} == {"Basic", "Patient"}


async def test_refuses_what_it_does_not_understand(client: httpx.AsyncClient) -> None:
    for query in ("_since=yesterday", "_count=many", "_count=-1", "name=x", "_at=x"):
        response = await client.get(f"Patient/_history?{query}")
        assert response.status_code == 400, query
        assert query.split("=")[0] in said(response)
