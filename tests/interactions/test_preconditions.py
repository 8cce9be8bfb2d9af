"""If-Match and If-None-Match of writes (RFC 9110 13.1, R4 3.1.0.5), alone, in conditional interactions and in bundles."""

import asyncio
import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from tests.interactions.conftest import codes, patient, said
from tests.interactions.test_batch import bundle, entry
from tests.interactions.test_transaction import transaction

Fresh = Callable[[str], str]
PATCH = json.dumps([{"op": "add", "path": "/active", "value": True}])
PATCH_TYPE = {"Content-Type": "application/json-patch+json"}


@pytest.mark.parametrize(
    ("header", "status"),
    [
        ({"If-Match": 'W/"2"'}, 200),
        ({"If-Match": '"2"'}, 200),
        ({"If-Match": "2"}, 200),
        ({"If-Match": 'W/"1", W/"2"'}, 200),
        ({"If-Match": "*"}, 200),
        ({"If-None-Match": 'W/"1"'}, 200),
        ({"If-Match": 'W/"1"'}, 412),
        ({"If-Match": 'W/"02"'}, 412),
        ({"If-Match": 'W/"abc"'}, 412),
        ({"If-Match": '""'}, 412),
        ({"If-Match": f'W/"{10**30}"'}, 412),
        ({"If-None-Match": "*"}, 412),
        ({"If-None-Match": 'W/"2"'}, 412),
        ({"If-Match": "abc"}, 400),
        ({"If-Match": 'W/"2'}, 400),
    ],
)
async def test_of_an_update(client: httpx.AsyncClient, fresh: Fresh, header: dict[str, str], status: int) -> None:
    key = fresh("p")
    for _ in range(2):
        await client.put(f"Patient/{key}", json=patient(id=key))
    response = await client.put(f"Patient/{key}", json=patient(id=key, active=True), headers=header)
    assert response.status_code == status, response.text
    if status != 200:
        assert response.json()["issue"][0]["expression"] == [f"http.{next(iter(header))}"]
    current = await client.get(f"Patient/{key}")
    assert current.headers["etag"] == ('W/"3"' if status == 200 else 'W/"2"')


async def test_of_what_is_not_there(client: httpx.AsyncClient, fresh: Fresh) -> None:
    key = fresh("p")
    for header in ({"If-Match": "*"}, {"If-Match": 'W/"1"'}):
        assert (await client.put(f"Patient/{key}", json=patient(id=key), headers=header)).status_code == 412
        assert (await client.delete(f"Patient/{key}", headers=header)).status_code == 412
    first = await client.put(f"Patient/{key}", json=patient(id=key), headers={"If-None-Match": "*"})
    assert first.status_code == 201
    await client.delete(f"Patient/{key}")
    again = await client.put(f"Patient/{key}", json=patient(id=key), headers={"If-None-Match": "*"})
    assert (again.status_code, again.headers["etag"]) == (201, 'W/"3"')


async def test_one_of_many_concurrent_creators_wins(client: httpx.AsyncClient, fresh: Fresh) -> None:
    key = fresh("p")
    answers = await asyncio.gather(
        *(client.put(f"Patient/{key}", json=patient(id=key), headers={"If-None-Match": "*"}) for _ in range(16))
    )
    assert sorted(answer.status_code for answer in answers) == [201] + [412] * 15


async def test_of_a_patch_and_a_deletion(client: httpx.AsyncClient, fresh: Fresh) -> None:
    key = fresh("p")
    await client.put(f"Patient/{key}", json=patient(id=key))
    stale = {"If-Match": 'W/"9"'}
    assert (await client.patch(f"Patient/{key}", content=PATCH, headers=PATCH_TYPE | stale)).status_code == 412
    assert (await client.delete(f"Patient/{key}", headers=stale)).status_code == 412
    now = {"If-Match": 'W/"1"'}
    assert (await client.patch(f"Patient/{key}", content=PATCH, headers=PATCH_TYPE | now)).status_code == 200
    assert (await client.delete(f"Patient/{key}", headers={"If-Match": 'W/"2"'})).status_code == 204


async def test_of_conditional_interactions(client: httpx.AsyncClient, fresh: Fresh) -> None:
    key = fresh("mrn")
    body = patient(identifier=[{"value": key}])
    url, stale = f"Patient?identifier={key}", {"If-Match": 'W/"9"'}
    for _ in range(2):  # first without, then with a match
        assert (await client.put(url, json=body, headers=stale)).status_code == 412
        assert (await client.delete(url, headers=stale)).status_code == 412
        await client.put(url, json=body)
    assert (await client.put(url, json=body, headers={"If-Match": 'W/"2"'})).status_code == 200
    assert (await client.put(url, json=body, headers={"If-None-Match": "*"})).status_code == 412


