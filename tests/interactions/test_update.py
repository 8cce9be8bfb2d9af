"""update, conditional update and optimistic concurrency (R4 3.1.0.4)."""

import asyncio
from collections.abc import Callable

import httpx

from tests.interactions.conftest import patient, said

Fresh = Callable[[str], str]


async def test_creates_where_the_id_is_free(client: httpx.AsyncClient, fresh: Fresh) -> None:
    key = fresh("p")
    response = await client.put(f"Patient/{key}", json=patient(id=key))
    assert response.status_code == 201
    assert response.headers["location"].endswith(f"/Patient/{key}/_history/1")


async def test_makes_the_next_version(client: httpx.AsyncClient, fresh: Fresh) -> None:
    key = fresh("p")
    await client.put(f"Patient/{key}", json=patient(id=key))
    response = await client.put(f"Patient/{key}", json=patient(id=key, active=True))
    assert response.status_code == 200
    assert response.headers["etag"] == 'W/"2"'
    first = await client.get(f"Patient/{key}/_history/1")
    assert "active" not in first.json()
    assert first.json()["meta"]["lastUpdated"] < response.json()["meta"]["lastUpdated"]


async def test_refuses_another_id_in_the_body(client: httpx.AsyncClient, fresh: Fresh) -> None:
    key = fresh("p")
    for body in (patient(id="other"), patient(), patient(id=5)):
        response = await client.put(f"Patient/{key}", json=body)
        assert response.status_code == 400
        assert f"'{key}'" in said(response)


async def test_a_stale_if_match_is_412(client: httpx.AsyncClient, fresh: Fresh) -> None:
    key = fresh("p")
    absent = await client.put(f"Patient/{key}", json=patient(id=key), headers={"If-Match": 'W/"1"'})
    assert absent.status_code == 412
    await client.put(f"Patient/{key}", json=patient(id=key))
    await client.put(f"Patient/{key}", json=patient(id=key, active=True))
    stale = await client.put(f"Patient/{key}", json=patient(id=key), headers={"If-Match": 'W/"1"'})
    assert stale.status_code == 412
    assert "version 2" in said(stale)
    malformed = await client.put(f"Patient/{key}", json=patient(id=key), headers={"If-Match": "yesterday"})
    assert malformed.status_code == 400


async def test_100_concurrent_updates_with_if_match_leave_exactly_the_acknowledged_ones(
    client: httpx.AsyncClient, fresh: Fresh
) -> None:
    key = fresh("p")
    await client.put(f"Patient/{key}", json=patient(id=key))

    async def raise_by_one(mark: int) -> list[str]:
        """Update on top of whatever is current, once; return the mark if it was acknowledged."""
        current = await client.get(f"Patient/{key}")
        body = patient(id=key, identifier=[{"value": str(mark)}])
        done = await client.put(f"Patient/{key}", json=body, headers={"If-Match": current.headers["etag"]})
        assert done.status_code in {200, 412}
        return [str(mark)] if done.status_code == 200 else []

    acknowledged = [mark for marks in await asyncio.gather(*map(raise_by_one, range(100))) for mark in marks]
    history = (await client.get(f"Patient/{key}/_history", params={"_count": 1000})).json()["entry"]
    versions = [int(entry["resource"]["meta"]["versionId"]) for entry in history]
    assert versions == list(range(len(acknowledged) + 1, 0, -1))
    marks = [entry["resource"]["identifier"][0]["value"] for entry in history[:-1]]
    assert sorted(marks) == sorted(acknowledged)


async def test_concurrent_updates_without_if_match_are_all_kept(client: httpx.AsyncClient, fresh: Fresh) -> None:
    key = fresh("p")
    answers = await asyncio.gather(*(client.put(f"Patient/{key}", json=patient(id=key)) for _ in range(40)))
    assert sorted(answer.status_code for answer in answers) == [200] * 39 + [201]
    assert sorted(int(answer.json()["meta"]["versionId"]) for answer in answers) == list(range(1, 41))


async def test_continues_the_versions_after_a_deletion(client: httpx.AsyncClient, fresh: Fresh) -> None:
    key = fresh("p")
    await client.put(f"Patient/{key}", json=patient(id=key))
    await client.delete(f"Patient/{key}")
    response = await client.put(f"Patient/{key}", json=patient(id=key))
    assert (response.status_code, response.headers["etag"]) == (201, 'W/"3"')
    history = (await client.get(f"Patient/{key}/_history")).json()["entry"]
    assert [entry["request"]["method"] for entry in history] == ["PUT", "DELETE", "PUT"]


async def test_conditional_update_creates_then_updates(client: httpx.AsyncClient, fresh: Fresh) -> None:
    key = fresh("mrn")
    body = patient(identifier=[{"system": "urn:mrn", "value": key}])
    url = f"Patient?identifier=urn:mrn|{key}"
    first = await client.put(url, json=body)
    second = await client.put(url, json=body)
    assert (first.status_code, second.status_code) == (201, 200)
    assert first.json()["id"] == second.json()["id"]
    other = await client.put(url, json={**body, "id": "somebody-else"})
    assert other.status_code == 400


async def test_concurrent_conditional_updates_make_one_resource(client: httpx.AsyncClient, fresh: Fresh) -> None:
    key = fresh("mrn")
    body = patient(identifier=[{"system": "urn:mrn", "value": key}])
    answers = await asyncio.gather(*(client.put(f"Patient?identifier=urn:mrn|{key}", json=body) for _ in range(16)))
    assert sorted(answer.status_code for answer in answers) == [200] * 15 + [201]
    assert len({answer.json()["id"] for answer in answers}) == 1
