"""What tests of exports share: waiting for one, and reading its files."""

import asyncio
import json
from typing import Any

import httpx

Json = dict[str, Any]
PATIENCE = 60.0


async def finished(client: httpx.AsyncClient, kicked: httpx.Response) -> httpx.Response:
    """Return the answer of the status when the export has ended."""
    assert kicked.status_code == 202, kicked.text
    async with asyncio.timeout(PATIENCE):
        while (told := await client.get(kicked.headers["content-location"])).status_code == 202:
            assert told.headers["retry-after"]
            assert 0 < len(told.headers["x-progress"]) < 100
            await asyncio.sleep(0.05)
    return told


async def lines(client: httpx.AsyncClient, row: Json) -> list[bytes]:
    """Return the lines of a file of a manifest."""
    answer = await client.get(row["url"])
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"].startswith("application/fhir+ndjson")
    assert len(answer.content) == row["fileSize"]
    assert answer.content.endswith(b"\n")
    return answer.content.splitlines()


async def read(client: httpx.AsyncClient, rows: list[Json]) -> dict[str, list[Json]]:
    """Return the resources of files by type."""
    found: dict[str, list[Json]] = {}
    for row in rows:
        content = await lines(client, row)
        assert len(content) == row["count"]
        resources = [json.loads(line) for line in content]
        assert {one["resourceType"] for one in resources} == {row["type"]}
        found.setdefault(row["type"], []).extend(resources)
    return found


async def exported(client: httpx.AsyncClient, path: str, **more: Any) -> tuple[Json, dict[str, list[Json]]]:
    """Return the manifest of an export, and what it holds by type."""
    kicked = await client.request(more.pop("method", "GET"), path, **more)
    told = await finished(client, kicked)
    assert told.status_code == 200, told.text
    return told.json(), await read(client, told.json()["output"])


def ids(found: dict[str, list[Json]]) -> dict[str, list[str]]:
    """Return the ids by type, in order; each is there once."""
    named = {name: sorted(one["id"] for one in rows) for name, rows in found.items()}
    assert all(len(rows) == len(set(rows)) for rows in named.values())
    return named
