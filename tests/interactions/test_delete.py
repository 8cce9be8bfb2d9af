"""delete and conditional delete (R4 3.1.0.7)."""

import asyncio
from collections.abc import Callable

import httpx

from tests.interactions.conftest import patient, said

Fresh = Callable[[str], str]


def observation(subject: str) -> dict[str, object]:
    code = {"text": "x"}
    return {"resourceType": "Observation", "status": "final", "code": code, "subject": {"reference": subject}}


async def test_is_idempotent(client: httpx.AsyncClient, fresh: Fresh) -> None:
    key = fresh("p")
    assert (await client.delete(f"Patient/{key}")).status_code == 204
    await client.put(f"Patient/{key}", json=patient(id=key))
    first = await client.delete(f"Patient/{key}")
    assert (first.status_code, first.headers["etag"]) == (204, 'W/"2"')
    assert (await client.delete(f"Patient/{key}")).status_code == 204
    history = (await client.get(f"Patient/{key}/_history")).json()
    assert [entry["request"]["method"] for entry in history["entry"]] == ["DELETE", "PUT"]


async def test_of_what_others_refer_to_is_409(client: httpx.AsyncClient, fresh: Fresh) -> None:
    key = fresh("p")
    await client.put(f"Patient/{key}", json=patient(id=key))
    referrer = (await client.post("Observation", json=observation(f"Patient/{key}"))).json()["id"]
    response = await client.delete(f"Patient/{key}")
    assert response.status_code == 409
    assert f"Observation/{referrer}" in said(response)
    await client.delete(f"Observation/{referrer}")
    assert (await client.delete(f"Patient/{key}")).status_code == 204


async def test_a_stale_if_match_is_412(client: httpx.AsyncClient, fresh: Fresh) -> None:
    key = fresh("p")
    await client.put(f"Patient/{key}", json=patient(id=key))
    response = await client.delete(f"Patient/{key}", headers={"If-Match": 'W/"2"'})
    assert response.status_code == 412


async def test_racing_with_a_new_reference_leaves_none_dangling(client: httpx.AsyncClient, fresh: Fresh) -> None:
    for _ in range(20):
        key = fresh("p")
        await client.put(f"Patient/{key}", json=patient(id=key))
        answers = await asyncio.gather(
            *(client.post("Observation", json=observation(f"Patient/{key}")) for _ in range(3)),
            client.delete(f"Patient/{key}"),
            *(client.post("Observation", json=observation(f"Patient/{key}")) for _ in range(3)),
        )
        *created, deletion = [*answers[:3], *answers[4:], answers[3]]
        made = [answer for answer in created if answer.status_code == 201]
        if deletion.status_code == 204:
            assert not made
        else:
            assert deletion.status_code == 409
            assert made


async def test_racing_with_updates_that_keep_and_drop_a_reference_leaves_none_dangling(
    client: httpx.AsyncClient, fresh: Fresh
) -> None:
    for number in range(20):
        key = fresh("p")
        await client.put(f"Patient/{key}", json=patient(id=key))
        path = f"Observation/{fresh('o')}"
        keeping: dict[str, object] = {**observation(f"Patient/{key}"), "id": path.partition("/")[2]}
        dropping = {name: value for name, value in keeping.items() if name != "subject"}
        assert (await client.put(path, json=keeping)).status_code == 201
        kept = [client.put(path, json={**keeping, "status": status}) for status in ("amended", "final")]
        dropped = [client.put(path, json=dropping)] if number % 2 else []
        *updates, deletion = await asyncio.gather(*kept, *dropped, client.delete(f"Patient/{key}"))
        assert deletion.status_code in ({204, 409} if dropped else {409})
        assert {one.status_code for one in updates} <= ({200, 422} if deletion.status_code == 204 else {200})
        if deletion.status_code == 204:
            assert "subject" not in (await client.get(path)).json()


async def test_of_many_at_once_only_what_others_refer_to_is_409(client: httpx.AsyncClient, fresh: Fresh) -> None:
    """Deletions share their questions, and none of them is answered for another."""
    keys = [fresh("p") for _ in range(12)]
    for key in keys:
        await client.put(f"Patient/{key}", json=patient(id=key))
    kept = set(keys[::3])
    made = [(await client.post("Observation", json=observation(f"Patient/{key}"))).json()["id"] for key in kept]
    itself = patient(id=keys[1], link=[{"other": {"reference": f"Patient/{keys[1]}"}, "type": "refer"}])
    await client.put(f"Patient/{keys[1]}", json=itself)
    answers = await asyncio.gather(*(client.delete(f"Patient/{key}") for key in keys))
    assert [answer.status_code for answer in answers] == [409 if key in kept else 204 for key in keys]
    found = [(await client.get(f"Patient/{key}")).status_code for key in keys]
    assert found == [200 if key in kept else 410 for key in keys]
    # What was refused is as if nobody had wanted to delete it: others may refer to it at once.
    first = min(kept)
    assert (await client.post("Observation", json=observation(f"Patient/{first}"))).status_code == 201
    assert [(await client.delete(f"Observation/{one}")).status_code for one in made] == [204] * len(made)


async def test_conditional_delete_takes_one_match(client: httpx.AsyncClient, fresh: Fresh) -> None:
    key = fresh("mrn")
    body = patient(identifier=[{"system": "urn:mrn", "value": key}])
    url = f"Patient?identifier=urn:mrn|{key}"
    assert (await client.delete(url)).status_code == 204
    ids = [(await client.post("Patient", json=body)).json()["id"] for _ in range(2)]
    assert (await client.delete(url)).status_code == 412
    await client.delete(f"Patient/{ids[0]}")
    assert (await client.delete(url)).status_code == 204
    assert (await client.get(f"Patient/{ids[1]}")).status_code == 410
    assert (await client.delete("Patient")).status_code == 400


async def test_the_root_organization_stays(client: httpx.AsyncClient) -> None:
    response = await client.delete("Organization/root")
    assert response.status_code == 409
    assert "root of this deployment" in said(response)
    assert (await client.get("Organization/root")).status_code == 200
