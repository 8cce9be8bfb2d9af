"""patch with JSON Patch (R4 3.1.0.5)."""

import json
from collections.abc import Callable

import httpx

from tests.interactions.conftest import patient, said

Fresh = Callable[[str], str]
HEADERS = {"Content-Type": "application/json-patch+json"}


async def test_changes_a_part(client: httpx.AsyncClient, fresh: Fresh) -> None:
    key = fresh("p")
    await client.put(f"Patient/{key}", json=patient(id=key))
    operations = [
        {"op": "test", "path": "/name/0/family", "value": "Lovelace"},
        {"op": "replace", "path": "/name/0/family", "value": "King"},
    ]
    response = await client.patch(f"Patient/{key}", content=json.dumps(operations), headers=HEADERS)
    assert response.status_code == 200
    assert response.json()["name"][0]["family"] == "King"
    assert response.headers["etag"] == 'W/"2"'


async def test_refuses_what_does_not_fit(client: httpx.AsyncClient, fresh: Fresh) -> None:
    key = fresh("p")
    await client.put(f"Patient/{key}", json=patient(id=key))
    cases: list[tuple[object, int]] = [
        ([{"op": "test", "path": "/name/0/family", "value": "Byron"}], 422),
        ([{"op": "remove", "path": "/photo/0"}], 422),
        ([{"op": "replace", "path": "/id", "value": "other"}], 422),
        ([{"op": "add", "path": "/gender", "value": "mail"}], 400),
        ([{"op": "explode", "path": "/gender"}], 400),
        ([{"path": "/gender"}], 400),
        ({"op": "add"}, 400),
        ("x", 400),
        ([1], 400),
    ]
    for operations, status in cases:
        response = await client.patch(f"Patient/{key}", content=json.dumps(operations), headers=HEADERS)
        assert response.status_code == status, (operations, response.text)
        assert said(response)
    assert (await client.get(f"Patient/{key}")).headers["etag"] == 'W/"1"'


async def test_needs_its_media_type(client: httpx.AsyncClient, fresh: Fresh) -> None:
    key = fresh("p")
    await client.put(f"Patient/{key}", json=patient(id=key))
    assert (await client.patch(f"Patient/{key}", json=[])).status_code == 415


async def test_of_nothing_is_404_and_of_a_deletion_410(client: httpx.AsyncClient, fresh: Fresh) -> None:
    key = fresh("p")
    operations = json.dumps([{"op": "add", "path": "/active", "value": True}])
    assert (await client.patch(f"Patient/{key}", content=operations, headers=HEADERS)).status_code == 404
    await client.put(f"Patient/{key}", json=patient(id=key))
    await client.delete(f"Patient/{key}")
    assert (await client.patch(f"Patient/{key}", content=operations, headers=HEADERS)).status_code == 410
    nobody = await client.patch(f"Patient?identifier={key}", content=operations, headers=HEADERS)
    assert nobody.status_code == 404


def narrative(status: str) -> dict[str, str]:
    return {"status": status, "div": '<div xmlns="http://www.w3.org/1999/xhtml">Ada Lovelace, not active</div>'}


async def patched(client: httpx.AsyncClient, key: str, *operations: object) -> httpx.Response:
    return await client.patch(f"Patient/{key}", content=json.dumps(operations), headers=HEADERS)


async def test_leaves_no_narrative_that_contradicts_the_data(client: httpx.AsyncClient, fresh: Fresh) -> None:
    """The specification demands that the narrative is not clinically unsafe after a patch."""
    key = fresh("p")
    activate = {"op": "add", "path": "/active", "value": True}
    for status in ("generated", "extensions"):
        await client.put(f"Patient/{key}", json=patient(id=key, text=narrative(status)))
        body = (await patched(client, key, activate)).json()
        assert body["active"] is True
        assert "text" not in body

    await client.put(f"Patient/{key}", json=patient(id=key, text=narrative("additional")))
    refused = await patched(client, key, activate)
    assert refused.status_code == 422
    assert refused.json()["issue"][0]["expression"] == ["Patient.text"]
    own = await patched(client, key, activate, {"op": "replace", "path": "/text", "value": narrative("generated")})
    assert own.json()["text"] == narrative("generated")


async def test_keeps_a_narrative_that_it_cannot_have_outdated(client: httpx.AsyncClient, fresh: Fresh) -> None:
    key = fresh("p")
    await client.put(f"Patient/{key}", json=patient(id=key, text=narrative("additional")))
    tag = {"op": "add", "path": "/meta/tag", "value": [{"code": "x"}]}
    test = {"op": "test", "path": "/name/0/family", "value": "Lovelace"}
    body = (await patched(client, key, test, tag)).json()
    assert body["text"] == narrative("additional")
    assert body["meta"]["tag"] == [{"code": "x"}]


async def test_names_the_operation_that_does_not_fit(client: httpx.AsyncClient, fresh: Fresh) -> None:
    key = fresh("p")
    await client.put(f"Patient/{key}", json=patient(id=key, active=True))
    for value in (1, "true", 1.0):  # none of them is true
        response = await patched(client, key, {"op": "test", "path": "/active", "value": value})
        assert response.status_code == 422
        assert "Operation 0 of the patch, test /active" in said(response)
