"""An export is true of one moment, whatever is written meanwhile; and exports one after the other miss nothing and repeat nothing."""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest

from fhir_server.bulk import cohort
from fhir_server.store import scanning
from tests.operations.exports import exported, read

Json = dict[str, Any]
Key = tuple[str, str]
ROUNDS = 3
IDS = 40


async def written(client: httpx.AsyncClient, chance: random.Random, enough: asyncio.Event) -> None:
    """Create, change and delete, and create again, until it is enough."""
    while not enough.is_set():
        name, kind = f"w{chance.randrange(IDS)}", chance.choice(["Patient", "Observation"])
        if chance.random() < 0.3:
            await client.delete(f"{kind}/{name}")
        elif kind == "Patient":
            await client.put(
                f"Patient/{name}", json={"resourceType": "Patient", "id": name, "active": chance.random() < 0.5}
            )
        else:
            body = {
                "resourceType": "Observation",
                "id": name,
                "status": "final",
                "code": {"text": str(chance.random())},
            }
            await client.put(f"Observation/{name}", json={**body, "subject": {"reference": "Patient/steady"}})
        await asyncio.sleep(0.005)


@asynccontextmanager
async def writers(client: httpx.AsyncClient, count: int) -> AsyncIterator[None]:
    enough = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        for number in range(count):
            group.create_task(written(client, random.Random(number), enough))
        try:
            yield
        finally:
            enough.set()


async def histories(client: httpx.AsyncClient) -> dict[Key, list[tuple[str, str]]]:
    """Return when each version was made and which it is, empty for a deletion, the oldest first."""
    found: dict[Key, list[tuple[str, str]]] = {}
    for kind in ("Patient", "Observation"):
        url = f"{kind}/_history?_count=500"
        while url:
            bundle = (await client.get(url)).json()
            for row in bundle.get("entry", ()):
                one = row["fullUrl"].rpartition("/")[2]
                if "resource" in row:
                    meta = row["resource"]["meta"]
                    found.setdefault((kind, one), []).insert(0, (meta["lastUpdated"], meta["versionId"]))
                else:
                    found.setdefault((kind, one), []).insert(0, (row["response"]["lastModified"], ""))
            url = next((link["url"] for link in bundle["link"] if link["relation"] == "next"), "")
    return found


@pytest.mark.parametrize("path", ["$export", "Group/facility.root/$export"])
@pytest.mark.parametrize("looked_up", [0, 1_000])
async def test_exports_in_a_row_miss_nothing_and_repeat_nothing(
    client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch, path: str, looked_up: int
) -> None:
    monkeypatch.setattr(scanning, "AT_ONCE", 3)
    monkeypatch.setattr(scanning, "MOST_CHANGED", looked_up)
    monkeypatch.setattr(cohort, "AT_ONCE", 4)
    await client.put("Patient/steady", json={"resourceType": "Patient", "id": "steady"})
    seen: list[tuple[str, Json, dict[str, list[Json]], set[str]]] = []
    since = ""
    async with writers(client, 3):
        for _ in range(ROUNDS):
            await asyncio.sleep(0.1)
            query = f"?_type=Patient,Observation{f'&_since={since}' if since else ''}"
            manifest, found = await exported(client, path + query)
            gone = await read(client, manifest["deleted"])
            urls = [row["request"]["url"] for one in gone.get("Bundle", ()) for row in one["entry"]]
            assert len(urls) == len(set(urls))
            seen.append((since, manifest, found, set(urls)))
            since = manifest["transactionTime"]
    truth = await histories(client)
    moved = 0
    for start, manifest, found, ends in seen:
        end = manifest["transactionTime"]
        shown = [(one["resourceType"], one["id"], one["meta"]["versionId"]) for rows in found.values() for one in rows]
        assert len(shown) == len(set(shown))
        wanted, ended = set(), set()
        for (kind, one), versions in truth.items():
            made, last = max(((at, vid) for at, vid in versions if at <= end), default=("", ""), key=lambda row: row[0])
            if made > start and last:
                wanted.add((kind, one, last))
            elif made > start and start:
                ended.add(f"{kind}/{one}")
        assert set(shown) == wanted
        assert ends == ended, (ends - ended, ended - ends)
        later = {(kind, one) for (kind, one), versions in truth.items() if any(at > end for at, _ in versions)}
        moved += len({(kind, one) for kind, one, _ in shown} & later)
    assert moved > 0, "what was exported has changed since"