async def test_of_entries(client: httpx.AsyncClient, fresh: Fresh) -> None:
    key = fresh("p")
    body = patient(id=key, identifier=[{"value": key}])
    await client.put(f"Patient/{key}", json=body)
    nobody = f"Patient?identifier={fresh('none')}"
    refused = [
        entry("PUT", f"Patient/{key}", body, ifMatch='W/"9"'),
        entry("PUT", f"Patient/{key}", body, ifNoneMatch="*"),
        entry("DELETE", f"Patient/{key}", ifMatch='W/"9"'),
        entry("PUT", f"Patient?identifier={key}", body, ifMatch='W/"9"'),
        entry("PUT", nobody, patient(), ifMatch='W/"9"'),
        entry("DELETE", nobody, ifMatch='W/"9"'),
    ]
    for row in refused:
        whole = await client.post("", json=transaction(row))
        assert whole.status_code == 412, (row, whole.text)
        assert whole.json()["issue"][0]["expression"] == ["Bundle.entry[0].request"]
    rows = (await client.post("", json=bundle(*refused))).json()["entry"]
    assert [row["response"]["status"][:3] for row in rows] == ["412"] * len(refused)
    assert (await client.get(f"Patient/{key}")).headers["etag"] == 'W/"1"'


async def test_a_conditional_update_does_not_overwrite_what_does_not_match(
    client: httpx.AsyncClient, fresh: Fresh
) -> None:
    key, other = fresh("p"), fresh("mrn")
    await client.put(f"Patient/{key}", json=patient(id=key))
    url, body = f"Patient?identifier={other}", patient(id=key, identifier=[{"value": other}])
    alone = await client.put(url, json=body)
    assert (alone.status_code, codes(alone)) == (409, ["conflict"])
    assert f"Patient/{key}" in said(alone)
    together = await client.post("", json=transaction(entry("PUT", url, body)))
    assert together.status_code == 409
    assert together.json()["issue"][0]["expression"] == ["Bundle.entry[0].resource.id"]
    await client.delete(f"Patient/{key}")
    assert (await client.put(url, json=body)).status_code == 201
    assert (await client.put(url, json={**body, "id": 5})).status_code == 400


async def test_reads_know_several_versions(client: httpx.AsyncClient, fresh: Fresh) -> None:
    key = fresh("p")
    await client.put(f"Patient/{key}", json=patient(id=key))
    for tags, status in (('W/"7", W/"1"', 304), ("*", 304), ('"1"', 304), ('W/"7"', 200)):
        response = await client.get(f"Patient/{key}", headers={"If-None-Match": tags})
        assert response.status_code == status, tags


async def test_a_date_that_is_none_is_passed_over(client: httpx.AsyncClient, fresh: Fresh) -> None:
    key = fresh("p")
    await client.put(f"Patient/{key}", json=patient(id=key))
    for date in ("yesterday", "Sat, 29 Oct 999999 19:43:31 GMT", "2026-11-21"):
        assert (await client.get(f"Patient/{key}", headers={"If-Modified-Since": date})).status_code == 200


async def test_entries_have_their_own_conditions(client: httpx.AsyncClient, fresh: Fresh) -> None:
    key = fresh("p")
    await client.put(f"Patient/{key}", json=patient(id=key))
    rows: list[tuple[dict[str, Any], str]] = [
        (entry("GET", f"Patient/{key}", ifNoneMatch='W/"1"'), "304"),
        (entry("GET", f"Patient/{key}", ifNoneMatch='W/"2"'), "200"),
        (entry("GET", f"Patient/{key}", ifModifiedSince="2099-01-01T00:00:00+01:00"), "304"),
        (entry("GET", f"Patient/{key}", ifModifiedSince="1999-01-01T00:00:00Z"), "200"),
        (entry("GET", f"Patient/{key}", ifModifiedSince="yesterday"), "400"),
        (entry("GET", f"Patient/{key}", ifModifiedSince="0001-01-01T00:00:00+14:00"), "400"),
    ]
    answers = (await client.post("", json=bundle(*(row for row, _ in rows)))).json()["entry"]
    assert [answer["response"]["status"][:3] for answer in answers] == [status for _, status in rows]
    assert "resource" not in answers[0]
