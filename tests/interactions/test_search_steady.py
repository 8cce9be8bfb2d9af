"""Pages while others write: what was there at the first page comes exactly once, in every order."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any
from uuid import uuid4

import httpx
import pytest

from tests.interactions.test_search_includes import by_mode, key, ref, store

Json = dict[str, Any]
ORDERS = ["-_lastUpdated", "_lastUpdated", "", "_id", "name", "_lastUpdated,-_id"]


def organization(tag: str, number: int, **more: Any) -> Json:
    name = f"{tag}-{number:03}"
    return {
        "resourceType": "Organization",
        "id": name,
        "name": name,
        "meta": {"tag": [{"system": "urn:pages", "code": tag}]},
        **more,
    }


async def walk(client: httpx.AsyncClient, url: str, between: Callable[[int], Awaitable[None]]) -> list[str]:
    """Return the matches of all pages; something happens after each page."""
    shown: list[str] = []
    number = 0
    while url:
        response = await client.get(url)
        assert response.status_code == 200, response.text
        shown += by_mode(response.json(), "match")
        url = next((link["url"] for link in response.json()["link"] if link["relation"] == "next"), "")
        await between(number)
        number += 1
        assert number < 300
    return shown


@pytest.mark.parametrize("sort", ORDERS)
@pytest.mark.parametrize("count", [1, 4, 7])
async def test_updates_between_pages_hide_and_repeat_nothing(client: httpx.AsyncClient, sort: str, count: int) -> None:
    tag = uuid4().hex[:8]
    rows = [organization(tag, number) for number in range(25)]
    for row in rows:
        await client.put(key(row), json=row)
    for number in (3, 20):  # versions that were superseded before the first page
        await client.put(f"Organization/{tag}-{number:03}", json=organization(tag, number, active=True))

    async def write(number: int) -> None:
        for each in (number % 25, (number * 7 + 3) % 25, 24 - number % 25):
            await client.put(
                f"Organization/{tag}-{each:03}",
                json=organization(tag, each, contact=[{"purpose": {"text": str(number)}}]),
            )
        if number < 15:  # of what is new there must be an end, where the newest come last
            await client.post("Organization", json=organization(tag, 900 + number))

    shown = await walk(client, f"Organization?_tag=urn:pages|{tag}&_count={count}&_sort={sort}", write)
    there = {key(row) for row in rows}
    assert sorted(one for one in shown if one in there) == sorted(there)


@pytest.mark.parametrize("sort", ["-_lastUpdated", "_lastUpdated"])
async def test_writers_side_by_side_with_a_reader_hide_and_repeat_nothing(client: httpx.AsyncClient, sort: str) -> None:
    tag = uuid4().hex[:8]
    rows = [organization(tag, number) for number in range(60)]
    await store(client, rows)
    done = asyncio.Event()

    async def write(part: int) -> None:
        number = 0
        while not done.is_set():
            each = (number * 4 + part) % 60
            await client.put(
                f"Organization/{tag}-{each:03}",
                json=organization(tag, each, contact=[{"purpose": {"text": str(number)}}]),
            )
            number += 1

    async def rest(_: int) -> None:
        await asyncio.sleep(0.02)

    writers = [asyncio.create_task(write(part)) for part in range(4)]
    try:
        for _ in range(3):
            shown = await walk(client, f"Organization?_tag=urn:pages|{tag}&_count=5&_sort={sort}", rest)
            assert sorted(shown) == sorted(key(row) for row in rows)
    finally:
        done.set()
        await asyncio.gather(*writers)


@pytest.mark.parametrize("sort", ["-_lastUpdated", "_lastUpdated"])
async def test_several_types_and_includes_keep_their_order_too(client: httpx.AsyncClient, sort: str) -> None:
    tag = uuid4().hex[:8]
    label = {"tag": [{"system": "urn:pages", "code": tag}]}
    rows: list[Json] = []
    for number in range(12):
        organized = {"managingOrganization": ref(f"Organization/{tag}-{number:03}")}
        rows.append(organization(tag, number))
        rows.append({"resourceType": "Location", "id": f"{tag}-{number}", "meta": label, **organized})
    for row in rows:
        await client.put(key(row), json=row)

    async def write(number: int) -> None:
        for row in (rows[number * 5 % 24], rows[23 - number % 24]):
            more = (
                {"name": f"n{number}"}
                if row["resourceType"] == "Location"
                else {"contact": [{"purpose": {"text": str(number)}}]}
            )
            await client.put(key(row), json={**row, **more})

    for kinds in ("_type=Organization,Location", f"_tag=urn:pages|{tag}"):
        url = f"?{kinds}&_tag=urn:pages|{tag}&_count=3&_sort={sort}"
        assert sorted(await walk(client, url, write)) == sorted(map(key, rows))
    url = f"Location?_tag=urn:pages|{tag}&_count=3&_sort={sort}&_include=Location:organization"
    assert sorted(await walk(client, url, write)) == sorted(
        key(row) for row in rows if row["resourceType"] == "Location"
    )


async def test_what_is_deleted_or_matches_no_more_is_not_shown(client: httpx.AsyncClient) -> None:
    tag = uuid4().hex[:8]
    for number in range(9):
        row = organization(tag, number, active=True)
        await client.put(key(row), json=row)

    async def write(number: int) -> None:
        if number == 0:
            await client.delete(f"Organization/{tag}-002")
            await client.put(f"Organization/{tag}-003", json=organization(tag, 3, active=False))
            await client.delete(f"Organization/{tag}-004")
            await client.put(f"Organization/{tag}-004", json=organization(tag, 4, active=True))

    url = f"Organization?_tag=urn:pages|{tag}&active=true&_count=3&_sort=-_lastUpdated"
    shown = await walk(client, url, write)
    assert [one.rpartition("-")[2] for one in shown] == ["008", "007", "006", "005", "004", "001", "000"]


@pytest.mark.parametrize("sort", ["", "birthdate", "-birthdate", "gender,family"])
async def test_updates_move_nothing_among_equals(client: httpx.AsyncClient, sort: str) -> None:
    tag = uuid4().hex[:8]
    label = {"tag": [{"system": "urn:pages", "code": tag}]}
    rows: list[Json] = [
        {
            "resourceType": "Patient",
            "id": f"{tag}-{number:02}",
            "meta": label,
            "birthDate": "1980-01-01",
            "gender": "male",
        }
        for number in range(20)
    ]
    await store(client, rows)

    async def write(number: int) -> None:
        for each in (number * 3 % 20, (number * 3 + 5) % 20, 19 - number % 20):
            await client.put(key(rows[each]), json={**rows[each], "active": bool(number % 2)})

    shown = await walk(client, f"Patient?_tag=urn:pages|{tag}&_count=3&_sort={sort}", write)
    assert sorted(shown) == sorted(map(key, rows))


async def test_more_changes_than_are_looked_up_one_by_one_hide_nothing(
    client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fhir_server.store.moving.MOST", 3)
    await test_updates_between_pages_hide_and_repeat_nothing(client, "-_lastUpdated", 4)
    await test_updates_between_pages_hide_and_repeat_nothing(client, "_lastUpdated", 4)
